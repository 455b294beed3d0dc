"""A file in which a rank counts the meetings that it has come to and left, so that its agent sees who is missing.

The ranks of a run meet at every step: each waits there for all others. Who has come to fewer meetings than the rest
is the one that the rest waits for, whatever the reason.

::

    computes    meets    computes    meets
       0          1         2          3        the count: odd while the process waits
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BERTCORE_ARRIVALS"
"""Environment variable with the path of the file."""


class Arrivals:
    """Counts in the file that the environment names, or nowhere.

    Args:
        path: of the file; None to count for nobody.
    """

    def __init__(self, path: str | None) -> None:
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._count = 0

    @classmethod
    def from_environment(cls) -> Arrivals:
        """Counts for the agent that started this process, if one did."""
        return cls(os.environ.get(VARIABLE))

    def arrive(self) -> None:
        """Called right before this process waits for the others."""
        self._set(self._count + 1)

    def leave(self) -> None:
        """Called when all have come."""
        self._set(self._count + 1)

    def _set(self, count: int) -> None:
        self._count = count
        if self._file is not None:
            os.pwrite(self._file, self._count.to_bytes(8, "little"), 0)


def arrivals_in(path: Path) -> int:
    """The count of a rank, 0 where it has not begun."""
    try:
        return int.from_bytes(path.read_bytes()[:8], "little")
    except OSError:
        return 0
