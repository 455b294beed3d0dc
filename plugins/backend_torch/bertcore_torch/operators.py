"""The operators of torch, in the namespace ``bertcore``, that call the kernels of :mod:`bertcore_kernels`.

Each has a fake kernel, so that ``torch.compile`` and ``torch.export`` know what it gives; :mod:`bertcore_torch.kernels`
gives them gradients. What a kernel computes stands above it in that package's ``source/``.
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


def _operator(schema: str, kernel: Any, fake: Any) -> Any:
    """Defines an operator; returns its only overload."""
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, kernel, "CPU")
    torch.library.register_fake(f"bertcore::{name}", fake, lib=_LIBRARY)
    return getattr(torch.ops.bertcore, name).default


def as_array(tensor: Tensor | None) -> Array:
    """A dense tensor as a kernel takes it; None for what is absent."""
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


def call(name: str, arrays: Sequence[Array]) -> None:
    """Calls a kernel with its inputs and outputs."""
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
    constants: list[float],
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
    constants: list[float],
    trains: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    output = torch.empty_like(values)
    total = torch.empty_like(values) if trains else values.new_empty(0)
    moments = torch.empty(2, values.shape[0])
    mean, inverse = moments.unbind()
    arrays = (
        as_array(values),
        as_array(bias),
        as_array(keep),
        as_array(residual),
        as_array(weight),
        as_array(shift),
        _constants(*constants)[0],
        as_array(output),
        # Each row of the sum has been read when the output of that row is written.
        as_array(total if trains else output),
        as_array(mean),
        as_array(inverse),
    )
    call("add_norm_forward", arrays)
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
    call("add_norm_backward", (*map(as_array, inputs), constants, as_array(_dense(gradient)), *map(as_array, results)))
    return results


def _gelu_fake(values: Tensor, bias: Tensor | None) -> Tensor:
    return torch.empty_like(values)


def _gelu_kernel(values: Tensor, bias: Tensor | None) -> Tensor:
    output = torch.empty_like(values)
    call("gelu_forward", (as_array(values), as_array(bias), as_array(output)))
    return output


def _gelu_backward_fake(values: Tensor, bias: Tensor | None, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(values), _like_vector(bias, values, values.shape[1])


def _gelu_backward_kernel(values: Tensor, bias: Tensor | None, gradient: Tensor) -> tuple[Tensor, Tensor]:
    results = _gelu_backward_fake(values, bias, gradient)
    call("gelu_backward", [as_array(one) for one in (values, bias, _dense(gradient), *results)])
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
    call("attention_forward", (*map(as_array, inputs), _constants(heads, keep_scale)[0], *map(as_array, results)))
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
    inputs = map(as_array, (query_key_value, bias, table, keep))
    constants = _constants(heads, keep_scale)[0]
    call("attention_backward", (*inputs, constants, *map(as_array, (log_sums, _dense(gradient), *results))))
    return results


add_norm = _operator(
    "add_norm(Tensor values, Tensor? bias, Tensor? keep, Tensor? residual, Tensor weight, Tensor shift, "
    "float[] constants, bool trains) -> (Tensor, Tensor, Tensor, Tensor)",
    _add_norm_kernel,
    _add_norm_fake,
)
add_norm_backward = _operator(
    "add_norm_backward(Tensor total, Tensor mean, Tensor inverse, Tensor? keep, Tensor weight, float keep_scale, "
    "Tensor gradient) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _add_norm_backward_kernel,
    _add_norm_backward_fake,
)
gelu = _operator("gelu(Tensor values, Tensor? bias) -> Tensor", _gelu_kernel, _gelu_fake)
gelu_backward = _operator(
    "gelu_backward(Tensor values, Tensor? bias, Tensor gradient) -> (Tensor, Tensor)",
    _gelu_backward_kernel,
    _gelu_backward_fake,
)
attention = _operator(
    "attention(Tensor query_key_value, Tensor? bias, Tensor table, Tensor? keep, int heads, float keep_scale) "
    "-> (Tensor, Tensor)",
    _attention_kernel,
    _attention_fake,
)
attention_backward = _operator(
    "attention_backward(Tensor query_key_value, Tensor? bias, Tensor table, Tensor? keep, int heads, "
    "float keep_scale, Tensor log_sums, Tensor gradient) -> (Tensor, Tensor)",
    _attention_backward_kernel,
    _attention_backward_fake,
)


def _add_weight_gradient_kernel(values: Tensor, gradient: Tensor, total: Tensor) -> None:
    call("weight_gradient", [as_array(one) for one in (_dense(values), _dense(gradient), total)])


def _add_embedding_gradient_kernel(ids: Tensor, gradient: Tensor, total: Tensor) -> None:
    call("embedding_gradient", [as_array(one) for one in (ids, _dense(gradient), total)])


def _in_place(*tensors: Tensor) -> None:
    """What an operator gives that gives nothing."""


add_weight_gradient = _operator(
    "add_weight_gradient(Tensor values, Tensor gradient, Tensor(a!) total) -> ()",
    _add_weight_gradient_kernel,
    _in_place,
)
add_embedding_gradient = _operator(
    "add_embedding_gradient(Tensor ids, Tensor gradient, Tensor(a!) total) -> ()",
    _add_embedding_gradient_kernel,
    _in_place,
)
