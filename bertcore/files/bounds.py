"""What a file from elsewhere may hold at most, stated once and checked before memory is taken.

All bounds lie far above every published model and far below what a machine can bear. A file beyond one of them was made
to harm, or is none.
"""

from __future__ import annotations

from collections.abc import Sequence

# Weight files.

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

MOST_INSTRUCTIONS = 500_000
"""Instructions of a pickle. That of a whole training state with its optimizer has some ten thousand."""

MOST_COPIED = 1_000_000
"""Items that the calls of a pickle copy from one container into another."""

MOST_VIEWS = 100
"""Numbers that all tensors of a file may show together, which can lie on each other, for each of its bytes."""

MOST_REPEATED = 2**26
"""Numbers that they may show beyond that: a stride of 0 repeats one."""

# Small files.

LARGEST_CONFIG = 16 * 1024 * 1024
"""Bytes of a ``config.json`` and its like, which are some thousand but for the names of many labels."""

LARGEST_TOKENIZER_FILE = 256 * 1024 * 1024
"""Bytes of a file of a tokenizer. Those of 250,000 tokens have some twenty million."""

MOST_TOKENS = 10_000_000
"""Ids of a vocabulary. The largest have some million."""

DEEPEST_JSON = 100
"""Lists and objects within one another of a JSON file."""

MOST_LAYERS = 1000
"""Layers of an encoder."""

LARGEST_SIZE = 2**31
"""Vocabulary, width and the like of an encoder."""

MOST_LABELS = 200_000
"""Labels of a head. The largest benchmarks of extreme classification on GPUs have some hundred thousand."""

# Data.

LARGEST_RECORD = 4 * 1024 * 1024
"""Bytes of one record of a TFRecord file: a row of 512 tokens has some five thousand."""


def shape_problem(shape: Sequence[int]) -> str | None:
    """Says why no tensor has this shape, in words that are short whatever it holds; None where one may."""
    if len(shape) > MOST_DIMENSIONS:
        return f"{len(shape)} dimensions, and none has more than {MOST_DIMENSIONS}"
    if not all(0 <= size < LARGEST_DIMENSION for size in shape):
        return "a dimension that no tensor has"
    return None
