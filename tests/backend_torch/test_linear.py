"""The linear layer by oneDNN against the plain one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bertcore_torch.linear import HAS_ONEDNN, linear


@pytest.mark.skipif(not HAS_ONEDNN, reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize("rows", [1, 2, 67, 1031])
@pytest.mark.parametrize("sliced", [False, True], ids=["whole", "a part of a joined weight"])
@pytest.mark.parametrize("trained", [(True, True, True), (False, True, False), (True, False, True)], ids=str)
def test_values_and_gradients(rows: int, sliced: bool, trained: tuple[bool, bool, bool]) -> None:
    joined = torch.randn(3 * 40, 24)
    weight = joined[40:80] if sliced else joined
    values = [torch.randn(rows, 24), weight, torch.randn(len(weight))]
    # From a column of something wider, so that the gradient that arrives is not contiguous.
    wide = torch.randn(rows, 2 * len(weight))
    results = []
    for function, dtype in ((linear, torch.float32), (F.linear, torch.float64)):
        inputs = [
            value.detach().to(dtype).requires_grad_(wanted) for value, wanted in zip(values, trained, strict=True)
        ]
        output = function(*inputs)
        (torch.cat([output, output], dim=1) * wide.to(dtype)).sum().backward()
        results.append([output, *(value.grad for value in inputs)])
    for actual, expected in zip(*results, strict=True):
        if expected is None:
            assert actual is None
        else:
            torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-4)
    assert "_LinearBackward" in type(results[0][0].grad_fn).__name__
