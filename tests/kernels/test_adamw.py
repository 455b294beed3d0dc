"""The update of AdamW and the sum of squares, against their formulas in float64."""

from __future__ import annotations

import math

import pytest
import torch
from bertcore_kernels import Kernels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import ABSENT, as_bytes, call, with_each_number_of_threads
from torch import Tensor

many = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(
    size=st.one_of(st.integers(1, 70), st.sampled_from([4095, 4096, 4097, 9001])),
    rates=st.tuples(st.sampled_from([1e-5, 1e-2]), st.sampled_from([0.0, 0.01, 0.5])),
    factor=st.sampled_from([1.0, 0.37, 1e-6]),
    scale=st.sampled_from([1.0, 1e-12, 1e15]),
    copies=st.booleans(),
    clears=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_three_updates(
    kernels: Kernels,
    size: int,
    rates: tuple[float, float],
    factor: float,
    scale: float,
    copies: bool,
    clears: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    parameters = torch.randn(size, generator=generator)
    first, second = torch.zeros(2, size)
    rounded = torch.full((size,), math.nan, dtype=torch.bfloat16) if copies and size > 1 else ABSENT
    exact, mean, square = parameters.double(), torch.zeros(size).double(), torch.zeros(size).double()
    for update in range(1, 4):
        gradient = torch.randn(size, generator=generator) * scale
        gradient[0] = 0
        slope = gradient.double() * factor
        constants = torch.tensor([*rates, 0.9, 0.999, 1e-8, update, factor, clears], dtype=torch.float64)
        kept = gradient.clone()
        call(kernels, "adamw", parameters, first, second, gradient, rounded, constants)
        mean = mean * 0.9 + slope * 0.1
        square = square * 0.999 + slope**2 * 0.001
        direction = mean / (1 - 0.9**update) / ((square / (1 - 0.999**update)).sqrt() + 1e-8)
        exact = exact * (1 - rates[0] * rates[1]) - rates[0] * direction
        assert torch.equal(gradient, torch.zeros(size) if clears else kept)
    torch.testing.assert_close(parameters.double(), exact, rtol=1e-6, atol=1e-5 * rates[0] + 1e-7)
    torch.testing.assert_close(first.double(), mean, rtol=1e-5, atol=1e-6 * scale * factor)
    torch.testing.assert_close(second.double(), square, rtol=1e-5, atol=1e-30)
    if rounded is not ABSENT:
        assert torch.equal(rounded, parameters.bfloat16())


@many
@given(
    size=st.one_of(st.integers(0, 70), st.sampled_from([4095, 4096, 4097, 9001])),
    scale=st.sampled_from([1.0, 1e-15, 1e15]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_sum_of_squares(kernels: Kernels, size: int, scale: float, seed: int) -> None:
    values = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * scale
    found = torch.full((1,), math.nan, dtype=torch.float64)
    call(kernels, "sum_of_squares", values, found)
    assert found.item() == pytest.approx(float(values.double().square().sum()), rel=1e-5)


def test_what_is_no_number_shows_in_the_sum(kernels: Kernels) -> None:
    for value in (math.nan, math.inf, 3e38):
        values = torch.zeros(5001)
        values[4999] = value
        found = torch.zeros(1, dtype=torch.float64)
        call(kernels, "sum_of_squares", values, found)
        assert not math.isfinite(found.item())


def test_bits_do_not_depend_on_the_number_of_threads(kernels: Kernels) -> None:
    generator = torch.Generator().manual_seed(1)
    start, gradient = torch.randn(2, 40001, generator=generator)

    def compute() -> list[Tensor]:
        parameters, moments, copy = start.clone(), torch.zeros(2, 40001), torch.zeros(40001, dtype=torch.bfloat16)
        constants = torch.tensor([1e-3, 0.01, 0.9, 0.999, 1e-8, 1, 1, 0], dtype=torch.float64)
        call(kernels, "adamw", parameters, moments[0], moments[1], gradient, copy, constants)
        total = torch.zeros(1, dtype=torch.float64)
        call(kernels, "sum_of_squares", parameters, total)
        return [parameters, moments, copy, total]

    first, *others = with_each_number_of_threads(kernels, compute)
    assert all(other == first for other in others)
    assert first[0] != as_bytes(start)
