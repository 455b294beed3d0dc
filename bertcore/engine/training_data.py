"""The training rows of each optimizer step, as a pure function of the seed and the position.

So a run goes on after a stop without any state of the data order being kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcore.config import TrainConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.data.plans import plan_ranks, plan_training
from bertcore.errors import DataError


@dataclass(frozen=True)
class StepRows:
    """The rows of one optimizer step.

    Attributes:
        micro_batches: one batch per forward pass of this rank.
        whole: the same of all ranks.
        epoch: epochs done after this step, with a fraction.
        last_of_epoch: whether the epoch ends with this step.
    """

    micro_batches: list[Batch]
    whole: list[Batch]
    epoch: float
    last_of_epoch: bool

    @property
    def ids(self) -> NDArray[np.int64]:
        """All token ids of the step, each once, rising."""
        ids: NDArray[np.int64] = np.unique(np.concatenate([batch.input_ids for batch in self.whole])).astype(np.int64)
        return ids


class SizedTrainingData:
    """An encoded split that is held as a whole.

    Args:
        batch: all rows.
        options: the configuration.
        ranks: which of them this process is.
    """

    def __init__(self, batch: Batch, options: TrainConfig, ranks: Ranks = ALONE) -> None:
        self._batch = batch
        self._options = options
        self._ranks = ranks
        batches = math.ceil(batch.unit_count / options.batch_size)
        self.steps_per_epoch: int = math.ceil(batches / options.accumulation)
        self.total_steps: int = options.max_steps or math.ceil(options.epochs * self.steps_per_epoch)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every row."""
        return self._batch.lengths

    @property
    def micro_batch_rows(self) -> int:
        """Rows of a micro-batch, on average where they come in groups or are divided among ranks."""
        return _micro_batch_rows(self._batch, self._options, self._ranks)

    def steps(self, seed: int, start: int) -> Iterator[StepRows]:
        """Yields the rows of step ``start`` and of all steps after it, without end."""
        # Nothing is read to get there: each epoch has as many steps, and its order is drawn from its number.
        epoch, first = divmod(start, self.steps_per_epoch)
        while True:
            steps = _steps(self._batch, self._options, seed, epoch)
            for step in range(first, self.steps_per_epoch):
                done, is_last = epoch + (step + 1) / self.steps_per_epoch, step + 1 == self.steps_per_epoch
                yield _step_rows(self._batch, steps[step], self._ranks, done, is_last)
            epoch, first = epoch + 1, 0


class StreamedTrainingData:
    """A declared stream: read in windows, each encoded and shuffled by itself; opened anew when it ends.

    ::

        window 0            window 1            window 2    (the stream ends)    window 3 = window 0 again
        shuffled with 0     shuffled with 1     shuffled with 2                  shuffled with 3

    Args:
        windows: opens the stream anew, and gives the rows of one window after the other.
        options: the configuration, which says how many steps there are.
        ranks: which of them this process is; each reads the whole stream.

    Raises:
        DataError: the stream holds no examples.
    """

    def __init__(self, windows: Callable[[], Iterator[Batch]], options: TrainConfig, ranks: Ranks = ALONE) -> None:
        assert options.max_steps is not None
        self._ranks = ranks
        self._open = windows
        self._options = options
        self.total_steps: int = options.max_steps
        first = next(windows(), None)
        if first is None:
            raise DataError(
                "the training split is a stream without examples", "check the data", code="examples-missing"
            )
        self.lengths: NDArray[np.int64] = first.lengths
        """Tokens of the rows of the first window."""
        self.micro_batch_rows: int = _micro_batch_rows(first, options, ranks)
        """Rows of a micro-batch, on average where they come in groups or are divided among ranks."""

    def steps(self, seed: int, start: int) -> Iterator[StepRows]:
        """Yields the rows of step ``start`` and of all steps after it; what lies before is read again and passed."""
        step = 0
        for window in self._windows():
            steps = _steps(window.rows, self._options, seed, window.number)
            for micro_batches in steps:
                if step >= start:
                    last = window.is_last and micro_batches is steps[-1]
                    yield _step_rows(window.rows, micro_batches, self._ranks, float(window.epoch + last), last)
                step += 1

    def _windows(self) -> Iterator[_Window]:
        number, epoch = 0, 0
        while True:
            windows = self._open()
            rows = next(windows, None)
            while rows is not None:
                following = next(windows, None)
                yield _Window(number, epoch, rows, following is None)
                rows, number = following, number + 1
            epoch += 1


@dataclass(frozen=True)
class _Window:
    """Some rows of a stream.

    Attributes:
        number: counted through all epochs; windows of different numbers are shuffled differently.
        epoch: epochs that were complete before.
        rows: all of them.
        is_last: whether the stream ends with them.
    """

    number: int
    epoch: int
    rows: Batch
    is_last: bool


def _micro_batch_rows(batch: Batch, options: TrainConfig, ranks: Ranks) -> int:
    of_rank = options.batch_size * options.accumulation / ranks.size
    units = of_rank / math.ceil(options.accumulation / ranks.size)
    return max(1, math.ceil(units * len(batch) / max(1, batch.unit_count) - 0.5))


def _step_rows(
    batch: Batch, micro_batches: Sequence[NDArray[np.int64]], ranks: Ranks, epoch: float, last: bool
) -> StepRows:
    whole = [batch.select_units(units) for units in micro_batches]
    if ranks.is_alone:
        return StepRows(whole, whole, epoch, last)
    lengths = np.concatenate([of_pass.unit_lengths for of_pass in whole])
    own = plan_ranks(micro_batches, lengths, ranks.size)[ranks.rank]
    return StepRows([batch.select_units(units) for units in own], whole, epoch, last)


def _steps(batch: Batch, options: TrainConfig, seed: int, epoch: int) -> list[list[NDArray[np.int64]]]:
    """The units of each micro-batch of each step of an epoch; the order depends on seed and epoch and nothing else."""
    plan = plan_training(
        batch.unit_lengths, options.batch_size, seed=seed, epoch=epoch, group_by_length=options.group_by_length
    )
    return [plan[first : first + options.accumulation] for first in range(0, len(plan), options.accumulation)]


TrainingData = SizedTrainingData | StreamedTrainingData
