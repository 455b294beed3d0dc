"""Rotary positions (Su et al. 2021, arXiv 2104.09864): vectors that are turned meet by the distance of their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BASE = 10_000.0
"""The longest wave has about this many positions times 2 pi."""


def rotary_angles(positions: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """By how much each pair of neighbouring values is turned, in radians.

    Values 2i and 2i + 1 of a vector at position m are turned by ``m * 10000^(-2i / size)``, so that the product of two
    turned vectors depends on the distance of their positions alone::

        (x0, x1)  ->  (x0 cos - x1 sin, x1 cos + x0 sin)

    Args:
        positions: int ``[n]``.
        size: values of a vector, an even number.

    Returns:
        float64 ``[n, size / 2]``.
    """
    rates = BASE ** (-np.arange(0, size, 2) / size)
    return np.asarray(positions[:, None] * rates, dtype=np.float64)
