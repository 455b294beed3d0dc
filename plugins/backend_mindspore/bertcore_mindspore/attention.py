"""Self-attention over bins (Vaswani et al. 2017, arXiv 1706.03762, section 3.2); ``devices.py`` chooses its form.

A bin holds several rows one after the other. All its positions meet in one matrix of scores, and a mask keeps the rows
apart: a bin with the rows a and b and one free position is

            a  a  a  b  b  -
         a  .  .  .  x  x  x        . allowed
         a  .  .  .  x  x  x        x blocked, probability exactly zero
         a  .  .  .  x  x  x
         b  x  x  x  .  .  x
         b  x  x  x  .  .  x
         -  x  x  x  x  x  .        a free position sees free ones, so that no softmax divides by zero
"""

from __future__ import annotations

import math

import mindspore
from mindspore import Tensor, nn, ops

from bertcore.contracts.bert_config import BertConfig

_BLOCKED = -1e9


class _ComposedSoftmax(nn.Cell):
    """Softmax over the last dimension; the gradient sums rows by products with ones."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.softmax = ops.Softmax(-1)
        self.product = ops.MatMul()
        self.reshape = ops.Reshape()

    def construct(self, values: Tensor) -> Tensor:
        """Normalizes ``[..., length]``."""
        return self.softmax(values)

    def bprop(self, values: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """Gradient with regard to the values."""
        length = values.shape[-1]
        weighted = output * gradient
        sums = self.product(self.reshape(weighted, (-1, length)), ops.ones((length, 1), mindspore.float32))
        spread = self.reshape(self.product(sums, ops.ones((1, length), mindspore.float32)), values.shape)
        return (weighted - output * spread,)


class ComposedAttention(nn.Cell):
    """Scaled dot-product attention of matrix products and a softmax in float32."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(auto_prefix=False)
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scale = 1.0 / math.sqrt(self.head_size)
        self.softmax = _ComposedSoftmax()
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.context = ops.BatchMatMul()
        self.transpose = ops.Transpose()
        self.reshape = ops.Reshape()
        self.cast = ops.Cast()

    def prepare(self, blocked: Tensor) -> Tensor:
        """Turns ``[bins, 1, length, length]`` into what is added to the scores of every layer, spread over heads."""
        shape = blocked.shape
        additive = self.cast(blocked, mindspore.float32) * _BLOCKED
        return ops.broadcast_to(additive, (shape[0], self.heads, shape[2], shape[3]))

    def split(self, values: Tensor, bins: int, length: int) -> Tensor:
        """Maps ``[tokens, hidden]`` to ``[bins, heads, length, head size]``."""
        return self.transpose(self.reshape(values, (bins, length, self.heads, self.head_size)), (0, 2, 1, 3))

    def construct(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        dropout: nn.Cell,
        dropout_masks: tuple[Tensor, ...],
        forward_pass: int,
    ) -> Tensor:
        """Maps ``[tokens, hidden]`` three times to the context ``[tokens, hidden]``."""
        bins, length = mask.shape[0], mask.shape[2]
        scores = self.scores(self.split(query * self.scale, bins, length), self.split(key, bins, length))
        probabilities = self.softmax(self.cast(scores, mindspore.float32) + mask)
        kept = dropout(self.cast(probabilities, query.dtype), dropout_masks, forward_pass)
        context = self.context(kept, self.split(value, bins, length))
        return self.reshape(self.transpose(context, (0, 2, 1, 3)), query.shape)


class FlashAttention(nn.Cell):
    """Fused attention of Ascend where no probability is dropped, and composed attention where some are."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(auto_prefix=False)
        self.heads = config.num_attention_heads
        self.scale = 1.0 / math.sqrt(config.hidden_size // config.num_attention_heads)
        self.composed = ComposedAttention(config)
        self.reshape = ops.Reshape()

    def prepare(self, blocked: Tensor) -> Tensor:
        """Keeps the mask as it is; the primitive reads 1 as blocked."""
        return blocked

    def construct(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        dropout: nn.Cell,
        dropout_masks: tuple[Tensor, ...],
        forward_pass: int,
    ) -> Tensor:
        """Maps ``[tokens, hidden]`` three times to the context ``[tokens, hidden]``."""
        if dropout.active or query.dtype == mindspore.float32:
            additive = self.composed.prepare(mask)
            return self.composed(query, key, value, additive, dropout, dropout_masks, forward_pass)
        shape = (mask.shape[0], mask.shape[2], query.shape[1])
        context = ops.flash_attention_score(
            self.reshape(query, shape),
            self.reshape(key, shape),
            self.reshape(value, shape),
            self.heads,
            attn_mask=mask,
            scalar_value=self.scale,
            input_layout="BSH",
        )
        return self.reshape(context, query.shape)
