"""Ctrl-C and SIGTERM: the first asks the loop to stop after its step, the second stops at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """The run was stopped from outside.

    Attributes:
        cause: one line.
        remedy: one line.
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, as shells have it.
        code: ``interrupted`` after Ctrl-C, ``terminated`` after SIGTERM.
    """

    def __init__(self, cause: str, remedy: str, exit_code: int = 130) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.exit_code = exit_code
        self.code = "interrupted" if exit_code == 128 + signal.SIGINT else "terminated"


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does, with all that is half-written removed.

    Does nothing outside the main thread.

    Raises:
        Interrupted: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Interrupted("terminated", "nothing was left half-written", 128 + number)


class StopRequest:
    """Context in which a signal is kept until the loop asks for it; does nothing outside the main thread."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal."""
        return 128 + (self.signal or signal.SIGINT)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Interrupted("stopped at once, the step in progress is lost", "start again, or --resume", 128 + number)
        self.signal = number
        print("\nstopping after this step; once more to stop at once", file=sys.stderr, flush=True)
