"""How far long work has come, told to whoever listens: nobody, unless :func:`listening` says so.

Whoever works long says what, how much it is, and each part that is done::

    with work("predicting", total=len(rows), unit="examples") as progress:
        for part in parts:
            ...
            progress.advance(len(part))

Work that nobody listens to costs nothing that could be measured, and listeners are told ten times a second at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from bertcore.contracts.events import Described, Event, WorkProgress

Listener = Callable[[Event], None]
Item = TypeVar("Item")

PAUSE = 0.1
"""Seconds between two events of one work."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_subject: ContextVar[str] = ContextVar("subject", default="")


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Hands all events of the work inside the block to a listener, instead of the one around it; None silences it."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Says what the work inside the block is about, the name of a split for example."""
    outer = _subject.get()
    token = _subject.set(f"{outer} {subject}" if outer else subject)
    try:
        yield
    finally:
        _subject.reset(token)


def describe(**header: str) -> None:
    """Tells what is going to be done, before it is; see :class:`bertcore.contracts.events.Described`."""
    listener = _listener.get()
    if listener is not None:
        listener(Described(header))


class Work:
    """Work that is going on.

    Args:
        activity: what is done, as ``predicting``.
        total: how much there is to do.
        unit: of what, as ``examples``.
        weight: the cost of all of it, where parts differ in theirs.
    """

    def __init__(self, activity: str, total: int, unit: str, weight: float | None = None) -> None:
        self._listener = _listener.get()
        self._activity = f"{activity} {_subject.get()}".rstrip()
        self._total, self._unit = total, unit
        self._whole = total if weight is None else weight
        self._done, self._weight = 0, 0.0
        self._begin = self._told = time.perf_counter()
        self._tell()

    def advance(self, count: int, weight: float | None = None) -> None:
        """Some more is done: how much, and what it cost in the unit of the whole weight."""
        self._done += count
        self._weight += count if weight is None else weight
        if self._listener is not None and time.perf_counter() - self._told >= PAUSE:
            self._tell()

    def end(self) -> None:
        """The work is over, complete or not."""
        self._tell(ended=True)

    def _tell(self, ended: bool = False) -> None:
        if self._listener is None:
            return
        self._told = time.perf_counter()
        part = min(self._weight / self._whole, 1.0) if self._whole else 1.0
        seconds = self._told - self._begin
        self._listener(WorkProgress(self._activity, self._done, self._total, self._unit, part, seconds, ended))


@contextmanager
def work(activity: str, total: int, unit: str, weight: float | None = None) -> Iterator[Work]:
    """Opens some :class:`Work`, and ends it with the block."""
    progress = Work(activity, total, unit, weight)
    try:
        yield progress
    finally:
        progress.end()


def tracked(
    items: Collection[Item], activity: str, unit: str, size: Callable[[Item], int] = lambda item: 1
) -> Iterator[Item]:
    """Yields the items, and tells of each that is done with; ``size`` says how many units it is."""
    with work(activity, sum(map(size, items)), unit) as progress:
        for item in items:
            yield item
            progress.advance(size(item))
