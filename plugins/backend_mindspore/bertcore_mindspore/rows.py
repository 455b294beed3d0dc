"""From ragged batches to the static arrays of a compiled graph, and back to rows.

The rows of a call lie one after the other in bins of one length, see :mod:`bertcore_mindspore.shapes`. With two bins of
twelve positions, the rows a (7 tokens), b (9) and c (4) lie so, and ``starts`` says where each begins:

    position    0               8         11 | 12        18 19       22 23
    row         b b b b b b b b b  -  -  -   | a a a a a a a  c c c c  -       starts: b 0, a 12, c 19

The names are those of :mod:`bertcore_torch.rows`, whose rows lie end to end instead, without free positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.bert_config import BertConfig
from bertcore_mindspore.shapes import Placement, Shape, place

INPUT_NAMES = ("input_ids", "token_type_ids", "position_ids", "blocked", "row_table", "first_tokens", "row_weights")
"""Arrays of every call, in the order of the graph's inputs; see :meth:`PackedRows.inputs`."""


@dataclass(frozen=True)
class PackedRows:
    """The rows of one call, at their places among the static positions.

    Attributes:
        shape: the static shape.
        batch: the rows of this call, in the order of the placement.
        indices: int64 ``[n]``, of these rows in the batch that the session was given.
        starts: int64 ``[n]``, position of each row's first token.
    """

    shape: Shape
    batch: Batch
    indices: NDArray[np.int64]
    starts: NDArray[np.int64]

    @cached_property
    def token_positions(self) -> NDArray[np.int64]:
        """Position of each token of the batch, int64 ``[tokens]``."""
        lengths = self.batch.lengths
        return np.repeat(self.starts - self.batch.offsets[:-1], lengths) + np.arange(self.batch.offsets[-1])

    @cached_property
    def label_positions(self) -> NDArray[np.int64]:
        """Position of each label position of the batch, int64 ``[label positions]``."""
        assert self.batch.label_offsets is not None
        assert self.batch.label_positions is not None
        return np.repeat(self.starts, np.diff(self.batch.label_offsets)) + self.batch.label_positions

    def by_row(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Where the tokens of each row lie: int32 ``[rows * length]``, the position of each token, and float32 ``[rows,
        length]``, 1 beyond the row's end.
        """
        inside = np.arange(self.shape.length) < self.per_row(self.batch.lengths, np.int64)[:, None]
        tokens = np.zeros((self.shape.rows, self.shape.length), dtype=np.int32)
        tokens[inside] = self.token_positions
        return tokens.reshape(-1), (~inside).astype(np.float32)

    def inputs(self, config: BertConfig) -> dict[str, NDArray[np.generic]]:
        """The arrays of ``INPUT_NAMES``.

        ``input_ids``, ``token_type_ids``, ``position_ids``: int32 ``[tokens]`` of the shape; free positions hold the
        padding token, and all types are 0 where the model reads none. ``blocked``: uint8 ``[bins, 1, length,
        length]``, 1 where a token may not look at another: only tokens of one row see each other, and free positions
        see each other. ``row_table``: int64 ``[rows, 5]``, the same for a kernel that goes from row to row: first
        position, tokens (0 for no row), and where its part of the masks of :meth:`mask_of_bins` lies: its first byte,
        and the bytes from head to head and from query to query.
        ``first_tokens``: int32 ``[rows]`` of the shape, the position of each row's first token.
        ``row_weights``: float32 ``[rows]``, 1 for a real row.
        """
        shape, positions = self.shape, self.token_positions
        input_ids = np.full(shape.tokens, config.pad_token_id, dtype=np.int32)
        input_ids[positions] = self.batch.input_ids
        token_type_ids = np.zeros(shape.tokens, dtype=np.int32)
        token_type_ids[positions] = self.batch.token_type_ids * config.reads_token_types
        position_ids = np.full(shape.tokens, config.position_offset, dtype=np.int32)
        position_ids[positions] += (positions - np.repeat(self.starts, self.batch.lengths)).astype(np.int32)
        row_of_token = np.full(shape.tokens, -1, dtype=np.int32)
        row_of_token[positions] = np.repeat(np.arange(len(self.indices), dtype=np.int32), self.batch.lengths)
        bins = row_of_token.reshape(shape.bins, 1, shape.length)
        blocked = (bins[:, :, :, None] != bins[:, :, None, :]).astype(np.uint8)
        return {
            "input_ids": input_ids,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "blocked": blocked,
            "row_table": self._row_table(config.num_attention_heads),
            "first_tokens": self.per_row(self.starts, np.int32),
            "row_weights": self.per_row(np.ones(len(self.indices)), np.float32),
        }

    def mask_size(self, heads: int) -> int:
        """How many attention probabilities there are within the rows of this call."""
        return heads * int((self.batch.lengths**2).sum())

    def mask_of_bins(self, mask: NDArray[np.generic], heads: int) -> NDArray[np.generic]:
        """Spreads a mask of attention probabilities over bins, ``[bins, heads, length, length]``, zero between rows.

        Args:
            mask: row after row, each ``[heads, tokens, tokens]``.
            heads: number of attention heads.
        """
        length = self.shape.length
        spread = np.zeros((self.shape.bins, heads, length, length), dtype=mask.dtype)
        for start, tokens, first, _, _ in self._row_table(heads)[: len(self.indices)].tolist():
            within = slice(start % length, start % length + tokens)
            of_row = mask[first : first + heads * tokens * tokens]
            spread[start // length, :, within, within] = of_row.reshape(heads, tokens, tokens)
        return spread

    def _row_table(self, heads: int) -> NDArray[np.int64]:
        lengths = self.batch.lengths
        squares = lengths**2
        table = np.zeros((self.shape.rows, 5), dtype=np.int64)
        first = heads * (np.cumsum(squares) - squares)
        for index, column in enumerate((self.starts, lengths, first, squares, lengths)):
            table[: len(self.indices), index] = column
        return table

    def per_row(self, values: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
        """Fills values of the rows, in the order of the batch, into ``[rows, ...]`` of the shape, zero elsewhere."""
        filled = np.zeros((self.shape.rows, *values.shape[1:]), dtype=dtype)
        filled[: len(values)] = values
        return filled

    def row_sums(self, losses: NDArray[np.generic], per: Per) -> NDArray[np.generic]:
        """Sums ``[tokens]`` of the shape over the tokens of each row into ``[rows]``; keeps ``[rows]`` as it is."""
        if per == "row":
            return losses
        sums = np.zeros(self.shape.rows, dtype=np.float64)
        np.add.at(sums, np.repeat(np.arange(len(self.indices)), self.batch.lengths), losses[self.token_positions])
        return sums.astype(np.float32)

    def collect(self, values: NDArray[np.generic], per: Per) -> list[NDArray[np.generic]]:
        """Returns what belongs to each row, from ``[rows, ...]`` or ``[tokens, ...]`` of the shape.

        Of pairs it is ``[bins, ..., length, length]``: of each bin the positions of start and end.
        """
        if per == "row":
            return np.split(values[: len(self.indices)], len(self.indices))
        if per == "token":
            return np.split(values[self.token_positions], self.batch.offsets[1:-1])
        assert self.batch.label_offsets is not None
        if per == "pair":
            return [self._pairs(values, row) for row in range(len(self.indices))]
        return np.split(values[self.label_positions], self.batch.label_offsets[1:-1])

    def spread(self, values: NDArray[np.generic], per: Per) -> NDArray[np.float32]:
        """Puts what belongs to the rows to its places in the shape, zero elsewhere: the way back of :meth:`collect`."""
        shape, further = self.shape, values.shape[1:]
        if per == "row":
            return self.per_row(values, np.float32).astype(np.float32)
        if per == "pair":
            spread = np.zeros((shape.bins, *further, shape.length, shape.length), dtype=np.float32)
            self._spread_pairs(values, spread)
            return spread
        spread = np.zeros((shape.tokens, *further), dtype=np.float32)
        spread[self.token_positions if per == "token" else self.label_positions] = values
        return spread

    def _spread_pairs(self, values: NDArray[np.generic], spread: NDArray[np.float32]) -> None:
        offsets = self.batch.label_offsets
        assert offsets is not None
        for row, of_row in enumerate(np.split(values, self.batch.pair_offsets[1:-1])):
            positions = self.label_positions[offsets[row] : offsets[row + 1]]
            starts, ends = np.triu_indices(len(positions))
            within = positions % self.shape.length
            of_bin = spread[positions[:1].sum() // self.shape.length]
            of_bin[..., within[starts], within[ends]] = np.moveaxis(of_row, 0, -1)

    def _pairs(self, values: NDArray[np.generic], row: int) -> NDArray[np.generic]:
        assert self.batch.label_offsets is not None
        positions = self.label_positions[self.batch.label_offsets[row] : self.batch.label_offsets[row + 1]]
        starts, ends = np.triu_indices(len(positions))
        of_bin = values[positions[:1].sum() // self.shape.length]  # a row without label positions has none in any bin
        within = positions % self.shape.length
        return np.moveaxis(of_bin[..., within[starts], within[ends]], -1, 0)


def pack(batch: Batch, shapes: Sequence[Shape]) -> list[PackedRows]:
    """Distributes the rows of a batch over calls of the shapes, those of a group into one call.

    Raises:
        ValueError: a row is longer than the last shape, or a group does not fit into it.
    """
    return [_packed(batch, placement) for placement in place(batch.lengths, shapes, batch.groups)]


def in_row_order(
    packed: Sequence[PackedRows], values: Sequence[NDArray[np.generic]], per: Per, empty: NDArray[np.generic]
) -> NDArray[np.generic]:
    """Joins the values of all calls in the order of the batch's rows; ``empty`` for a batch without rows."""
    pieces: dict[int, NDArray[np.generic]] = {}
    for part, array in zip(packed, values, strict=True):
        pieces.update(zip(part.indices.tolist(), part.collect(array, per), strict=True))
    return np.concatenate([pieces[row] for row in range(len(pieces))]) if pieces else empty


def _packed(batch: Batch, placement: Placement) -> PackedRows:
    return PackedRows(placement.shape, batch.select(placement.rows), placement.rows, placement.starts)
