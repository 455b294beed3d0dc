"""GeLU, and LayerNorm of what is added, against torch in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from bertcore_kernels import Kernels
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kernel_calls import ABSENT, EPSILON, assert_within, call, with_each_number_of_threads
from torch import Tensor

many = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = st.sampled_from([torch.float32, torch.bfloat16])
KEEP_SCALE = 1 / 0.9
EPS = 1e-12


@dataclass
class Case:
    """Random inputs: what a kernel can do without may be absent."""

    values: Tensor
    bias: Tensor
    keep: Tensor
    residual: Tensor
    weight: Tensor
    shift: Tensor
    gradient: Tensor

    def total(self) -> Tensor:
        """What is normalized, in float64."""
        total = self.values.double()
        total = total if self.bias is ABSENT else total + self.bias.double()
        total = total if self.keep is ABSENT else total * self.keep * float(torch.tensor(KEEP_SCALE))
        return total if self.residual is ABSENT else total + self.residual.double()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(0, 40)), draw(st.integers(1, 71))
    assume(rows * width != 1)  # one value alone stands for what is absent
    dtype, scale = draw(DTYPES), draw(st.sampled_from([1.0, 1e4, 1e-3]))
    seed, present = draw(st.integers(0, 2**32 - 1)), draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    return random_case(rows, width, dtype, scale, seed, *present)


def random_case(
    rows: int, width: int, dtype: torch.dtype, scale: float, seed: int, bias: bool, keep: bool, residual: bool
) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=generator) * scale).to(dtype)

    mask = torch.rand(rows, width, generator=generator) > 0.1
    return Case(
        normal(rows, width),
        normal(width) if bias else ABSENT,
        mask if keep else ABSENT,
        normal(rows, width) if residual else ABSENT,
        normal(width),
        normal(width),
        normal(rows, width),
    )


def add_norm_forward(kernels: Kernels, case: Case) -> list[Tensor]:
    output, total = torch.full_like(case.values, math.nan), torch.full_like(case.values, math.nan)
    mean, inverse = torch.full((2, len(output)), math.nan)
    constants = torch.tensor([EPS, KEEP_SCALE])
    inputs = (case.values, case.bias, case.keep, case.residual, case.weight, case.shift, constants)
    call(kernels, "add_norm_forward", *inputs, output, total, mean, inverse)
    return [output, total, mean, inverse]


def add_norm_backward(kernels: Kernels, case: Case, total: Tensor, mean: Tensor, inverse: Tensor) -> list[Tensor]:
    outputs = [torch.full_like(case.values, math.nan) for _ in range(2)]
    outputs += [torch.full((case.values.shape[1],), math.nan) for _ in range(3)]
    constants = torch.tensor([EPS, KEEP_SCALE])
    call(kernels, "add_norm_backward", total, mean, inverse, case.keep, case.weight, constants, case.gradient, *outputs)
    return outputs


def gelu_forward(kernels: Kernels, values: Tensor, bias: Tensor) -> Tensor:
    output = torch.full_like(values, math.nan)
    call(kernels, "gelu_forward", values, bias, output)
    return output


def gelu_backward(kernels: Kernels, values: Tensor, bias: Tensor, gradient: Tensor) -> list[Tensor]:
    outputs = [torch.full_like(values, math.nan), torch.full(bias.shape, math.nan)]
    call(kernels, "gelu_backward", values, bias, gradient, *outputs)
    return outputs


@many
@given(case=cases())
def test_layer_norm_of_a_sum(kernels: Kernels, case: Case) -> None:
    output, total, mean, inverse = add_norm_forward(kernels, case)
    exact = case.total()
    width = exact.shape[1]
    expected_mean = exact.mean(1)
    expected_inverse = ((exact - expected_mean[:, None]).square().mean(1) + EPS).rsqrt()
    # A sum of float32 errs by a share of its largest part; where a row's values are nearly equal, that share grows.
    parts = case.values.double().abs() + (0 if case.bias is ABSENT else case.bias.double().abs())
    size = parts + (0 if case.residual is ABSENT else case.residual.double().abs())
    error = 16 * EPSILON[torch.float32] * size.amax(1, keepdim=True)
    assert_within(total, exact, error)
    assert_within(mean, expected_mean, error[:, 0])
    normalized = (exact - expected_mean[:, None]) * expected_inverse[:, None]
    amplified = error * expected_inverse[:, None]
    kept = amplified[:, 0] < 0.01  # a row of equal values has no direction: any is right
    of_inverse = 2 * amplified[:, 0] * expected_inverse * math.sqrt(width)
    assert_within(inverse[kept], expected_inverse[kept], of_inverse[kept])
    expected = normalized * case.weight.double() + case.shift.double()
    of_normalized = 4 * amplified * math.sqrt(width) + 8 * EPSILON[torch.float32] * normalized.abs()
    bound = of_normalized * case.weight.double().abs() + 8 * EPSILON[torch.float32] * case.shift.double().abs()
    assert_within(output[kept], expected[kept], bound[kept])


@many
@given(case=cases())
def test_gradients_of_layer_norm_of_a_sum(kernels: Kernels, case: Case) -> None:
    exact = case.total()
    total = exact.to(case.values.dtype)
    leaf = total.double().requires_grad_()
    mean = leaf.detach().mean(1)
    inverse = ((leaf.detach() - mean[:, None]).square().mean(1) + EPS).rsqrt()
    outputs = add_norm_backward(kernels, case, total, mean.float(), inverse.float())
    weight, shift = (part.double().requires_grad_() for part in (case.weight, case.shift))
    normalized = torch.nn.functional.layer_norm(leaf, leaf.shape[1:], weight, shift, EPS)
    above = case.gradient.double()
    expected, of_weight, of_shift = torch.autograd.grad((normalized * above).sum(), (leaf, weight, shift))
    of_values = expected if case.keep is ABSENT else expected * case.keep * float(torch.tensor(KEEP_SCALE))

    epsilon, width = EPSILON[torch.float32], leaf.shape[1]
    # As the sum errs, so does what is normalized; and a row's gradient by as much of its largest part.
    wrong = epsilon * (8 + 8 * (leaf.detach().abs().amax(1) * inverse) * math.sqrt(width))
    inner = (above * case.weight.double()).abs().amax(1)
    bound = (wrong * inner * inverse * 4 * math.sqrt(width))[:, None]
    scale = 1.0 if case.keep is ABSENT else KEEP_SCALE
    assert_within(outputs[1], expected, bound)
    assert_within(outputs[0], of_values, bound * scale)
    sums = epsilon * (len(leaf) + 8) * of_values.abs().sum(0)
    assert_within(outputs[2], of_values.sum(0), bound.sum() * scale + sums)
    assert_within(outputs[3], of_weight, (wrong[:, None] * above.abs()).sum(0) * (math.sqrt(width) + len(leaf)))
    assert_within(outputs[4], of_shift, epsilon * (len(leaf) + 8) * above.abs().sum(0))


@many
@given(case=cases())
def test_gelu_and_its_gradient(kernels: Kernels, case: Case) -> None:
    values = case.values.double().requires_grad_()
    bias = torch.zeros(case.values.shape[1], dtype=torch.float64) if case.bias is ABSENT else case.bias.double()
    bias.requires_grad_()
    expected = torch.nn.functional.gelu(values + bias)
    of_values, of_bias = torch.autograd.grad((expected * case.gradient.double()).sum(), (values, bias))
    # 1e-7 is the bound of the approximation; what is added is rounded to float32 before.
    magnitude = values.detach().abs() + bias.detach().abs()
    bound = 4e-7 * magnitude.clamp(min=1e-3)
    assert_within(gelu_forward(kernels, case.values, case.bias), expected.detach(), bound)
    found = gelu_backward(kernels, case.values, case.bias, case.gradient)
    slope_bound = 1e-6 * case.gradient.double().abs() * magnitude.clamp(1, 20)
    assert_within(found[0], of_values, slope_bound)
    if case.bias is not ABSENT:
        assert_within(found[1], of_bias, slope_bound.sum(0) + 1e-6 * of_values.abs().sum(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_gelu_of_extreme_values(kernels: Kernels, dtype: torch.dtype) -> None:
    extreme = [0.0, 1e30, -1e30, 3e38, -3e38, 88.0, -88.0, 13.0, -13.0, math.inf, 1.0]
    values = torch.tensor([extreme], dtype=dtype)
    expected = torch.tensor([[max(value, 0.0) for value in values[0].tolist()]], dtype=dtype)
    expected[0, -1] = torch.nn.functional.gelu(values[0, -1].double())
    torch.testing.assert_close(gelu_forward(kernels, values, ABSENT), expected, rtol=1e-6, atol=1e-20)
    slopes = (expected > 0).to(dtype)
    slopes[0, 0], slopes[0, -1] = 0.5, 1.0833154705876864
    finite = torch.isfinite(values)
    found, _ = gelu_backward(kernels, values, ABSENT, torch.ones_like(values))
    torch.testing.assert_close(found[finite], slopes[finite], rtol=1e-6, atol=1e-20)
    not_a_number = torch.full((1, 3), math.nan, dtype=dtype)
    assert torch.isnan(gelu_forward(kernels, not_a_number, ABSENT)).all()


def test_gelu_of_numbers_below_the_normal_ones(kernels: Kernels) -> None:
    values = torch.tensor([[1e-40, -1e-40, 1.4e-45, 1e-38]])
    torch.testing.assert_close(gelu_forward(kernels, values, ABSENT), values / 2, rtol=1e-4, atol=1.5e-45)


def test_layer_norm_of_large_and_of_equal_values(kernels: Kernels) -> None:
    """Squares stay within float32; equal values leave the shift."""
    case = random_case(3, 37, torch.float32, 1.0, 0, bias=False, keep=False, residual=False)
    case.values[0] *= 1e15
    case.values[1] = 1e-40
    case.values[2] = 7.5
    output, _, _, inverse = add_norm_forward(kernels, case)
    expected = torch.nn.functional.layer_norm(case.values[0].double(), (37,), case.weight.double(), case.shift.double())
    torch.testing.assert_close(output[0].double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output[1:], case.shift.expand(2, -1), rtol=0, atol=1e-6)
    torch.testing.assert_close(inverse[1:], torch.full((2,), 1e6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(kernels: Kernels, dtype: torch.dtype) -> None:
    case = random_case(301, 77, dtype, 1.0, 1, bias=True, keep=True, residual=True)

    def compute() -> list[Tensor]:
        forward = add_norm_forward(kernels, case)
        backward = add_norm_backward(kernels, case, *forward[1:])
        gelu = gelu_forward(kernels, case.values, case.bias)
        return [*forward, *backward, gelu, *gelu_backward(kernels, case.values, case.bias, case.gradient)]

    first, *others = with_each_number_of_threads(kernels, compute)
    assert all(other == first for other in others)
