"""Calls of compiled kernels with tensors of torch, which serves as the oracle in float64."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from bertcore_kernels import Array, Kernels
from torch import Tensor

ABSENT = torch.zeros(1)
EPSILON = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-9}
"""Largest relative error of rounding to a dtype."""


def array(tensor: Tensor) -> Array:
    assert tensor.is_contiguous()
    return Array(tensor.data_ptr(), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def call(kernels: Kernels, name: str, *tensors: Tensor) -> None:
    kernels.call(name, [array(tensor) for tensor in tensors])


def set_threads(kernels: Kernels, count: int) -> None:
    """Says with how many threads kernels compute from now on, by the OpenMP that their library was linked with."""
    ctypes.CDLL(str(kernels.path)).omp_set_num_threads(count)


def with_each_number_of_threads(kernels: Kernels, compute: Callable[[], Sequence[Tensor]]) -> list[list[bytes]]:
    """The bytes of all results with one to four threads, and with four once more."""
    results = []
    for count in (1, 2, 3, 4, 4):
        set_threads(kernels, count)
        results.append([as_bytes(tensor) for tensor in compute()])
    return results


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def assert_within(found: Tensor, expected: Tensor, bound: Tensor | float) -> None:
    """That every value lies within its bound, beside what rounding to its own dtype takes."""
    rounding = 2 * EPSILON[found.dtype] * expected.abs() + 2 * torch.finfo(found.dtype).tiny
    excess = (found.double() - expected).abs() - rounding - bound
    assert torch.isfinite(excess).all()
    assert excess.numel() == 0 or excess.max() <= 0, f"beyond its bound by {excess.max():.1e}"
