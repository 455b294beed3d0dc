"""Which label positions make up the sequence of each row, as static arrays.

The label positions of the rows lie one after the other in the bins of the static shape, each a *leaf*. A bin is one
chain, in which a row begins anew whatever comes before it; free leaves and absent positions change nothing. With three
label positions of row 0, the second of them absent because its label is ignored, two of row 1, and a free leaf:

    leaf          0  1  2  3  4  5
    leaf_rows     0  0  0  1  1  n        n: the number of rows, whose sums nobody reads
    sequence_marks
      follows     .  .  1  .  1  .
      begins      1  .  .  1  .  .
      ends        .  .  1  .  1  .
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcore_mindspore.rows import PackedRows

COLUMN_NAMES = ("leaf_tokens", "token_leaves", "leaf_rows", "leaf_tags", "sequence_marks", "position_marks")


def columns(rows: PackedRows, label_column: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of ``COLUMN_NAMES`` (host); there are as many leaves as positions in the shape.

    ``leaf_tokens``: int32 ``[leaves]``, where the label position's token is; 0 for a free leaf. ``token_leaves``: int32
    ``[tokens]``, the way back; 0 where there is none. ``leaf_rows``: int32 ``[leaves]``, the row among those of the
    call, or their number for a free leaf. ``leaf_tags``: int32 ``[2, leaves]``, the gold tag of the position before it
    in its sequence, and its own; 0 where there is none. ``sequence_marks``: float32 ``[3, leaves]``, 1 where the leaf
    follows a position of its sequence, where it begins one, and where it ends one; all zero where it is absent because
    its label is ignored. ``position_marks``: the same for sequences of all label positions.
    """
    shape, batch = rows.shape, rows.batch
    assert batch.label_offsets is not None
    lengths = np.diff(batch.label_offsets)
    row_of = np.repeat(np.arange(len(lengths)), lengths)
    leaves = np.arange(batch.label_offsets[-1]) + (rows.starts - batch.label_offsets[:-1])[row_of]
    leaf_tokens, token_leaves = np.zeros((2, shape.tokens), dtype=np.int32)
    leaf_tokens[leaves], token_leaves[rows.label_positions] = rows.label_positions, leaves
    leaf_rows = np.full(shape.tokens, shape.rows, dtype=np.int32)
    leaf_rows[leaves] = row_of
    labels = batch.columns.get(label_column)
    tags, kept = np.zeros(len(row_of), dtype=np.int32), np.ones(len(row_of), dtype=bool)
    if labels is not None:
        if labels.ignore is not None:
            kept = labels.values != labels.ignore
        tags[kept] = labels.values[kept]
    leaf_tags = np.zeros((2, shape.tokens), dtype=np.int32)
    sequence_marks = _marks(row_of[kept], leaves[kept], shape.tokens)
    leaf_tags[1, leaves[kept]] = tags[kept]
    leaf_tags[0, leaves[kept][1:]] = tags[kept][:-1] * sequence_marks[0, leaves[kept][1:]]
    return {
        "leaf_tokens": leaf_tokens,
        "token_leaves": token_leaves,
        "leaf_rows": leaf_rows,
        "leaf_tags": leaf_tags,
        "sequence_marks": sequence_marks,
        "position_marks": _marks(row_of, leaves, shape.tokens),
    }


def _marks(rows: NDArray[np.int64], leaves: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    marks = np.zeros((3, size), dtype=np.float32)
    same = rows[1:] == rows[:-1]
    marks[0, leaves[1:][same]] = 1
    marks[1, leaves] = 1 - marks[0, leaves]
    marks[2, leaves] = 1
    marks[2, leaves[:-1][same]] = 0
    return marks


def sequences_of(
    rows: NDArray[np.generic], marks: NDArray[np.generic]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Leaves that belong to sequences, the row of each sequence, and where each begins among these leaves."""
    leaves = np.flatnonzero(marks[0] + marks[1])
    firsts = np.flatnonzero(marks[1, leaves])
    return leaves, rows[leaves[firsts]], np.append(firsts, len(leaves))
