"""Batches in parts, where the device has no memory for them whole.

The gradient of a step is a sum over its rows, divided once by what the step counts. So it does not matter into how many
forward passes the rows are divided, but for rounding, and for dropout, whose masks are drawn by forward pass::

    train.micro_batch=auto    batch of 32 rows     32            no memory
                                                   16 + 16       no memory
                                                   8 + 8 + 8 + 8           and so from now on
    loss denominator          what the 32 rows count, each time
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bertcore.config import TrainConfig
from bertcore.contracts.backend import Session
from bertcore.contracts.batch import Batch
from bertcore.contracts.training_step import DeviceMemoryError, StepContext, StepResult
from bertcore.engine.checkpoint import Progress
from bertcore.errors import DeviceError


class MicroBatches:
    """Takes the steps of a session, with no more rows in a forward pass than the device has memory for.

    Args:
        session: takes the steps.
        options: ``micro_batch`` says how many rows a forward pass has at most, or that it is found out.
        progress: remembers what was found out, so that a resumed run draws the same masks.
        note: told when it becomes less.
        may_repeat: whether a step may be taken again; not where other ranks have met this one in the middle of it.
    """

    def __init__(
        self,
        session: Session,
        options: TrainConfig,
        progress: Progress,
        note: Callable[[str], None],
        may_repeat: bool = True,
    ) -> None:
        self._session = session
        self._may_repeat = may_repeat
        self._options = options
        self._progress = progress
        self._note = note

    def train_step(self, batches: Sequence[Batch], context: StepContext) -> StepResult:
        """Takes one step.

        Raises:
            DeviceError: the device has no memory for it, and micro-batches may not or cannot become smaller.
        """
        while True:
            parts = [part for batch in batches for part in _divided(batch, self._most)]
            try:
                return self._session.train_step(parts, context)
            except DeviceMemoryError as error:
                problem = str(error)
            # Not in the handler: what the error refers to holds memory.
            self._halve(max(parts, key=lambda part: part.unit_count), context.step + 1, problem)

    @property
    def _most(self) -> int:
        """Rows of a forward pass at most, or groups where rows belong together."""
        chosen = self._options.micro_batch
        if chosen is None:
            return self._options.batch_size
        return self._progress.micro_batch or self._options.batch_size if chosen == "auto" else chosen

    def _halve(self, largest: Batch, step: int, problem: str) -> None:
        rows = largest.unit_count
        longest = int(largest.lengths.max(initial=0))
        size = f"in step {step} for a forward pass of {rows} rows of up to {longest} tokens"
        if self._options.micro_batch != "auto" or rows <= 1 or not self._may_repeat:
            settings = ["a smaller data.max_length", "run.precision=bf16"]
            smaller = "auto" if self._may_repeat else str(rows // 2)
            settings.insert(0, f"--set train.micro_batch={smaller}" if rows > 1 else "train.lora.rank")
            raise DeviceError(
                f"no memory {size}: {problem}",
                f"{', '.join(settings[:2])}, or {settings[2]}; --resume goes on where there is a checkpoint",
                code="out-of-memory",
            )
        self._progress.micro_batch = rows // 2
        self._note(
            f"no memory {size}: from now on it has at most {rows // 2}; the step is taken again, "
            "and every step has the rows that it had"
        )


def _divided(batch: Batch, most: int) -> list[Batch]:
    """A batch in parts of at most so many units."""
    units = np.arange(batch.unit_count)
    if len(units) <= most:
        return [batch]
    return [batch.select_units(units[first : first + most]) for first in range(0, len(units), most)]
