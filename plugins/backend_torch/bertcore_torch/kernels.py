"""The fused kernels of :mod:`bertcore_kernels` as functions of torch: those of a layer with a gradient, and an update.

What a kernel computes stands above it in that package's ``source/``; as operators of torch they are defined in
:mod:`bertcore_torch.operators`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from bertcore_kernels import Array
from torch import Tensor
from torch.autograd.function import once_differentiable

from bertcore_torch import operators


def add_norm(
    values: Tensor,
    bias: Tensor | None,
    keep: Tensor | None,
    keep_scale: float,
    residual: Tensor | None,
    norm: torch.nn.LayerNorm,
) -> Tensor:
    """LayerNorm of ``(values + bias) * keep * keep_scale + residual``.

    Args:
        values: ``[rows, width]``.
        bias: ``[width]``, or None.
        keep: bool ``[rows * width]``, or None where nothing is dropped.
        keep_scale: factor of what is kept.
        residual: ``[rows, width]``, or None.
        norm: with weight and bias.
    """
    if not torch.is_grad_enabled():
        return operators.add_norm(values, bias, keep, residual, norm.weight, norm.bias, [norm.eps, keep_scale], False)[
            0
        ]
    return _AddNorm.apply(values, bias, keep, residual, norm.weight, norm.bias, [norm.eps, keep_scale])


def gelu(values: Tensor, bias: Tensor | None) -> Tensor:
    """Exact GeLU of ``values + bias``, ``[rows, width]`` and ``[width]``."""
    if not torch.is_grad_enabled():
        return operators.gelu(values, bias)
    return _Gelu.apply(values, bias)


def attention(
    query_key_value: Tensor, bias: Tensor | None, table: Tensor, keep: Tensor | None, keep_scale: float, heads: int
) -> Tensor:
    """Every token attends to all tokens of its row.

    Args:
        query_key_value: ``[tokens, 3 * hidden]``.
        bias: ``[3 * hidden]``, or None.
        table: int64 ``[rows, 5]``: first token, tokens, and where the row's part of ``keep`` begins, with its strides
            from head to head and from query to query.
        keep: bool, which probabilities are kept, or None.
        keep_scale: factor of what is kept.
        heads: number of attention heads.

    Returns:
        The context, ``[tokens, hidden]``.
    """
    if not torch.is_grad_enabled():
        return operators.attention(query_key_value, bias, table, keep, heads, keep_scale)[0]
    return _Attention.apply(query_key_value, bias, table, keep, heads, keep_scale)


def add_weight_gradient(values: Tensor, gradient: Tensor, total: Tensor) -> None:
    """Adds ``gradient.T @ values``, of ``[rows, width]`` and ``[rows, depth]``, to float32 ``[width, depth]``."""
    operators.add_weight_gradient(values, gradient, total)


def add_embedding_gradient(ids: Tensor, gradient: Tensor, total: Tensor) -> None:
    """Adds ``[rows, width]`` to those rows of float32 ``[entries, width]`` that int64 ``[rows]`` names."""
    operators.add_embedding_gradient(ids, gradient, total)


def sum_of_squares(values: Tensor) -> float:
    """The sum of the squares of float32 values, in float64."""
    total = ctypes.c_double()
    operators.call("sum_of_squares", (operators.as_array(values), Array(ctypes.addressof(total), (1,), "float64")))
    return total.value


@dataclass(frozen=True)
class AdamWRule:
    """How values are updated, by the formulas and names of ``torch.optim.AdamW``.

    Attributes:
        learning_rate, weight_decay, beta1, beta2, eps: as torch's.
        updates: how many there are with this one.
        factor: the gradient is multiplied by it.
    """

    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    eps: float
    updates: int
    factor: float


def adamw(values: Sequence[Tensor], copy: Tensor | None, rule: AdamWRule) -> None:
    """Updates float32 parameters and moments, and leaves their gradient at zero.

    Args:
        values: parameters, first moment, second moment and gradient, flat and of one size.
        copy: bfloat16; it takes the parameters.
        rule: of this update.
    """
    constants = (ctypes.c_double * 8)(*astuple(rule), 1.0)
    arrays = [operators.as_array(one) for one in (*values, copy)]
    operators.call("adamw", (*arrays, Array(ctypes.addressof(constants), (8,), "float64")))


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, *arguments: Any) -> Tensor:
        output, total, mean, inverse = operators.add_norm(values, *arguments, True)
        _, keep, _, weight, _, (_, ctx.keep_scale) = arguments
        ctx.save_for_backward(total, mean, inverse, keep, weight)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        total, mean, inverse, keep, weight = ctx.saved_tensors
        of_values, of_residual, of_bias, of_weight, of_shift = operators.add_norm_backward(
            total, mean, inverse, keep, weight, ctx.keep_scale, gradient
        )
        _, asks_bias, _, asks_residual, *_ = ctx.needs_input_grad
        return (
            of_values,
            of_bias if asks_bias else None,
            None,
            of_residual if asks_residual else None,
            of_weight,
            of_shift,
            None,
        )


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(values, bias)
        return operators.gelu(values, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        of_values, of_bias = operators.gelu_backward(*ctx.saved_tensors, gradient)
        return of_values, of_bias if ctx.needs_input_grad[1] else None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query_key_value: Tensor, *arguments: Any) -> Tensor:
        context, log_sums = operators.attention(query_key_value, *arguments)
        bias, table, keep, ctx.heads, ctx.keep_scale = arguments
        ctx.save_for_backward(query_key_value, bias, table, keep, log_sums)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        query_key_value, bias, table, keep, log_sums = ctx.saved_tensors
        of_all, of_bias = operators.attention_backward(
            query_key_value, bias, table, keep, ctx.heads, ctx.keep_scale, log_sums, gradient
        )
        return of_all, of_bias if ctx.needs_input_grad[1] else None, None, None, None, None
