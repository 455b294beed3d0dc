"""From a ragged batch to tensors on a device: tokens of all rows one after the other, without padding.

The rows are sorted by length, so that rows of similar length lie together and the attention can pad a few of them at
a time, a *bucket*. Nothing outside the encoder sees this order. Of the rows a (2 tokens), b (5), c (3) and d (4):

    batch             a a b b b b b c c c d d d d
    packed            a a c c c d d d d b b b b b        what every linear layer sees: 14 tokens, 14 positions
    two buckets       a a -        d d d d -             only the attention pads, 6 + 10 positions
                      c c c        b b b b b             (one padded matrix would have 20)

:class:`PaddedRows` is the usual padded form, for encoders that know no other. The names are those of
:mod:`bertcore_mindspore.rows`, whose rows lie in bins of one length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from bertcore.contracts.batch import Batch
from numpy.typing import NDArray
from torch import Tensor

from bertcore_torch.pairs import Pairs, pairs_of

MOST_BUCKETS = 4


@dataclass(frozen=True)
class Bucket:
    """Rows of similar length that the attention pads to the longest of them.

    What a padded bucket needs beside is laid out when it is first asked for; it is None where no row is padded.

    Attributes:
        lengths: tokens of each row.
        start: the bucket's first token among all packed ones.
        device: where its tensors lie.
    """

    lengths: NDArray[np.int64]
    start: int
    device: torch.device

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.lengths)

    @cached_property
    def length(self) -> int:
        """Tokens of the longest."""
        return int(self.lengths.max())

    @cached_property
    def stop(self) -> int:
        """One past the bucket's last token."""
        return self.start + int(self.lengths.sum())

    @cached_property
    def mask(self) -> Tensor | None:
        """Bool ``[rows, 1, 1, length]``, True on tokens."""
        if not self._is_padded:
            return None
        return torch.from_numpy(self._holds_token).view(self.rows, 1, 1, self.length).to(self.device)

    @cached_property
    def token_of_position(self) -> Tensor | None:
        """Int64 ``[rows * length]``, a token for each padded position, counted from ``start``; at padding the last."""
        if not self._is_padded:
            return None
        first = np.cumsum(self.lengths) - self.lengths
        tokens = first[:, None] + np.minimum(np.arange(self.length), self.lengths[:, None] - 1)
        return _tensor(tokens.reshape(-1), self.device)

    @cached_property
    def position_of_token(self) -> Tensor | None:
        """Int64 ``[stop - start]``, the padded position of each token."""
        return _tensor(np.flatnonzero(self._holds_token), self.device) if self._is_padded else None

    @cached_property
    def padding(self) -> Tensor | None:
        """Int64, the padded positions that hold no token."""
        return _tensor(np.flatnonzero(~self._holds_token), self.device) if self._is_padded else None

    @property
    def _is_padded(self) -> bool:
        return self.stop - self.start < self.rows * self.length

    @property
    def _holds_token(self) -> NDArray[np.bool_]:
        return np.arange(self.length) < self.lengths[:, None]


@dataclass(frozen=True)
class PackedRows:
    """The tokens of a batch end to end, rows sorted by length.

    Attributes:
        input_ids: int64 ``[tokens]``.
        token_type_ids: int64 ``[tokens]``.
        position_ids: int64 ``[tokens]``.
        buckets: for attention in buckets; they cover all tokens in order.
        offsets: int64 ``[rows + 1]``; row i holds the tokens ``offsets[i]:offsets[i + 1]``.
        longest: tokens of the longest row.
        token_of_batch: int64 ``[tokens]``; for each token of the batch, in its order, the packed token.
        row_of_batch: int64 ``[rows]``; for each row of the batch the packed row.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    position_ids: Tensor
    buckets: tuple[Bucket, ...]
    offsets: Tensor
    longest: int
    token_of_batch: Tensor
    row_of_batch: Tensor
    _tables: dict[int, tuple[Tensor, int]] = field(default_factory=dict)

    def table(self, heads: int) -> tuple[Tensor, int]:
        """Where the attention over all rows, without buckets, finds the tokens of each and its dropout mask.

        The masks are those of the buckets, one behind the other; numpy draws them by four::

            first token | tokens | place of the mask | length ** 2 | length      length: of the row's bucket

        Returns:
            Int64 ``[rows, 5]``, and the size of all masks.
        """
        if heads not in self._tables:
            parts, place = [], 0
            for bucket in self.buckets:
                row = np.arange(bucket.rows)
                area = bucket.length**2
                part = np.empty((bucket.rows, 5), dtype=np.int64)
                part[:, 0] = bucket.start + np.cumsum(bucket.lengths) - bucket.lengths
                part[:, 1] = bucket.lengths
                part[:, 2] = place + row * heads * area
                part[:, 3:] = area, bucket.length
                parts.append(part)
                place += bucket.rows * heads * area
                place += -place % 4
            self._tables[heads] = _tensor(np.concatenate(parts), self.offsets.device), place
        return self._tables[heads]


@dataclass(frozen=True)
class PaddedRows:
    """The tokens of a batch, padded to its longest row.

    Attributes:
        input_ids: int64 ``[rows, length]``.
        attention_mask: bool ``[rows, length]``, True on tokens.
        token_type_ids: int64 ``[rows, length]``.
        token_of_batch: int64 ``[tokens]``; position of each token of the batch, in its order, in ``[rows * length]``.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    token_of_batch: Tensor


