"""Ctrl-C, SIGTERM and SIGUSR1: the first asks the loop to stop after its step, another stops at once.

SIGUSR1 is the notice that a scheduler gives some time before it kills (``sbatch --signal=USR1@120``). It asks for
nothing more than the loop does at the first signal, so it never stops at once, and SIGTERM after it is a first one.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """The run was stopped from outside.

    Attributes:
        cause: one line.
        remedy: one line.
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1, as shells have it.
        code: ``interrupted`` after Ctrl-C, ``terminated`` after the others.
    """

    def __init__(self, cause: str, remedy: str, exit_code: int = 130) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.exit_code = exit_code
        self.code = "interrupted" if exit_code == 128 + signal.SIGINT else "terminated"


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Lets SIGTERM and SIGUSR1 end a command as Ctrl-C does, with all that is half-written removed.

    Does nothing outside the main thread.

    Raises:
        Interrupted: one of them came.
    """
    with _handled((signal.SIGTERM, signal.SIGUSR1), _terminate):
        yield


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hands signals to a function; does nothing outside the main thread, where Python allows no handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in previous.items():
            signal.signal(number, earlier)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Interrupted("terminated", "nothing was left half-written", 128 + number)


class StopRequest:
    """Context in which a signal is kept until the loop asks for it; does nothing outside the main thread."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._may_stop_at_once = False
        self._handlers = ExitStack()

    def __enter__(self) -> StopRequest:
        self._handlers.enter_context(_handled((signal.SIGINT, signal.SIGTERM, signal.SIGUSR1), self._keep))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.close()

    @property
    def exit_code(self) -> int:
        """128 plus the number of the first signal."""
        return 128 + (self.signal or signal.SIGINT)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGUSR1:
            if self._may_stop_at_once:
                problem = "stopped at once, the step in progress is lost"
                raise Interrupted(problem, "start again, or --resume", 128 + number)
            self._may_stop_at_once = True
        if self.signal is None:
            self.signal = number
            print("\nstopping after this step; once more to stop at once", file=sys.stderr, flush=True)
