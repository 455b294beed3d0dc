"""Spans by a score for each pair of a start and an end (Su et al. 2022, arXiv 2208.03054).

Rows of similar length share padded matrices for the products alone (:mod:`bertcore_torch.pairs`); losses are taken over
the real pairs, one behind the other.
"""

from __future__ import annotations

import math

import torch
from bertcore.contracts.bert_config import BertConfig
from bertcore.heads import GlobalPointer
from bertcore.numerics.rotary import rotary_angles
from torch import Tensor, nn

from bertcore_torch.divergence import bernoulli_divergence
from bertcore_torch.dropout import Dropout
from bertcore_torch.heads import HeadModule, Reads, last_linear
from bertcore_torch.pairs import PairBucket, Pairs
from bertcore_torch.rows import HeadBatch


class GlobalPointerHead(HeadModule):
    """:class:`bertcore.heads.GlobalPointer`, plain or efficient."""

    reads: Reads = "tokens"

    def __init__(self, config: BertConfig, head: GlobalPointer) -> None:
        super().__init__()
        self.label_column = head.label_column
        scores = _SharedScores if head.efficient else _TypedScores
        self.global_pointer = scores(config.hidden_size, head.output_size, head.head_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``, ``[pairs, types]``."""
        assert batch.label_tokens is not None, "the batch has no label positions"
        return {"logits": self.global_pointer(hidden.index_select(0, batch.label_tokens), batch.pairs)}

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row: over the types, the mean of the multi-label cross entropy of its pairs."""
        logits, pairs = outputs["logits"], batch.pairs
        kind, start, end = batch.columns[self.label_column].long().unbind(1)
        row = batch.ragged_rows["span"]
        pair, types = pairs.numbers(row, start, end), logits.shape[1]
        gold = torch.zeros_like(logits, dtype=torch.bool).index_put((pair, kind), torch.ones_like(kind).bool())
        of_spans = _log_one_plus_sum(-logits[pair, kind, None], row * types + kind, len(batch) * types)
        of_others = _log_one_plus_sum(logits.masked_fill(gold, -math.inf), pairs.rows, len(batch))
        return of_spans.view(-1, types).mean(dim=1) + of_others.mean(dim=1)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives that of each row: over its pairs the sum, over the types the mean, of a sigmoid for each."""
        divergences = bernoulli_divergence(outputs["logits"], towards["logits"], temperature).mean(dim=1)
        return divergences.new_zeros(len(batch)).index_add(0, batch.pairs.rows, divergences)


class _TypedScores(nn.Module):
    """Query and key of each type, in the order query, key of the first type, then those of the second."""

    def __init__(self, hidden_size: int, types: int, head_size: int) -> None:
        super().__init__()
        self.shape = (types, 2, head_size)
        self.dense = nn.Linear(hidden_size, types * 2 * head_size)

    def forward(self, hidden: Tensor, pairs: Pairs) -> Tensor:
        """Maps ``[label positions, hidden]`` to ``[pairs, types]``."""
        projected = last_linear(self.dense, hidden).view(len(hidden), *self.shape)
        return _products(_turned(projected, pairs), pairs)


class _SharedScores(nn.Module):
    """One query and key for all types, and for each type what is added at a start and at an end."""

    def __init__(self, hidden_size: int, types: int, head_size: int) -> None:
        super().__init__()
        self.types, self.head_size = types, head_size
        self.p_dense = nn.Linear(hidden_size, 2 * head_size)
        self.q_dense = nn.Linear(2 * head_size, 2 * types)

    def forward(self, hidden: Tensor, pairs: Pairs) -> Tensor:
        """Maps ``[label positions, hidden]`` to ``[pairs, types]``."""
        shared = last_linear(self.p_dense, hidden)
        start, end = (last_linear(self.q_dense, shared).view(len(hidden), self.types, 2) / 2).unbind(2)
        products = _products(_turned(shared.view(len(hidden), 1, 2, self.head_size), pairs), pairs)
        return products + start.index_select(0, pairs.starts) + end.index_select(0, pairs.ends)


def _turned(vectors: Tensor, pairs: Pairs) -> Tensor:
    """Turns ``[label positions, types, 2, head size]`` by the place of each label position in its row."""
    angles = torch.from_numpy(rotary_angles(pairs.within, vectors.shape[-1]))[:, None, None]
    cosine, sine = angles.cos().to(vectors), angles.sin().to(vectors)
    even, odd = vectors[..., 0::2], vectors[..., 1::2]
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


def _products(vectors: Tensor, pairs: Pairs) -> Tensor:
    """Query of the start times key of the end, over the root of their size: ``[pairs, types]``."""
    types, size = vectors.shape[1], vectors.shape[3]
    matrices = [_matrices(vectors, bucket) for bucket in pairs.buckets]
    # Without any label position there is nothing to multiply; the empty sum keeps the graph.
    by_place = torch.cat(matrices) if matrices else vectors.sum() * vectors.new_zeros(0, types)
    return by_place.index_select(0, pairs.places) / math.sqrt(size)


def _matrices(vectors: Tensor, bucket: PairBucket) -> Tensor:
    """The products of all places of a bucket, ``[rows * length * length, types]``."""
    _, types, _, size = vectors.shape
    padded = vectors.index_select(0, bucket.positions).view(bucket.rows, bucket.length, types, 2, size)
    query, key = padded.permute(3, 0, 2, 1, 4)
    return (query @ key.transpose(2, 3)).permute(0, 2, 3, 1).reshape(-1, types)


def _log_one_plus_sum(values: Tensor, segments: Tensor, count: int) -> Tensor:
    """``log(1 + sum of e^value)`` over the values of each segment, ``[n, ...]`` to ``[count, ...]``.

    The highest value is taken out of the sum, but for 0, which the 1 stands for: nothing overflows.
    """
    shape = (count, *values.shape[1:])
    index = segments.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    highest = values.new_zeros(shape).scatter_reduce(0, index, values.detach(), "amax")
    sums = torch.exp(-highest).index_add(0, segments, torch.exp(values - highest.index_select(0, segments)))
    return highest + torch.log(sums)
