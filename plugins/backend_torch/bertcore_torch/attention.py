"""Self-attention over packed rows (Vaswani et al. 2017, arXiv 1706.03762, section 3.2).

Two ways, chosen by :mod:`bertcore_torch.devices`: rows of similar length padded together for the attention alone, or
one variable-length kernel over jagged tensors. Neither lets padding reach a linear layer.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from bertcore.numerics import randomness
from torch import Tensor
from torch.autograd.function import once_differentiable

from bertcore_torch.dropout import Dropout
from bertcore_torch.rows import Bucket, PackedRows


def bucket_attention(
    query_key_value: Tensor, rows: PackedRows, heads: int, dropout: Dropout, site: int, rate: float
) -> Tensor:
    """Every token attends to all tokens of its row.

    Args:
        query_key_value: ``[tokens, 3 * hidden]``.
        rows: give the buckets.
        heads: number of attention heads.
        dropout: drops attention probabilities at ``site`` with ``rate``.
        site: see :mod:`bertcore.numerics.randomness`.
        rate: probability of dropping.

    Returns:
        The context, ``[tokens, hidden]``.
    """
    if dropout.active(rate):
        masks = [
            dropout.keep((bucket.rows * heads, bucket.length, bucket.length), site, rate, query_key_value)
            for bucket in rows.buckets
        ]
        return _DroppedAttention.apply(query_key_value, rows.buckets, heads, masks, randomness.keep_scale(rate))
    contexts = []
    for bucket in rows.buckets:
        padded = _pad(query_key_value[bucket.start : bucket.stop], bucket)
        query, key, value = padded.view(bucket.rows, bucket.length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=bucket.mask)
        contexts.append(_unpad(context.transpose(1, 2).reshape(bucket.rows * bucket.length, -1), bucket))
    return torch.cat(contexts)


def first_token_attention(
    query: Tensor, key_value: Tensor, rows: PackedRows, heads: int, dropout: Dropout, site: int, rate: float
) -> Tensor:
    """Only the first token of each row attends, in a last layer of which nothing else is read.

    Args:
        query: ``[rows, hidden]``, in the order of the packed rows.
        key_value: ``[tokens, 2 * hidden]``.
        rows: give the buckets.
        heads: number of attention heads.
        dropout: drops attention probabilities at ``site`` with ``rate``.
        site: see :mod:`bertcore.numerics.randomness`.
        rate: probability of dropping.

    Returns:
        The context, ``[rows, hidden]``.
    """
    contexts = []
    for bucket, bucket_query in zip(rows.buckets, query.split([bucket.rows for bucket in rows.buckets]), strict=True):
        padded = _pad(key_value[bucket.start : bucket.stop], bucket)
        key, value = padded.view(bucket.rows, bucket.length, 2, heads, -1).permute(2, 0, 3, 1, 4)
        scores = bucket_query.view(bucket.rows, heads, 1, -1) @ key.transpose(2, 3) / math.sqrt(key.shape[-1])
        if bucket.mask is not None:
            scores = scores.masked_fill(~bucket.mask, -math.inf)
        probabilities = dropout(torch.softmax(scores, dim=-1), site, rate)
        contexts.append((probabilities @ value).reshape(bucket.rows, -1))
    return torch.cat(contexts)


def nested_attention(
    query_key_value: Tensor, rows: PackedRows, heads: int, dropout: Dropout, site: int, rate: float
) -> Tensor:
    """The same as :func:`bucket_attention` by one variable-length kernel, without padding.

    ``scaled_dot_product_attention`` over jagged tensors picks flash attention (fp16, bf16) or the memory-efficient
    kernel (fp32) on CUDA; both draw their dropout from the device's default generator, which is seeded for the call
    and put back afterwards. Tested on CPU tensors without dropout; it has not been run on CUDA.
    """
    size = query_key_value.shape[1] // (3 * heads)
    query, key, value = (
        torch.nested.nested_tensor_from_jagged(
            part.contiguous(), rows.offsets, min_seqlen=1, max_seqlen=rows.longest
        ).transpose(1, 2)
        for part in query_key_value.view(-1, 3, heads, size).unbind(1)
    )
    if not dropout.active(rate):
        context = F.scaled_dot_product_attention(query, key, value)
    else:
        with torch.random.fork_rng([query_key_value.device], device_type=query_key_value.device.type):
            torch.manual_seed(dropout.key(site))
            context = F.scaled_dot_product_attention(query, key, value, dropout_p=rate)
    return context.transpose(1, 2).values().reshape(-1, heads * size)


class _DroppedAttention(torch.autograd.Function):
    """Attention with given dropout masks over all buckets, its gradient written by hand.

    By autograd each of these steps would keep its own copy of ``[length, length]`` per head, and make another one on
    the way back; here what is kept is what the gradient reads, and most steps work in place. For one head, with the
    mask m of 0 and 1, the scale s = 1 / (1 - rate) and d for a gradient:

        S = Q K^T / sqrt(size)        dQ = dS K / sqrt(size)      dK = dS^T Q / sqrt(size)
        P = softmax(S)                dS = P * (dP - sum(P * dP)) by row, torch's own kernel
        D = P * m * s                 dP = dD * m * s
        C = D V                       dD = dC V^T                 dV = D^T dC

    Of the padded positions, only keys and values need care: their probability is exactly zero, and so is every
    gradient that reaches them; queries of padding are computed, and left out on the way back.
    """

    @staticmethod
    def forward(
        ctx: Any, query_key_value: Tensor, buckets: tuple[Bucket, ...], heads: int, masks: list[Tensor], scale: float
    ) -> Tensor:
        tokens, width = query_key_value.shape
        hidden = width // 3
        size = hidden // heads
        context = query_key_value.new_empty(tokens, hidden)
        saved: list[Tensor] = []
        for bucket, mask in zip(buckets, masks, strict=True):
            padded = _gather(query_key_value[bucket.start : bucket.stop], bucket.token_of_position)
            query, key, value = _by_head(padded, bucket, 3, heads)
            scores = torch.bmm(query, key.transpose(1, 2)).mul_(1 / math.sqrt(size))
            if bucket.mask is not None:
                shape = (bucket.rows, heads, bucket.length, bucket.length)
                scores.view(shape).masked_fill_(~bucket.mask, -math.inf)
            probabilities = torch.softmax(scores, dim=-1)
            dropped = (probabilities * mask).mul_(scale)
            output = torch.bmm(dropped, value).view(bucket.rows, heads, bucket.length, size)
            output = output.transpose(1, 2).reshape(-1, hidden)
            context[bucket.start : bucket.stop] = _gather(output, bucket.position_of_token)
            saved += [query, key, value, probabilities, mask, dropped]
        ctx.save_for_backward(*saved)
        ctx.buckets, ctx.heads, ctx.scale = buckets, heads, scale
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # type: ignore[override]
        tokens, hidden = gradient.shape
        heads, size = ctx.heads, hidden // ctx.heads
        result = gradient.new_empty(tokens, 3 * hidden)
        for index, bucket in enumerate(ctx.buckets):
            query, key, value, probabilities, mask, dropped = ctx.saved_tensors[6 * index : 6 * index + 6]
            padded = _gather(gradient[bucket.start : bucket.stop], bucket.token_of_position)
            if bucket.padding is not None:
                padded.index_fill_(0, bucket.padding, 0)
            (output_gradient,) = _by_head(padded, bucket, 1, heads)
            dropped_gradient = torch.bmm(output_gradient, value.transpose(1, 2)).mul_(mask).mul_(ctx.scale)
            scores_gradient = torch._softmax_backward_data(dropped_gradient, probabilities, -1, probabilities.dtype)
            scores_gradient.mul_(1 / math.sqrt(size))
            parts = gradient.new_empty(bucket.rows, bucket.length, 3, heads, size)
            for part, value_of_part in enumerate(
                (
                    torch.bmm(scores_gradient, key),
                    torch.bmm(scores_gradient.transpose(1, 2), query),
                    torch.bmm(dropped.transpose(1, 2), output_gradient),
                )
            ):
                parts[:, :, part] = value_of_part.view(bucket.rows, heads, bucket.length, size).transpose(1, 2)
            result[bucket.start : bucket.stop] = _gather(parts.view(-1, 3 * hidden), bucket.position_of_token)
        return result, None, None, None, None


def _by_head(padded: Tensor, bucket: Bucket, parts: int, heads: int) -> Tensor:
    """``[rows * length, parts * hidden]`` as ``[parts, rows * heads, length, size]``."""
    by_head = padded.view(bucket.rows, bucket.length, parts, heads, -1).permute(2, 0, 3, 1, 4)
    return by_head.reshape(parts, bucket.rows * heads, bucket.length, -1)


def _gather(x: Tensor, index: Tensor | None) -> Tensor:
    return x if index is None else x.index_select(0, index)


def _pad(x: Tensor, bucket: Bucket) -> Tensor:
    return x if bucket.mask is None else _Pad.apply(x, bucket)


def _unpad(x: Tensor, bucket: Bucket) -> Tensor:
    return x if bucket.mask is None else _Unpad.apply(x, bucket)


class _Pad(torch.autograd.Function):
    """Tokens to padded positions; a gather both ways, for no gradient comes from padding but zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bucket: Bucket) -> Tensor:
        ctx.bucket = bucket
        return x.index_select(0, bucket.token_of_position)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient.index_select(0, ctx.bucket.position_of_token), None


class _Unpad(torch.autograd.Function):
    """Padded positions to tokens; a gather both ways."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bucket: Bucket) -> Tensor:
        ctx.bucket = bucket
        return x.index_select(0, bucket.position_of_token)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        padded = gradient.index_select(0, ctx.bucket.token_of_position)
        return padded.index_fill_(0, ctx.bucket.padding, 0), None
