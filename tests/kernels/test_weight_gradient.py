"""Gradients of weights and of embeddings, added to what is there, against float64."""

from __future__ import annotations

import pytest
import torch
from bertcore_kernels import KernelError, Kernels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import EPSILON, call, set_threads

many = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
dtypes = st.sampled_from([torch.float32, torch.bfloat16])


@many
@given(
    shape=st.tuples(st.integers(0, 300), st.integers(1, 110), st.integers(1, 40)),
    dtype=dtypes,
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_gradient_of_a_weight_is_added(
    kernels: Kernels, shape: tuple[int, int, int], dtype: torch.dtype, threads: int, seed: int
) -> None:
    rows, depth, width = shape
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, depth, generator=generator).to(dtype)
    gradient = torch.randn(rows, width, generator=generator).to(dtype)
    before = torch.randn(width, depth, generator=generator)
    total = before.clone()
    set_threads(kernels, threads)
    call(kernels, "weight_gradient", values, gradient, total)
    left, right = gradient.double().T, values.double()
    bound = 4 * EPSILON[torch.float32] * max(rows, 8) ** 0.5 * (left.abs() @ right.abs() + before.abs().double())
    assert ((total.double() - before - left @ right).abs() <= bound).all()


@many
@given(
    shape=st.tuples(st.integers(0, 90), st.integers(1, 70), st.integers(1, 20)),
    dtype=dtypes,
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_gradient_of_embeddings_is_added(
    kernels: Kernels, shape: tuple[int, int, int], dtype: torch.dtype, threads: int, seed: int
) -> None:
    rows, width, entries = shape
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(entries, (rows,), generator=generator)
    gradient = torch.randn(rows, width, generator=generator).to(dtype)
    total = torch.randn(entries, width, generator=generator)
    expected = total.double().index_add(0, ids, gradient.double())
    set_threads(kernels, threads)
    call(kernels, "embedding_gradient", ids, gradient, total)
    torch.testing.assert_close(total.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(kernels: Kernels, dtype: torch.dtype) -> None:
    values, gradient = torch.randn(700, 100).to(dtype), torch.randn(700, 60).to(dtype)
    ids = torch.randint(9, (700,))
    results = []
    for threads in (1, 2, 3):
        set_threads(kernels, threads)
        weight, table = torch.zeros(60, 100), torch.zeros(9, 60)
        call(kernels, "weight_gradient", values, gradient, weight)
        call(kernels, "embedding_gradient", ids, gradient, table)
        results.append(torch.cat([weight.flatten(), table.flatten()]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("wrong", [-1, 4])
def test_an_id_beyond_the_table_is_refused(kernels: Kernels, wrong: int) -> None:
    with pytest.raises(KernelError, match="shape"):
        call(kernels, "embedding_gradient", torch.tensor([0, wrong]), torch.ones(2, 3), torch.zeros(4, 3))
