"""Products of large matrices by the oneDNN that MindSpore brings, against float64."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from bertcore_kernels import KernelError, Kernels, library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import EPSILON, call, set_threads
from torch import Tensor

many = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def products(kernels: Kernels) -> Kernels:
    found = importlib.util.find_spec("mindspore")
    files = sorted(Path(found.origin).parent.glob("lib/libdnnl.so*")) if found and found.origin else []
    if not files:
        pytest.skip("needs MindSpore's libdnnl")
    assert kernels.use_onednn(files[0])
    return kernels


@many
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40), st.integers(1, 40)),
    large=st.booleans(),
    rounds=st.booleans(),
    threads=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_and_their_gradients(
    products: Kernels, shape: tuple[int, int, int], large: bool, rounds: bool, threads: int, seed: int
) -> None:
    rows, depth, width = (extent * 9 if large else extent for extent in shape)
    generator = torch.Generator().manual_seed(seed)
    values, weight = torch.randn(rows, depth, generator=generator), torch.randn(width, depth, generator=generator)
    gradient = torch.randn(rows, width, generator=generator)
    constants = torch.tensor([float(rounds), 0.0])
    output, of_values, of_weight = torch.zeros(rows, width), torch.zeros(rows, depth), torch.zeros(width, depth)
    set_threads(products, threads)
    call(products, "product_forward", values, weight, constants, output)
    call(products, "product_backward", values, weight, gradient, constants, of_values, of_weight)

    def assert_product(found: Tensor, left: Tensor, right: Tensor) -> None:
        inputs = [(part.bfloat16() if rounds else part).double() for part in (left, right)]
        bound = 4 * EPSILON[torch.float32] * max(left.shape[1], 8) ** 0.5 * (inputs[0].abs() @ inputs[1].abs()) + 1e-30
        assert ((found.double() - inputs[0] @ inputs[1]).abs() <= bound).all()

    assert_product(output, values, weight.T)
    assert_product(of_values, gradient, weight)
    assert_product(of_weight, gradient.T, values)


def test_without_onednn_a_product_is_refused(tmp_path: Path) -> None:
    """A file that has none is no reason to crash."""
    found = library.load(library.usable_levels()[0])
    shutil.copy(found.path, tmp_path / "another.so")
    fresh = library.Kernels(tmp_path / "another.so", found.level)
    assert not fresh.use_onednn(tmp_path / "absent.so")
    with pytest.raises(KernelError, match="oneDNN is absent or refuses"):
        call(fresh, "product_forward", torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2), torch.zeros(2, 2))
