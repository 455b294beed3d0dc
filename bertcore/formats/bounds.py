"""What a weight file may hold at most, stated once and checked before memory is taken.

All bounds lie far above every published model and far below what a machine can bear. A file beyond one of them was made
to harm, or is none.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_TENSORS = 100_000
"""Tensors of one file. Mixtures of experts with hundreds of layers have some ten thousand."""

MOST_SHARDS = 10_000
"""Files that an index names."""

MOST_DIMENSIONS = 16
"""Dimensions of a tensor; numpy has 32 at most."""

LARGEST_DIMENSION = 2**62
"""Size of one dimension."""

LARGEST_HEADER = 32 * 1024 * 1024
"""Bytes of a header or index in JSON; parsing takes some twenty times as much memory."""

LONGEST_NAME = 4096
"""Characters of a tensor's name."""

DEEPEST = 100
"""Containers within containers of a pickle."""

MOST_INSTRUCTIONS = 2_000_000
"""Instructions of a pickle. That of a whole training state with its optimizer has some ten thousand."""

MOST_COPIED = 10_000_000
"""Items that the calls of a pickle copy from one container into another."""

MOST_REPEATED = 2**28
"""Numbers that a tensor shows beyond those of its storage: a stride of 0 repeats them."""


def shape_problem(shape: Sequence[int]) -> str | None:
    """Says why no tensor has this shape, in words that are short whatever it holds; None where one may."""
    if len(shape) > MOST_DIMENSIONS:
        return f"{len(shape)} dimensions, and none has more than {MOST_DIMENSIONS}"
    if not all(0 <= size < LARGEST_DIMENSION for size in shape):
        return "a dimension that no tensor has"
    return None
