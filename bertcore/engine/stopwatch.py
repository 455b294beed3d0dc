"""The time that training takes, without compilation, evaluation and the writing of checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Lap:
    """What lies between two looks at the watch.

    Attributes:
        rows: that were trained on.
        seconds: of training.
        compile_seconds: of compilation, which are none of those.
    """

    rows: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        """Speed of training; 0 before anything was trained."""
        return self.rows / self.seconds if self.seconds else 0.0

    def __add__(self, other: Lap) -> Lap:
        return Lap(self.rows + other.rows, self.seconds + other.seconds, self.compile_seconds + other.compile_seconds)


class Stopwatch:
    """Runs while training does.

    ::

        steps   compile  steps  | evaluation, checkpoint |  steps
        ------- ~~~~~~~ ------- |        paused()        | -------   one lap: the rows and seconds of the dashes

    Args:
        compiled: seconds that the session has spent on compilation so far.
    """

    def __init__(self, compiled: Callable[[], float]) -> None:
        self.total = Lap()
        self._compiled = compiled
        self._lap = Lap()
        self._go_on()

    def start(self) -> None:
        """Forgets the time since the watch was made."""
        self._go_on()

    def count(self, rows: int) -> None:
        """Adds rows that were trained on to the lap."""
        self._lap += Lap(rows)

    def lap(self) -> Lap:
        """Ends the lap, adds it to the total and begins another one."""
        self._stop()
        ended, self._lap = self._lap, Lap()
        self.total += ended
        self._go_on()
        return ended

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Does not run inside the block; what is compiled there is no part of the lap either."""
        self._stop()
        yield
        self._go_on()

    def _go_on(self) -> None:
        self._begin, self._compiled_before = time.perf_counter(), self._compiled()

    def _stop(self) -> None:
        compiled = self._compiled() - self._compiled_before
        self._lap += Lap(0, max(time.perf_counter() - self._begin - compiled, 0.0), compiled)
