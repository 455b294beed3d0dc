"""The training rows of each optimizer step, as a pure function of the seed and the position.

So a run goes on after a stop without any state of the data order being kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcore.config import TrainConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Split
from bertcore.contracts.task import Encoding
from bertcore.data.plans import plan_training
from bertcore.errors import DataError


@dataclass(frozen=True)
class StepRows:
    """The rows of one optimizer step.

    Attributes:
        micro_batches: one batch per forward pass.
        epoch: epochs done after this step, with a fraction.
        last_of_epoch: whether the epoch ends with this step.
    """

    micro_batches: list[Batch]
    epoch: float
    last_of_epoch: bool


class SizedTrainingData:
    """An encoded split that is held as a whole."""

    def __init__(self, batch: Batch, options: TrainConfig, seed: int) -> None:
        self._batch = batch
        self._options = options
        self._seed = seed
        batches = math.ceil(len(batch) / options.batch_size)
        self.steps_per_epoch: int = math.ceil(batches / options.accumulation)
        self.total_steps: int = options.max_steps or math.ceil(options.epochs * self.steps_per_epoch)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every row."""
        return self._batch.lengths

    def steps(self, start: int) -> Iterator[StepRows]:
        """Yields the rows of step ``start`` and of all steps after it, without end."""
        epoch, first = divmod(start, self.steps_per_epoch)
        while True:
            plan = self._plan(epoch)
            for step in range(first, self.steps_per_epoch):
                group = plan[step * self._options.accumulation : (step + 1) * self._options.accumulation]
                yield StepRows(
                    [self._batch.select(rows) for rows in group],
                    epoch + (step + 1) / self.steps_per_epoch,
                    step + 1 == self.steps_per_epoch,
                )
            epoch, first = epoch + 1, 0

    def _plan(self, epoch: int) -> list[NDArray[np.int64]]:
        return plan_training(
            self._batch.lengths,
            self._options.batch_size,
            seed=self._seed,
            epoch=epoch,
            group_by_length=self._options.group_by_length,
        )


class StreamedTrainingData:
    """A declared stream: read in windows, each encoded and shuffled by itself; opened anew when it ends.

    Raises:
        DataError: the stream holds no examples.
    """

    def __init__(
        self,
        split: Split,
        encode: Callable[[Split], Encoding],
        options: TrainConfig,
        seed: int,
        window: int,
    ) -> None:
        assert options.max_steps is not None
        self._split = split
        self._encode = encode
        self._options = options
        self._seed = seed
        self._window = window
        self.total_steps: int = options.max_steps
        first = next(split.windows(window), None)
        if first is None:
            raise DataError("the training split is a stream without examples", "check the data")
        self._first = self._encode(first)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of the rows of the first window."""
        return self._first.batch.lengths

    def steps(self, start: int) -> Iterator[StepRows]:
        """Yields the rows of step ``start`` and of all steps after it; what lies before is read again and passed."""
        step = 0
        for number, epoch, batch, last_window in self._windows():
            plan = plan_training(
                batch.lengths,
                self._options.batch_size,
                seed=self._seed,
                epoch=number,
                group_by_length=self._options.group_by_length,
            )
            for offset in range(0, len(plan), self._options.accumulation):
                if step >= start:
                    group = plan[offset : offset + self._options.accumulation]
                    last = last_window and offset + self._options.accumulation >= len(plan)
                    yield StepRows([batch.select(rows) for rows in group], float(epoch + last), last)
                step += 1

    def _windows(self) -> Iterator[tuple[int, int, Batch, bool]]:
        number, epoch = 0, 0
        while True:
            windows = self._split.windows(self._window)
            window = next(windows, None)
            while window is not None:
                following = next(windows, None)
                yield number, epoch, self._encode(window).batch, following is None
                window, number = following, number + 1
            epoch += 1


TrainingData = SizedTrainingData | StreamedTrainingData
