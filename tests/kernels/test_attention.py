"""Self-attention of rows that lie one behind the other, against its equations in float64 with torch's gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from bertcore_kernels import Kernels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import ABSENT, EPSILON, call, with_each_number_of_threads
from torch import Tensor

many = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEEP_SCALE = 1 / 0.9


@dataclass
class Case:
    """Rows of one input.

    Attributes:
        projected: query, key and value side by side ``[tokens, 3 hidden]``.
        bias: ``[3 hidden]``, or absent.
        table: ``[rows, 5]``.
        keep: bytes of all masks, or absent.
        heads: their number.
        gradient: ``[tokens, hidden]``.
    """

    projected: Tensor
    bias: Tensor
    table: Tensor
    keep: Tensor
    heads: int
    gradient: Tensor


def random_case(
    lengths: list[int], heads: int, size: int, dtype: torch.dtype, scale: float, seed: int, gap: int, padding: int,
    bias: bool, dropped: bool,
) -> Case:  # fmt: skip
    """Behind each row lie ``gap`` tokens of no row, and behind each query's part of its mask ``padding`` bytes."""
    generator = torch.Generator().manual_seed(seed)
    table, tokens, mask = [], gap, 3
    for length in lengths:
        stride = length + padding
        table.append([tokens, length, mask, length * stride, stride])
        tokens += length + gap
        mask += heads * length * stride
    hidden = heads * size
    return Case(
        (torch.randn(tokens, 3 * hidden, generator=generator) * scale).to(dtype),
        torch.randn(3 * hidden, generator=generator).to(dtype) if bias else ABSENT,
        torch.tensor(table, dtype=torch.int64).view(-1, 5),
        torch.rand(mask + 2, generator=generator) > 0.1 if dropped else ABSENT,
        heads,
        torch.randn(tokens, hidden, generator=generator).to(dtype),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    lengths = draw(st.lists(st.one_of(st.integers(0, 20), st.sampled_from([63, 64, 65, 70, 130])), max_size=4))
    heads, size = draw(st.integers(1, 3)), draw(st.integers(1, 35))
    dtype, scale = draw(st.sampled_from([torch.float32, torch.bfloat16])), draw(st.sampled_from([1.0, 3.0]))
    seed, gap, padding = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 3)), draw(st.integers(0, 2))
    return random_case(lengths, heads, size, dtype, scale, seed, gap, padding, draw(st.booleans()), draw(st.booleans()))


def equations(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Context, logarithms of sums, and gradients of the input and of the bias; zero for tokens of no row."""
    projected = case.projected.double().requires_grad_()
    bias = torch.zeros(projected.shape[1], dtype=torch.float64)
    if case.bias is not ABSENT:
        bias += case.bias.double()
    bias.requires_grad_()
    tokens, hidden = case.gradient.shape
    size = hidden // case.heads
    context = projected[:, :hidden] * 0  # also where there are no rows
    log_sums = torch.zeros(case.heads, tokens, dtype=torch.float64)
    for first, length, mask, of_head, of_query in case.table.tolist():
        own = slice(first, first + length)
        query, key, value = (projected[own] + bias).view(length, 3, case.heads, size).permute(1, 2, 0, 3)
        scores = query @ key.transpose(1, 2) / math.sqrt(size)
        shares = torch.softmax(scores, -1)
        if case.keep is not ABSENT and length:
            keep = torch.as_strided(case.keep, (case.heads, length, length), (of_head, of_query, 1), mask)
            shares = shares * keep * float(torch.tensor(KEEP_SCALE))
        context = context.index_put((torch.arange(first, first + length),), (shares @ value).transpose(0, 1).flatten(1))
        log_sums[:, own] = torch.logsumexp(scores.detach(), -1)
    loss = (context * case.gradient.double()).sum()
    gradients = torch.autograd.grad(loss, (projected, bias), allow_unused=True, materialize_grads=True)
    return context.detach(), log_sums, *gradients


def forward(kernels: Kernels, case: Case) -> list[Tensor]:
    context = torch.full_like(case.gradient, math.nan)
    log_sums = torch.full((case.heads, len(context)), math.nan)
    constants = torch.tensor([case.heads, KEEP_SCALE])
    call(kernels, "attention_forward", case.projected, case.bias, case.table, case.keep, constants, context, log_sums)
    return [context, log_sums]


def backward(kernels: Kernels, case: Case, log_sums: Tensor) -> list[Tensor]:
    outputs = [torch.full_like(case.projected, math.nan), torch.full(case.bias.shape, math.nan)]
    constants = torch.tensor([case.heads, KEEP_SCALE])
    inputs = (case.projected, case.bias, case.table, case.keep, constants, log_sums, case.gradient)
    call(kernels, "attention_backward", *inputs, *outputs)
    return outputs


def assert_close(found: Tensor, expected: Tensor, dtype: torch.dtype, share: float) -> None:
    """Within a share of the largest value, beside the rounding of each value to its dtype."""
    if not expected.numel():
        return
    bound = share * (expected.abs().max() + 1e-3) + 2 * EPSILON[dtype] * expected.abs()
    assert not torch.isnan(found).any()
    assert ((found.double() - expected).abs() <= bound).all(), (found.double() - expected).abs().max()


@many
@given(case=cases())
def test_attention_and_its_gradients(kernels: Kernels, case: Case) -> None:
    context, log_sums, of_projected, of_bias = equations(case)
    dtype = case.projected.dtype
    # A score of float32 errs by a share of its size, and its power of e by as much.
    largest_sum = float(log_sums.abs().max()) if log_sums.numel() else 0.0
    share = 4 * EPSILON[torch.float32] * (8 + largest_sum)
    found = forward(kernels, case)
    assert_close(found[0], context, dtype, share)
    assert_close(found[1], log_sums, torch.float32, share)
    gradients = backward(kernels, case, found[1])
    assert_close(gradients[0], of_projected, dtype, 8 * share)
    if case.bias is not ABSENT:
        # The sums of the bias are those of what was rounded to the dtype of the input.
        rounding = float(2 * EPSILON[dtype] * of_projected.abs().sum(0).max()) if len(of_projected) else 0.0
        assert_close(gradients[1], of_bias, torch.float32, 8 * share + rounding / float(of_bias.abs().max() + 1e-3))


def test_scores_so_far_apart_that_one_token_takes_all(kernels: Kernels) -> None:
    """Scores of 1e4, and one token whose value is 1e30: a token looks at itself and at nothing else."""
    tokens, size = 21, 24
    projected = torch.zeros(tokens, 3 * size)
    projected[:, :tokens] = projected[:, size : size + tokens] = torch.eye(tokens) * 300
    values = torch.randn(tokens, size, generator=torch.Generator().manual_seed(0))
    values[5] = 1e30
    projected[:, 2 * size :] = values
    case = Case(projected, ABSENT, torch.tensor([[0, tokens, 0, 0, 0]]), ABSENT, 1, values)
    context, log_sums = forward(kernels, case)
    torch.testing.assert_close(context, values)
    torch.testing.assert_close(log_sums, torch.full((1, tokens), 300**2 / math.sqrt(size)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(kernels: Kernels, dtype: torch.dtype) -> None:
    case = random_case([70, 3, 129, 0, 64, 90, 31], 3, 17, dtype, 1.0, 1, 1, 1, bias=True, dropped=True)

    def compute() -> list[Tensor]:
        context, log_sums = forward(kernels, case)
        return [context, log_sums, *backward(kernels, case, log_sums)]

    first, *others = with_each_number_of_threads(kernels, compute)
    assert all(other == first for other in others)
