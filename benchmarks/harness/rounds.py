"""Rounds in which each contender is asked once, in turn, so that what else the machine does meets all of them."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.workers import WorkerError

Ask = Callable[[int], float]
"""Computes the work of a round, numbered from 0 with those of the warm-up, and returns the seconds it took."""


def interleave(
    contenders: Mapping[str, Ask], rounds: int, warm_up: int = 1, absent: dict[str, str] | None = None
) -> dict[str, list[float]]:
    """Seconds of each contender in each round; the order is another in every round.

    Args:
        contenders: by name.
        rounds: counted ones.
        warm_up: rounds before them, which are not counted.
        absent: takes the names of those that fail in the first round or the warm-up, with the reason; they are left
            out then.

    Raises:
        WorkerError: one fails later, or where ``absent`` is None.
    """
    asked = dict(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(warm_up + rounds):
        names = [*asked]
        turn = number % max(1, len(names))
        for name in names[turn:] + names[:turn]:
            try:
                taken = asked[name](number)
            except WorkerError as error:
                if absent is None or number >= max(warm_up, 1):
                    raise
                absent[name] = str(error)
                del asked[name], seconds[name]
                continue
            if number >= warm_up:
                seconds[name].append(taken)
        print(f"round {number + 1} of {warm_up + rounds}", file=sys.stderr, flush=True)
    return seconds


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def as_json(self) -> list[float]:
        """The three, with four digits that count."""
        return [float(f"{value:.4g}") for value in (self.median, self.low, self.high)]


def ratios(reference: Sequence[float], seconds: Sequence[float]) -> Spread:
    """How many times as fast as the reference, of the rounds' ratios."""
    return Spread.of([one / other for one, other in zip(reference, seconds, strict=True)])


def compared(
    seconds: Mapping[str, Sequence[float]], reference: str, key: str, of: Callable[[float], float]
) -> list[dict[str, Any]]:
    """A row for each contender: what its rounds come to, and how many times as fast as the reference it is.

    Args:
        seconds: of each contender's rounds.
        reference: one of them; the first where it is absent.
        key: under which the values stand.
        of: from the seconds of a round to its value.
    """
    others = seconds.get(reference) or next(iter(seconds.values()))
    return [
        {"name": name, key: Spread.of([of(one) for one in taken]).as_json(), "ratio": ratios(others, taken).as_json()}
        for name, taken in seconds.items()
    ]
