"""Who all other processes of a job wait for."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

BEFORE_STEPS = 600.0
"""Seconds that a process may be waited for before the steps have begun: it reads data and compiles."""

SHORTEST_LIMIT = 60.0
STEADY = 16
"""Meetings after which the time between them tells something."""


class Attendance:
    """Finds the process that all others wait for.

    Every process counts the meetings that it comes to and leaves (:mod:`bertcore.files.arrivals`). Whoever has a lower
    count than one that waits is waited for::

        rank 0    17        waits            rank 2 has not come to the meeting: for as long as 10 meetings took
        rank 1    17        waits            at the most so far, that may be a long evaluation or a compilation;
        rank 2    16        computes         then it hangs

    Where all wait and none goes on, one of them was halted within the meeting.

    Args:
        limit: seconds that a process may be waited for; None for what the meetings so far tell.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._most = 0
        self._since = time.monotonic()
        self._longest = 0.0

    def saw(self, counts: Mapping[str, int], stopped: Collection[str] = ()) -> None:
        """Takes what an agent has seen: the counts of its processes, and those that are halted."""
        self._counts.update(counts)
        self._stopped = (self._stopped - set(counts)) | set(stopped)
        most = max(self._counts.values(), default=0)
        if most > self._most:
            now = time.monotonic()
            if self._most > 0:
                self._longest = max(self._longest, now - self._since)
            self._most, self._since = most, now

    @property
    def limit(self) -> float:
        """Seconds that a process may be waited for."""
        if self._limit is not None:
            return self._limit
        return BEFORE_STEPS if self._most < STEADY else max(SHORTEST_LIMIT, 10 * self._longest)

    def absent(self, running: Collection[str]) -> tuple[str, float] | None:
        """The process that has been waited for too long, and for how long.

        Args:
            running: names of those that have not ended.
        """
        waited = time.monotonic() - self._since
        if not self._most % 2 or waited <= self.limit:
            return None
        behind = [name for name in running if self._counts.get(name, 0) < self._most]
        halted = [name for name in running if name in self._stopped]
        # All in one meeting, and none halted: a device or the network hangs, and any of them is as good as another.
        return min(behind or halted or running, default=""), waited
