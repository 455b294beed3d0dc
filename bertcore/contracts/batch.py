"""Ragged batches: rows of tokens without padding, and named columns beside them.

Padding is a matter of the backend's layout and never part of a task: torch computes on the rows one after the other,
MindSpore packs them into a few static shapes. :meth:`Batch.padded` is the usual padded form, for code that wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Per = str
"""What one value belongs to: ``row``, ``token`` (of a row), ``label`` (a label position of a row), ``pair`` (a label
position of a row and one not in front of it, see :attr:`Batch.pair_offsets`), ``group`` (rows that belong together), or
an axis of :attr:`Batch.ragged` by its name, as ``span``.
"""


@dataclass(frozen=True)
class Column:
    """One named column of a batch.

    Attributes:
        values: ``[rows, ...]``, ``[tokens, ...]``, ``[label positions, ...]``, ``[pairs, ...]``, ``[groups, ...]``, or
            of a ragged axis as many as it has, as ``per`` says.
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

    With three questions of two, three and two choices, each choice a row::

        groups        0 0 | 1 1 1 | 2 2         a group is one question: its rows stay together in every plan
        labels          1     0       1         a column per group

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
        groups: int64 ``[rows]``; the group of each row, numbered from 0 without a gap; None where each row stands for
            itself.
        ragged: further axes, of which a row has any number of values, by name: int64 ``[rows + 1]``; row i has those at
            ``offsets[i]:offsets[i + 1]``.
    """

    offsets: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.int32]
    example_index: NDArray[np.int64]
    columns: Mapping[str, Column] = field(default_factory=dict)
    label_offsets: NDArray[np.int64] | None = None
    label_positions: NDArray[np.int32] | None = None
    groups: NDArray[np.int64] | None = None
    ragged: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each row, int64 ``[rows]``."""
        return np.diff(self.offsets)

    @property
    def unit_count(self) -> int:
        """What a batch size counts: groups, or rows where there are none."""
        return len(self) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    @property
    def unit_lengths(self) -> NDArray[np.int64]:
        """Tokens of each unit of a plan, int64 ``[groups]``, or ``[rows]`` where there are no groups."""
        if self.groups is None:
            return self.lengths
        return np.bincount(self.groups, weights=self.lengths).astype(np.int64)

    @property
    def pair_offsets(self) -> NDArray[np.int64]:
        """Where the pairs of each row begin, int64 ``[rows + 1]``; a row of n label positions has n (n + 1) / 2.

        ::

            label positions    0 1 2        pairs (start, end)    0-0 0-1 0-2 1-1 1-2 2-2

        Raises:
            ValueError: there are no label positions.
        """
        if self.label_offsets is None:
            raise ValueError("a batch without label positions has no pairs of them")
        counts = np.diff(self.label_offsets)
        return _starts(counts * (counts + 1) // 2)

    def select_units(self, units: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Returns the rows of whole groups, or the given rows where there are no groups; see :attr:`unit_lengths`."""
        if self.groups is None:
            return self.select(units)
        by_group, starts = self._by_group
        places, _ = _ranges(starts, np.asarray(units, dtype=np.int64))
        return self.select(by_group[places])

    @cached_property  # of a whole split, from which every step selects
    def _by_group(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows in the order of their groups, and where those of each group begin among them."""
        assert self.groups is not None
        return np.argsort(self.groups, kind="stable"), _starts(np.bincount(self.groups))

    def select(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """Returns the given rows, in the given order, as a batch of their own.

        Groups are numbered anew, in the order in which the rows name them; one that is not chosen whole stays a group.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        tokens, offsets = _ranges(self.offsets, chosen)
        index: dict[str, NDArray[np.int64]] = {"row": chosen, "token": tokens}
        label_offsets, groups, ragged = None, None, {}
        if self.label_offsets is not None:
            index["label"], label_offsets = _ranges(self.label_offsets, chosen)
        if any(column.per == "pair" for column in self.columns.values()):
            index["pair"], _ = _ranges(self.pair_offsets, chosen)
        if self.groups is not None:
            index["group"], groups = _renumbered(self.groups[chosen])
        for axis, of_axis in self.ragged.items():
            index[axis], ragged[axis] = _ranges(of_axis, chosen)
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
            label_positions=None if self.label_positions is None else self.label_positions[index["label"]],
            groups=groups,
            ragged=ragged,
        )

    def count(self, per: Per) -> int:
        """How many values a column has of what it is ``per``."""
        if per == "row":
            return len(self)
        if per == "group":
            return self.unit_count
        return int(self._offsets_of(per)[-1])

    def row_of(self, place: int, per: Per) -> int:
        """The row that a value of a column belongs to, by the place of the value; of a group its first row."""
        if per == "row":
            return place
        if per == "group":
            assert self.groups is not None
            return int(np.argmax(self.groups == place))
        return int(np.searchsorted(self._offsets_of(per), place, side="right")) - 1

    def _offsets_of(self, per: Per) -> NDArray[np.int64]:
        if per == "pair":
            return self.pair_offsets
        offsets = {"token": self.offsets, "label": self.label_offsets, **self.ragged}[per]
        assert offsets is not None
        return offsets

    def without(self, *names: str) -> Batch:
        """Returns the same rows without the named columns (a test split has no labels to hand to a backend)."""
        return replace(self, columns={name: column for name, column in self.columns.items() if name not in names})

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
    groups: Sequence[int] | None = None,
) -> Batch:
    """Builds a batch from one list of tokens per row.

    Args:
        input_ids: token ids of each row.
        token_type_ids: segment of each token of each row.
        columns: further columns, already flat.
        example_index: the example of each row; by default row i comes from example i.
        label_positions: for each row, the tokens that carry a label.
        groups: the group of each row.
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
        groups=None if groups is None else np.asarray(groups, dtype=np.int64),
    )


def _offsets(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    return _starts(np.array([len(row) for row in rows], dtype=np.int64))


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of neighbours of these sizes begins, and where the last one ends."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _renumbered(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The groups in the order of their first rows, and for each row the place of its group among them."""
    #     groups of the rows 7 7 2 2 7    ->    groups 7 2,    rows 0 0 1 1 0
    names, first, of_rows = np.unique(groups, return_index=True, return_inverse=True)
    order = np.argsort(first)
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return names[order], places[of_rows]


def _flat(rows: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    return np.fromiter((value for row in rows for value in row), dtype=np.int32)


def _ranges(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all values of the chosen rows, and the offsets of these rows in the result."""
    #     offsets 0 3 5 9,  rows 2 and 0    ->    indices 5 6 7 8 | 0 1 2,  new offsets 0 4 7
    #
    # One arange over the result, to which each row adds how far its values lie from there: no loop over rows, of which
    # a split has as many as it has examples.
    lengths = offsets[rows + 1] - offsets[rows]
    new_offsets = _starts(lengths)
    indices: NDArray[np.int64] = np.arange(new_offsets[-1], dtype=np.int64)
    indices += np.repeat(offsets[rows] - new_offsets[:-1], lengths)
    return indices, new_offsets
