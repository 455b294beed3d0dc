"""Operators of torch, in the namespace ``bertcore``, which are calls of the kernels of :mod:`bertcore_kernels`.

Each has a fake kernel, so that ``torch.compile`` and ``torch.export`` know what it gives, and those of a layer have a
function with a gradient: :func:`add_norm`, :func:`gelu` and :func:`attention`. What a kernel computes stands above it
in that package's ``source/``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from bertcore.numerics.kernels import find_kernels
from bertcore_kernels import Array
from torch import Tensor
from torch.autograd.function import once_differentiable

_LIBRARY = torch.library.Library("bertcore", "DEF")
_NAMES = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.bfloat16: "bfloat16",
    torch.bool: "bool",
    torch.int64: "int64",
}
_NOTHING = ctypes.c_float(0.0)
_ABSENT = Array(ctypes.addressof(_NOTHING), (1,), "float32")


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
        return _add_norm(values, bias, keep, residual, norm.weight, norm.bias, norm.eps, keep_scale, False)[0]
    return _AddNorm.apply(values, bias, keep, residual, norm.weight, norm.bias, norm.eps, keep_scale)


def gelu(values: Tensor, bias: Tensor | None) -> Tensor:
    """Exact GeLU of ``values + bias``, ``[rows, width]`` and ``[width]``."""
    if not torch.is_grad_enabled():
        return _gelu(values, bias)
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
        return _attention(query_key_value, bias, table, keep, heads, keep_scale)[0]
    return _Attention.apply(query_key_value, bias, table, keep, heads, keep_scale)


def add_weight_gradient(values: Tensor, gradient: Tensor, total: Tensor) -> None:
    """Adds ``gradient.T @ values``, of ``[rows, width]`` and ``[rows, depth]``, to float32 ``[width, depth]``."""
    _add_weight_gradient(values, gradient, total)


def add_embedding_gradient(ids: Tensor, gradient: Tensor, total: Tensor) -> None:
    """Adds ``[rows, width]`` to those rows of float32 ``[entries, width]`` that int64 ``[rows]`` names."""
    _add_embedding_gradient(ids, gradient, total)


def sum_of_squares(values: Tensor) -> float:
    """The sum of the squares of float32 values, in float64."""
    total = ctypes.c_double()
    _call("sum_of_squares", (_array(values), Array(ctypes.addressof(total), (1,), "float64")))
    return total.value


def adamw(
    parameters: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    gradient: Tensor,
    copy: Tensor | None,
    learning_rate: float,
    weight_decay: float,
    beta1: float,
    beta2: float,
    eps: float,
    updates: int,
    factor: float,
) -> None:
    """Updates float32 parameters and moments of one size, and leaves their gradient at zero.

    Args:
        parameters: flat.
        first_moment: flat.
        second_moment: flat.
        gradient: flat; it is multiplied by ``factor``.
        copy: bfloat16; it takes the parameters.
        learning_rate: of this update.
        weight_decay: as torch's.
        beta1: as torch's.
        beta2: as torch's.
        eps: as torch's.
        updates: how many there are with this one.
        factor: of the gradient.
    """
    constants = (ctypes.c_double * 8)(learning_rate, weight_decay, beta1, beta2, eps, updates, factor, 1.0)
    arrays = [_array(one) for one in (parameters, first_moment, second_moment, gradient, copy)]
    _call("adamw", (*arrays, Array(ctypes.addressof(constants), (8,), "float64")))


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, *arguments: Any) -> Tensor:
        output, total, mean, inverse = _add_norm(values, *arguments, True)
        _, keep, _, weight, _, _, ctx.keep_scale = arguments
        ctx.save_for_backward(total, mean, inverse, keep, weight)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        total, mean, inverse, keep, weight = ctx.saved_tensors
        of_values, of_residual, of_bias, of_weight, of_shift = _add_norm_backward(
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
            None,
        )


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(values, bias)
        return _gelu(values, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        of_values, of_bias = _gelu_backward(*ctx.saved_tensors, gradient)
        return of_values, of_bias if ctx.needs_input_grad[1] else None


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query_key_value: Tensor, *arguments: Any) -> Tensor:
        context, log_sums = _attention(query_key_value, *arguments)
        bias, table, keep, ctx.heads, ctx.keep_scale = arguments
        ctx.save_for_backward(query_key_value, bias, table, keep, log_sums)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        query_key_value, bias, table, keep, log_sums = ctx.saved_tensors
        of_all, of_bias = _attention_backward(
            query_key_value, bias, table, keep, ctx.heads, ctx.keep_scale, log_sums, gradient
        )
        return of_all, of_bias if ctx.needs_input_grad[1] else None, None, None, None, None


def _operator(schema: str, kernel: Any, fake: Any) -> Any:
    """Defines an operator; returns its only overload."""
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, kernel, "CPU")
    torch.library.register_fake(f"bertcore::{name}", fake, lib=_LIBRARY)
    return getattr(torch.ops.bertcore, name).default


def _array(tensor: Tensor | None) -> Array:
    if tensor is None:
        return _ABSENT
    assert tensor.is_contiguous()
    return Array(tensor.data_ptr(), tensor.shape, _NAMES[tensor.dtype])


def _dense(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_contiguous() else tensor.contiguous()


@lru_cache(maxsize=64)
def _constants(*values: float) -> tuple[Array, Any]:
    """Float32 constants as a kernel takes them, and the memory that they lie in."""
    memory = (ctypes.c_float * len(values))(*values)
    return Array(ctypes.addressof(memory), (len(values),), "float32"), memory


def _call(name: str, arrays: Sequence[Array]) -> None:
    kernels, problem = find_kernels()
    assert kernels is not None, problem
    kernels.call(name, arrays)


def _like_vector(bias: Tensor | None, values: Tensor, width: int) -> Tensor:
    """Where the gradient of a bias goes; of one that is absent, too."""
    return torch.empty(width, dtype=values.dtype if bias is None else bias.dtype)


def _add_norm_fake(
    values: Tensor,
    bias: Tensor | None,
    keep: Tensor | None,
    residual: Tensor | None,
    weight: Tensor,
    shift: Tensor,
    eps: float,
    keep_scale: float,
    trains: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = values.new_empty(values.shape[0], dtype=torch.float32)
    output = torch.empty_like(values)
    return output, torch.empty_like(values) if trains else values.new_empty(0), rows, torch.empty_like(rows)


def _add_norm_kernel(
    values: Tensor,
    bias: Tensor | None,
    keep: Tensor | None,
    residual: Tensor | None,
    weight: Tensor,
    shift: Tensor,
    eps: float,
    keep_scale: float,
    trains: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    output = torch.empty_like(values)
    total = torch.empty_like(values) if trains else values.new_empty(0)
    moments = torch.empty(2, values.shape[0])
    mean, inverse = moments.unbind()
    arrays = (
        _array(values),
        _array(bias),
        _array(keep),
        _array(residual),
        _array(weight),
        _array(shift),
        _constants(eps, keep_scale)[0],
        _array(output),
        # Each row of the sum has been read when the output of that row is written.
        _array(total if trains else output),
        _array(mean),
        _array(inverse),
    )
    _call("add_norm_forward", arrays)
    return output, total, mean, inverse


def _add_norm_backward_fake(
    total: Tensor,
    mean: Tensor,
    inverse: Tensor,
    keep: Tensor | None,
    weight: Tensor,
    keep_scale: float,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    vectors = [torch.empty_like(weight) for _ in range(3)]
    return torch.empty_like(total), torch.empty_like(total), vectors[0], vectors[1], vectors[2]


def _add_norm_backward_kernel(
    total: Tensor,
    mean: Tensor,
    inverse: Tensor,
    keep: Tensor | None,
    weight: Tensor,
    keep_scale: float,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    results = _add_norm_backward_fake(total, mean, inverse, keep, weight, keep_scale, gradient)
    inputs = (total, mean, inverse, keep, weight)
    constants = _constants(0.0, keep_scale)[0]
    _call("add_norm_backward", (*map(_array, inputs), constants, _array(_dense(gradient)), *map(_array, results)))
    return results


def _gelu_fake(values: Tensor, bias: Tensor | None) -> Tensor:
    return torch.empty_like(values)


def _gelu_kernel(values: Tensor, bias: Tensor | None) -> Tensor:
    output = torch.empty_like(values)
    _call("gelu_forward", (_array(values), _array(bias), _array(output)))
    return output


def _gelu_backward_fake(values: Tensor, bias: Tensor | None, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(values), _like_vector(bias, values, values.shape[1])


def _gelu_backward_kernel(values: Tensor, bias: Tensor | None, gradient: Tensor) -> tuple[Tensor, Tensor]:
    results = _gelu_backward_fake(values, bias, gradient)
    _call("gelu_backward", [_array(one) for one in (values, bias, _dense(gradient), *results)])
    return results


def _attention_fake(
    query_key_value: Tensor, bias: Tensor | None, table: Tensor, keep: Tensor | None, heads: int, keep_scale: float
) -> tuple[Tensor, Tensor]:
    tokens, width = query_key_value.shape
    log_sums = query_key_value.new_empty(heads, tokens, dtype=torch.float32)
    return query_key_value.new_empty(tokens, width // 3), log_sums


def _attention_kernel(
    query_key_value: Tensor, bias: Tensor | None, table: Tensor, keep: Tensor | None, heads: int, keep_scale: float
) -> tuple[Tensor, Tensor]:
    results = _attention_fake(query_key_value, bias, table, keep, heads, keep_scale)
    inputs = (query_key_value, bias, table, keep)
    _call("attention_forward", (*map(_array, inputs), _constants(heads, keep_scale)[0], *map(_array, results)))
    return results


def _attention_backward_fake(
    query_key_value: Tensor,
    bias: Tensor | None,
    table: Tensor,
    keep: Tensor | None,
    heads: int,
    keep_scale: float,
    log_sums: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query_key_value), _like_vector(bias, query_key_value, query_key_value.shape[1])


def _attention_backward_kernel(
    query_key_value: Tensor,
    bias: Tensor | None,
    table: Tensor,
    keep: Tensor | None,
    heads: int,
    keep_scale: float,
    log_sums: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor]:
    results = _attention_backward_fake(query_key_value, bias, table, keep, heads, keep_scale, log_sums, gradient)
    inputs = map(_array, (query_key_value, bias, table, keep))
    constants = _constants(heads, keep_scale)[0]
    _call("attention_backward", (*inputs, constants, *map(_array, (log_sums, _dense(gradient), *results))))
    return results


_add_norm = _operator(
    "add_norm(Tensor values, Tensor? bias, Tensor? keep, Tensor? residual, Tensor weight, Tensor shift, float eps, "
    "float keep_scale, bool trains) -> (Tensor, Tensor, Tensor, Tensor)",
    _add_norm_kernel,
    _add_norm_fake,
)
_add_norm_backward = _operator(
    "add_norm_backward(Tensor total, Tensor mean, Tensor inverse, Tensor? keep, Tensor weight, float keep_scale, "
    "Tensor gradient) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _add_norm_backward_kernel,
    _add_norm_backward_fake,
)
_gelu = _operator("gelu(Tensor values, Tensor? bias) -> Tensor", _gelu_kernel, _gelu_fake)
_gelu_backward = _operator(
    "gelu_backward(Tensor values, Tensor? bias, Tensor gradient) -> (Tensor, Tensor)",
    _gelu_backward_kernel,
    _gelu_backward_fake,
)
_attention = _operator(
    "attention(Tensor query_key_value, Tensor? bias, Tensor table, Tensor? keep, int heads, float keep_scale) "
    "-> (Tensor, Tensor)",
    _attention_kernel,
    _attention_fake,
)
_attention_backward = _operator(
    "attention_backward(Tensor query_key_value, Tensor? bias, Tensor table, Tensor? keep, int heads, "
    "float keep_scale, Tensor log_sums, Tensor gradient) -> (Tensor, Tensor)",
    _attention_backward_kernel,
    _attention_backward_fake,
)


def _add_weight_gradient_kernel(values: Tensor, gradient: Tensor, total: Tensor) -> None:
    _call("weight_gradient", [_array(one) for one in (_dense(values), _dense(gradient), total)])


def _add_embedding_gradient_kernel(ids: Tensor, gradient: Tensor, total: Tensor) -> None:
    _call("embedding_gradient", [_array(one) for one in (ids, _dense(gradient), total)])


def _in_place(*tensors: Tensor) -> None:
    """What an operator gives that gives nothing."""


_add_weight_gradient = _operator(
    "add_weight_gradient(Tensor values, Tensor gradient, Tensor(a!) total) -> ()",
    _add_weight_gradient_kernel,
    _in_place,
)
_add_embedding_gradient = _operator(
    "add_embedding_gradient(Tensor ids, Tensor gradient, Tensor(a!) total) -> ()",
    _add_embedding_gradient_kernel,
    _in_place,
)