@dataclass(frozen=True)
class HeadBatch:
    """What a head reads beside the hidden states, in the order of the batch.

    Attributes:
        columns: name to values, as in the batch.
        ignore: name to the value that takes no part in the loss, where there is one.
        lengths: int64 ``[rows]``, tokens of each row, on the host.
        label_tokens: int64 ``[label positions]``; the token of the batch at each label position, or None.
        label_rows: int64 ``[label positions]``; the row of each label position, or None.
        label_lengths: int64 ``[rows]``, label positions of each row, on the host; or None.
        ragged_rows: name of a further axis to the row of each of its values, int64.
        groups: int64 ``[rows]``; the group of each row, or None.
    """

    columns: Mapping[str, Tensor]
    ignore: Mapping[str, float]
    lengths: NDArray[np.int64]
    label_tokens: Tensor | None
    label_rows: Tensor | None
    label_lengths: NDArray[np.int64] | None
    ragged_rows: Mapping[str, Tensor] = field(default_factory=dict)
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of the label positions, laid out when a head first asks for them."""
        assert self.label_lengths is not None, "the batch has no label positions"
        assert self.label_rows is not None
        return pairs_of(self.label_lengths, self.label_rows.device)


def pack(batch: Batch, position_offset: int, device: torch.device, token_types: bool = True) -> PackedRows:
    """Sorts the rows of a batch by length and puts them on a device.

    Args:
        batch: at least one row, each of at least one token.
        position_offset: position id of a row's first token.
        device: where the tensors go.
        token_types: whether those of the batch count; else all tokens are of type 0.
    """
    order = np.argsort(batch.lengths, kind="stable")
    ordered = batch.select(order)
    lengths, offsets = ordered.lengths, ordered.offsets
    position_ids = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + position_offset
    row_of_batch = np.empty_like(order)
    row_of_batch[order] = np.arange(len(order))
    first_of_row = offsets[:-1][row_of_batch]
    within_row = np.arange(offsets[-1]) - np.repeat(batch.offsets[:-1], batch.lengths)
    return PackedRows(
        input_ids=_tensor(ordered.input_ids, device),
        token_type_ids=_tensor(ordered.token_type_ids * token_types, device),
        position_ids=_tensor(position_ids, device),
        buckets=tuple(
            Bucket(lengths[part], int(offsets[part[0]]), device)
            for part in np.array_split(np.arange(len(order)), min(MOST_BUCKETS, len(order)))
        ),
        offsets=_tensor(offsets, device),
        longest=int(lengths[-1]),
        token_of_batch=_tensor(np.repeat(first_of_row, batch.lengths) + within_row, device),
        row_of_batch=_tensor(row_of_batch, device),
    )


def pad_rows(batch: Batch, pad_token_id: int, device: torch.device) -> PaddedRows:
    """Pads the rows of a batch and puts them on a device.

    Args:
        batch: at least one row.
        pad_token_id: token id of padding.
        device: where the tensors go.
    """
    padded = batch.padded(len(batch), int(batch.lengths.max()), pad_token_id)
    return PaddedRows(
        input_ids=_tensor(padded.input_ids, device),
        attention_mask=torch.from_numpy(padded.attention_mask).to(device),
        token_type_ids=_tensor(padded.token_type_ids, device),
        # A mask as an index would make the device tell the host how many tokens there are.
        token_of_batch=_tensor(np.flatnonzero(padded.attention_mask), device),
    )


def head_batch(batch: Batch, device: torch.device) -> HeadBatch:
    """Puts the columns of a batch on a device."""
    label_tokens = label_rows = label_lengths = None
    if batch.label_offsets is not None and batch.label_positions is not None:
        label_lengths = np.diff(batch.label_offsets)
        rows = np.repeat(np.arange(len(batch)), label_lengths)
        label_rows = _tensor(rows, device)
        label_tokens = _tensor(batch.offsets[rows] + batch.label_positions, device)
    return HeadBatch(
        columns={name: torch.tensor(column.values, device=device) for name, column in batch.columns.items()},
        ignore={name: column.ignore for name, column in batch.columns.items() if column.ignore is not None},
        lengths=batch.lengths,
        label_tokens=label_tokens,
        label_rows=label_rows,
        label_lengths=label_lengths,
        ragged_rows={
            axis: _tensor(np.repeat(np.arange(len(batch)), np.diff(offsets)), device)
            for axis, offsets in batch.ragged.items()
        },
        groups=None if batch.groups is None else _tensor(batch.groups, device),
    )


def _tensor(values: NDArray[np.integer], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(device)
