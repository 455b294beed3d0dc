"""Ragged batches: rows of tokens without padding, and named columns beside them.

Padding is a matter of the backend's layout and never part of a task: torch computes on the rows one after the other,
MindSpore packs them into a few static shapes. :meth:`Batch.padded` is the usual padded form, for code that wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Per = Literal["row", "token", "label"]
"""What one value of a column belongs to: a row, a token of a row, or a label position of a row."""


@dataclass(frozen=True)
class Column:
    """One named column of a batch.

    Attributes:
        values: ``[rows, ...]``, ``[tokens, ...]`` or ``[label positions, ...]``, as ``per`` says.
        per: what one value belongs to.
        ignore: a value that takes no part in the loss and is not counted, or None.
    """

    values: NDArray[np.generic]
    per: Per
    ignore: float | None = None


@dataclass(frozen=True)
class PaddedBatch:
    """The token arrays of a batch in one static shape.

    Attributes:
        input_ids: int32 ``[rows, length]``, filled with the padding token.
        token_type_ids: int32 ``[rows, length]``, filled with 0.
        attention_mask: bool ``[rows, length]``, True on real tokens.
    """

    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32]
    attention_mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """Some rows of an encoded split, or the whole of it.

    Attributes:
        offsets: int64 ``[rows + 1]``; row i holds the tokens ``offsets[i]:offsets[i + 1]``.
        input_ids: int32 ``[tokens]``.
        token_type_ids: int32 ``[tokens]``.
        example_index: int64 ``[rows]``; the example that a row comes from (a long text gives several rows).
        columns: further columns by name.
        label_offsets: int64 ``[rows + 1]``; row i holds the label positions ``label_offsets[i]:label_offsets[i + 1]``;
            None where the head reads no label positions.
        label_positions: int32 ``[label positions]``; the token of its row that carries the label (the first piece of a
            word). ``[CLS]``, ``[SEP]`` and continuations of a word are absent.
    """

    offsets: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32]
    example_index: NDArray[np.int64]
    columns: Mapping[str, Column] = field(default_factory=dict)
    label_offsets: NDArray[np.int64] | None = None
    label_positions: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each row, int64 ``[rows]``."""
        return np.diff(self.offsets)

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Returns the given rows, in the given order, as a batch of their own."""
        chosen = np.asarray(rows, dtype=np.int64)
        tokens, offsets = _ranges(self.offsets, chosen)
        labels: NDArray[np.int64] | None = None
        label_offsets: NDArray[np.int64] | None = None
        if self.label_offsets is not None:
            labels, label_offsets = _ranges(self.label_offsets, chosen)
        index = {"row": chosen, "token": tokens, "label": labels}
        return Batch(
            offsets=offsets,
            input_ids=self.input_ids[tokens],
            token_type_ids=self.token_type_ids[tokens],
            example_index=self.example_index[chosen],
            columns={
                name: Column(column.values[index[column.per]], column.per, column.ignore)
                for name, column in self.columns.items()
            },
            label_offsets=label_offsets,
            label_positions=None if self.label_positions is None else self.label_positions[labels],
        )

    def without(self, *names: str) -> Batch:
        """Returns the same rows without the named columns (a test split has no labels to hand to a backend)."""
        kept = {name: column for name, column in self.columns.items() if name not in names}
        return Batch(
            self.offsets,
            self.input_ids,
            self.token_type_ids,
            self.example_index,
            kept,
            self.label_offsets,
            self.label_positions,
        )

    def padded(self, rows: int, length: int, pad_token_id: int = 0) -> PaddedBatch:
        """Returns the tokens in the static shape ``[rows, length]``; rows beyond ``len(self)`` are all padding.

        Raises:
            ValueError: the batch has more rows, or a longer row, than the shape.
        """
        if len(self) > rows or (len(self) and int(self.lengths.max()) > length):
            raise ValueError(f"{len(self)} rows of up to {self.lengths.max()} tokens do not fit {rows} x {length}")
        attention_mask = np.zeros((rows, length), dtype=np.bool_)
        attention_mask[: len(self)] = np.arange(length) < self.lengths[:, None]
        input_ids = np.full((rows, length), pad_token_id, dtype=np.int32)
        input_ids[attention_mask] = self.input_ids
        token_type_ids = np.zeros((rows, length), dtype=np.int32)
        token_type_ids[attention_mask] = self.token_type_ids
        return PaddedBatch(input_ids, token_type_ids, attention_mask)


def from_rows(
    input_ids: Sequence[Sequence[int]],
    token_type_ids: Sequence[Sequence[int]],
    columns: Mapping[str, Column] | None = None,
    example_index: Sequence[int] | None = None,
    label_positions: Sequence[Sequence[int]] | None = None,
) -> Batch:
    """Builds a batch from one list of tokens per row.

    Args:
        input_ids: token ids of each row.
        token_type_ids: segment of each token of each row.
        columns: further columns, already flat.
        example_index: the example of each row; by default row i comes from example i.
        label_positions: for each row, the tokens that carry a label.
    """
    positions = None if label_positions is None else _flat(label_positions)
    return Batch(
        offsets=_offsets(input_ids),
        input_ids=_flat(input_ids),
        token_type_ids=_flat(token_type_ids),
        example_index=np.asarray(range(len(input_ids)) if example_index is None else example_index, dtype=np.int64),
        columns=dict(columns or {}),
        label_offsets=None if label_positions is None else _offsets(label_positions),
        label_positions=positions,
    )


def _offsets(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return offsets


def _flat(rows: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    return np.fromiter((value for row in rows for value in row), dtype=np.int32)


def _ranges(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all values of the chosen rows, and the offsets of these rows in the result."""
    #     offsets 0 3 5 9,  rows 2 and 0    ->    indices 5 6 7 8 | 0 1 2,  new offsets 0 4 7
    #
    # One arange over the result, to which each row adds how far its values lie from there: no loop over rows, of which
    # a split has as many as it has examples.
    lengths = offsets[rows + 1] - offsets[rows]
    new_offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=new_offsets[1:])
    indices: NDArray[np.int64] = np.arange(new_offsets[-1], dtype=np.int64)
    indices += np.repeat(offsets[rows] - new_offsets[:-1], lengths)
    return indices, new_offsets
