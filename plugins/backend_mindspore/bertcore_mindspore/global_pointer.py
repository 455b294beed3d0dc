"""Spans by a score for each pair of a start and an end (Su et al. 2022, arXiv 2208.03054).

All positions of a bin meet in one matrix for each type, as in the attention, and a mask leaves the pairs of label
positions of one row whose end is not in front of the start. With the rows a and b, and a token without label ``.``::

            a  a  .  a  b  b
         a  o  o  x  o  x  x        o a pair
         a  x  o  x  o  x  x        x blocked
         .  x  x  x  x  x  x
         a  x  x  x  o  x  x        losses are summed over the ends of each start,
         b  x  x  x  x  o  o        and then over the starts of each row
         b  x  x  x  x  x  o
"""

from __future__ import annotations

import math
from typing import ClassVar

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.batch import Per
from bertcore.contracts.bert_config import BertConfig
from bertcore.heads import GlobalPointer
from bertcore.numerics.rotary import rotary_angles
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.divergence import BernoulliDivergence
from bertcore_mindspore.dropout import DropoutPlan
from bertcore_mindspore.encoder import Inputs, Names
from bertcore_mindspore.linear import Linear
from bertcore_mindspore.rows import PackedRows

_BLOCKED = -1e9


class GlobalPointerHead(nn.Cell):
    """:class:`bertcore.heads.GlobalPointer`, plain or efficient."""

    loss_per: ClassVar[Per] = "row"
    reads_first_tokens: ClassVar[bool] = False
    dropout_per: ClassVar[Per | None] = None  # bert4torch has no dropout in front of this layer
    column_names: ClassVar[tuple[str, ...]] = ("cosines", "sines", "no_pair", "gold", "row_tokens", "row_blocked")
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self, config: BertConfig, head: GlobalPointer, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        self.head = head
        self.scores = _SharedScores(head, parameters) if head.efficient else _TypedScores(head, parameters)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.pair_divergence = BernoulliDivergence(device)
        self.exp, self.log = ops.Exp(), ops.Log()
        self.maximum = ops.ReduceMax(keep_dims=True)
        self.sum, self.mean = ops.ReduceSum(), ops.ReduceMean()
        self.relu = ops.ReLU()
        self.gather, self.transpose = ops.Gather(), ops.Transpose()
        self.cast = ops.Cast()

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """The arrays of a call.

        ``cosines``, ``sines``: float32 ``[tokens, head size / 2]``, by the place of a label position in its row;
        ``no_pair``: uint8 ``[bins, 1, length, length]``, 1 where two positions are no pair; ``gold``: uint8 ``[bins,
        types, length, length]``, 1 where a span is; ``row_tokens``, ``row_blocked``: see :meth:`PackedRows.by_row`.
        """
        shape, batch = rows.shape, rows.batch
        assert batch.label_offsets is not None, "the batch has no label positions"
        counts = np.diff(batch.label_offsets)
        place = np.zeros(shape.tokens, dtype=np.int64)
        place[rows.label_positions] = np.arange(batch.label_offsets[-1]) - np.repeat(batch.label_offsets[:-1], counts)
        angles = rotary_angles(place, self.head.head_size)
        row_of = np.full(shape.tokens, -1, dtype=np.int32)
        row_of[rows.label_positions] = np.repeat(np.arange(len(batch)), counts)
        bins = row_of.reshape(shape.bins, 1, shape.length)
        together = (bins[..., None] == bins[..., None, :]) & (bins[..., None] >= 0)
        row_tokens, row_blocked = rows.by_row()
        return {
            "cosines": np.cos(angles).astype(np.float32),
            "sines": np.sin(angles).astype(np.float32),
            "no_pair": 1 - np.triu(together).astype(np.uint8),
            "gold": self._gold(rows),
            "row_tokens": row_tokens,
            "row_blocked": row_blocked,
        }

    def _gold(self, rows: PackedRows) -> NDArray[np.uint8]:
        shape, batch = rows.shape, rows.batch
        gold = np.zeros((shape.bins, self.head.output_size, shape.length, shape.length), dtype=np.uint8)
        spans = batch.columns.get(self.head.label_column)
        if spans is not None and batch.label_offsets is not None:
            kind, start, end = spans.values.astype(np.int64).T
            first = np.repeat(batch.label_offsets[:-1], np.diff(batch.ragged["span"]))
            starts, ends = rows.label_positions[first + start], rows.label_positions[first + end]
            gold[starts // shape.length, kind, starts % shape.length, ends % shape.length] = 1
        return gold

    def empty_output(self, name: str) -> NDArray[np.generic]:
        """No pair, of one number for each type."""
        return np.zeros((0, self.head.output_size), dtype=np.float32)

    def construct(self, hidden: Tensor, batch: Inputs, forward_pass: int) -> dict[str, Tensor]:
        """Returns ``logits``, float32 ``[bins, types, length, length]``."""
        bins, length = batch["no_pair"].shape[0], batch["no_pair"].shape[2]
        hidden = self.cast(hidden, mindspore.float32)
        return {"logits": self.scores(hidden, batch["cosines"], batch["sines"], bins, length)}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each row."""
        scores, gold = self.cast(outputs["logits"], self.wide), self.cast(batch["gold"], self.wide)
        blocked = self.cast(batch["no_pair"], self.wide)
        of_spans = self._log_one_plus_sum((1.0 - gold) * _BLOCKED - scores, batch)
        of_others = self._log_one_plus_sum((blocked + gold) * _BLOCKED + scores, batch)
        return self.cast(of_spans + of_others, mindspore.float32)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """That of each row: over its pairs the sum, over the types the mean, of a sigmoid for each."""
        divergences = self.pair_divergence(outputs["logits"], towards["logits"], temperature)
        of_pairs = self.mean(divergences, 1) * (1.0 - self.cast(batch["no_pair"][:, 0], mindspore.float32))
        by_row = self._by_row(self.sum(of_pairs, -1).reshape(-1, 1), batch)[:, :, 0]
        return self.sum(by_row * (1.0 - batch["row_blocked"]), -1)

    def _log_one_plus_sum(self, values: Tensor, batch: Inputs) -> Tensor:
        """Mean over the types of ``log(1 + sum of e^value)`` over the pairs of a row, where blocked ones are very low.

        Maps ``[bins, types, length, length]`` to ``[rows]``.
        """
        types = values.shape[1]
        highest = ops.stop_gradient(self.maximum(values, -1))
        of_starts = self.log(self.sum(self.exp(values - highest), -1)) + highest[..., 0]
        of_tokens = self.transpose(of_starts, (0, 2, 1)).reshape(-1, types)
        blocked = self.cast(batch["row_blocked"], values.dtype).expand_dims(-1)
        by_row = self._by_row(of_tokens, batch) + blocked * _BLOCKED
        highest = ops.stop_gradient(self.relu(self.maximum(by_row, 1)))  # not below 0, which the 1 stands for
        sums = self.exp(-highest[:, 0]) + self.sum(self.exp(by_row - highest), 1)
        return self.mean(self.log(sums) + highest[:, 0], -1)

    def _by_row(self, of_tokens: Tensor, batch: Inputs) -> Tensor:
        """Maps ``[tokens, n]`` to ``[rows, length, n]``; what stands behind a row is of another."""
        rows, length = batch["row_blocked"].shape
        return self.gather(of_tokens, batch["row_tokens"], 0).reshape(rows, length, -1)


class _Products(nn.Cell):
    """Query of the start times key of the end, both turned by their positions, over the root of their size."""

    def __init__(self, head: GlobalPointer) -> None:
        super().__init__(auto_prefix=False)
        self.size = head.head_size
        self.product = ops.BatchMatMul(transpose_b=True)
        self.transpose = ops.Transpose()
        self.concat = ops.Concat(-1)

    def construct(self, vectors: Tensor, cosines: Tensor, sines: Tensor, bins: int, length: int) -> Tensor:
        """Maps ``[tokens, types * 2 * head size]`` to ``[bins, types, length, length]``."""
        half = self.size // 2
        pairs = vectors.reshape(bins * length, -1, half, 2)
        even, odd = pairs[..., 0], pairs[..., 1]
        cosines, sines = cosines.expand_dims(1), sines.expand_dims(1)
        # Even values stand in front of odd ones now: a product does not see their order.
        turned = self.concat((even * cosines - odd * sines, odd * cosines + even * sines))
        both = self.transpose(turned.reshape(bins, length, -1, 2, self.size), (3, 0, 2, 1, 4))
        return self.product(both[0] * (1.0 / math.sqrt(self.size)), both[1])


class _TypedScores(nn.Cell):
    """Query and key of each type, in the order query, key of the first type, then those of the second."""

    def __init__(self, head: GlobalPointer, parameters: Names) -> None:
        super().__init__(auto_prefix=False)
        name = "global_pointer.dense"
        self.dense = Linear(parameters[f"{name}.weight"], parameters[f"{name}.bias"])
        self.products = _Products(head)

    def construct(self, hidden: Tensor, cosines: Tensor, sines: Tensor, bins: int, length: int) -> Tensor:
        """Maps ``[tokens, hidden]`` to ``[bins, types, length, length]``."""
        return self.products(self.dense(hidden), cosines, sines, bins, length)


class _SharedScores(nn.Cell):
    """One query and key for all types, and for each type what is added at a start and at an end."""

    def __init__(self, head: GlobalPointer, parameters: Names) -> None:
        super().__init__(auto_prefix=False)
        self.types = head.output_size
        p, q = "global_pointer.p_dense", "global_pointer.q_dense"
        self.p_dense = Linear(parameters[f"{p}.weight"], parameters[f"{p}.bias"])
        self.q_dense = Linear(parameters[f"{q}.weight"], parameters[f"{q}.bias"])
        self.products = _Products(head)
        self.transpose = ops.Transpose()

    def construct(self, hidden: Tensor, cosines: Tensor, sines: Tensor, bins: int, length: int) -> Tensor:
        """Maps ``[tokens, hidden]`` to ``[bins, types, length, length]``."""
        shared = self.p_dense(hidden)
        added = self.q_dense(shared).reshape(bins, length, self.types, 2) * 0.5
        by_side = self.transpose(added, (3, 0, 2, 1))
        products = self.products(shared, cosines, sines, bins, length)
        return products + by_side[0].expand_dims(-1) + by_side[1].expand_dims(-2)
