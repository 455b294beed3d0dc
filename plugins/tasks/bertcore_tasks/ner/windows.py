"""Windows over the units of a text that is longer than the model.

Ten units of one token each, where a row has room for six and ``overlap`` is three::

    text       u0 u1 u2 u3 u4 u5 u6 u7 u8 u9
    window 0   U0 U1 U2 U3 U4 u5
    window 1            u3 u4 U5 U6 U7 u8
    window 2                     u6 u7 U8 U9

Every window is learned whole. A capital marks the window that owns the unit: its tag is taken from there, where most of
what stands around it is seen, and the tags of a text are merged by nothing else. Spans are taken from the window where
both of their ends see most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowPlan:
    """The windows of a text.

    Attributes:
        bounds: first unit, and the one behind the last, of each window.
        owner: int64 ``[units]``, the window from which a unit is predicted; -1 where no window holds it.
    """

    bounds: tuple[tuple[int, int], ...]
    owner: NDArray[np.int64]


def plan_windows(sizes: Sequence[int], capacity: int, overlap: int, truncate: bool = False) -> WindowPlan:
    """Lays windows over a text so that each unit is predicted once, from the window where it has most context.

    A unit's context is the smaller distance to a window's border, in units; the text's own begin and end are no border.

    Args:
        sizes: tokens of each unit, each at least 1; a unit of more than ``capacity`` counts as one that just fits.
        capacity: tokens of the longest window.
        overlap: tokens that two neighbouring windows share at most; more than half a window counts as half of it.
        truncate: keep the first window only.
    """
    count = len(sizes)
    ends = np.cumsum(np.minimum(np.asarray(sizes, dtype=np.int64), capacity))
    if not count or ends[-1] <= capacity:
        return WindowPlan(((0, count),), np.zeros(count, dtype=np.int64))
    before = np.concatenate([[0], ends])  # tokens in front of each unit
    overlap = min(overlap, capacity // 2)
    bounds: list[tuple[int, int]] = []
    owner = np.full(count, -1, dtype=np.int64)
    most = np.full(count, -1, dtype=np.int64)
    start = 0
    while True:
        end = int(np.searchsorted(before, before[start] + capacity, side="right")) - 1
        units = np.arange(start, end)
        left = np.full(end - start, count) if start == 0 else units - start
        right = np.full(end - start, count) if end == count else end - 1 - units
        context = np.minimum(left, right)
        better = context > most[start:end]
        owner[start:end][better] = len(bounds)
        most[start:end][better] = context[better]
        bounds.append((start, end))
        if end == count or truncate:
            return WindowPlan(tuple(bounds), owner)
        # The next window shares at most the overlap, and has room for the unit behind this window.
        shared = int(np.searchsorted(before, before[end] - overlap))
        start = max(shared, int(np.searchsorted(before, before[end + 1] - capacity)))


def window_of_span(bounds: Sequence[tuple[int, int]], count: int, start: int, end: int) -> tuple[int, int]:
    """The window from which a span is predicted: of those that hold it whole, the one where it has most context.

    A span's context is the smaller distance of its ends to the window's borders, as for a unit; of equals the first.

    Args:
        bounds: of the windows, in order; one at least holds the span.
        count: units of the text.
        start: first unit of the span.
        end: the unit behind its last.
    """

    def context(window: tuple[int, int]) -> int:
        first, behind = window
        left = count if first == 0 else start - first
        return min(left, count if behind == count else behind - end)

    return max((window for window in bounds if window[0] <= start and end <= window[1]), key=context)
