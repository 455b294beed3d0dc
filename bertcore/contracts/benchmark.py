"""Benchmarks: several tasks with one leaderboard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """A benchmark whose leaderboard takes one archive with the files of all its tasks.

    Attributes:
        name: as it calls itself.
        files: names of the files that a complete submission has.
    """

    name: str
    files: tuple[str, ...]
