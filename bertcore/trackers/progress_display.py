"""What a person sees of long work: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from bertcore.contracts.events import Event, WorkProgress
from bertcore.progress import listening

SECONDS_BETWEEN_LINES = 10.0
LONGEST_SILENCE = 60.0
PART_BETWEEN_LINES = 0.1

BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class ProgressDisplay:
    """Shows the progress of work.

    On a terminal each work has a bar on standard error, which goes when the work ends. Elsewhere it has a line every
    ten seconds at most, where another tenth is done or a minute has passed; short work has none.

    Args:
        write: takes a line; by default it goes to standard error.
        delay: seconds that work must last to have a bar.
    """

    def __init__(self, write: Callable[[str], None] | None = None, delay: float = 0.0) -> None:
        self._delay = delay
        self._write = write or (lambda line: print(line, file=sys.stderr, flush=True))
        self._has_terminal = sys.stderr.isatty()
        self._bars: dict[str, tqdm[Any]] = {}
        self._lines: dict[str, WorkProgress] = {}

    def show(self, event: WorkProgress) -> None:
        """Takes an event."""
        if self._has_terminal:
            self._draw(event)
        else:
            self._tell(event)

    def close(self) -> None:
        """Removes all bars."""
        while self._bars:
            self._bars.popitem()[1].close()

    def _draw(self, event: WorkProgress) -> None:
        bar = self._bars.get(event.activity)
        if bar is None:
            if event.ended or event.seconds < self._delay:
                return
            bar = self._bars[event.activity] = tqdm(
                total=1.0, desc=f"{event.activity}:", bar_format=BAR, dynamic_ncols=True, leave=False, mininterval=0
            )
        bar.set_postfix_str(f"{_amount(event)}{_rate(event)}", refresh=False)
        bar.n = event.part
        bar.refresh()
        if event.ended:
            self._bars.pop(event.activity).close()

    def _tell(self, event: WorkProgress) -> None:
        if event.ended:
            self._lines.pop(event.activity, None)
            return
        last = self._lines.setdefault(event.activity, event)
        silence = event.seconds - last.seconds
        if silence < SECONDS_BETWEEN_LINES:
            return
        if event.part - last.part >= PART_BETWEEN_LINES or silence >= LONGEST_SILENCE:
            left = event.seconds * (1 - event.part) / event.part if event.part else None
            rest = "" if left is None else f", about {_duration(left)} left"
            self._write(f"{event.activity}: {_amount(event)} ({event.part:.0%}){_rate(event)}{rest}")
            self._lines[event.activity] = event


@contextmanager
def show_progress() -> Iterator[None]:
    """Shows the progress of all work inside the block on standard error, as the commands do."""
    display = ProgressDisplay()

    def show(event: Event) -> None:
        if isinstance(event, WorkProgress):
            display.show(event)

    try:
        with listening(show):
            yield
    finally:
        display.close()


def _amount(event: WorkProgress) -> str:
    if event.unit == "bytes":
        return f"{event.done / 1e6:.0f} of {event.total / 1e6:.0f} MB"
    return f"{event.done} of {event.total} {event.unit}"


def _rate(event: WorkProgress) -> str:
    if not event.done or event.seconds <= 0:
        return ""
    rate = event.done / event.seconds
    return f", {rate / 1e6:.0f} MB/s" if event.unit == "bytes" else f", {rate:.1f} {event.unit}/s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d} h" if hours else f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
