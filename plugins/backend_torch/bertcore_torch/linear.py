"""A linear layer that asks oneDNN for its float32 products on a CPU.

PyTorch sends float32 products to MKL, which is a tenth slower than oneDNN on AMD processors (a training step of BERT
on one core of a Zen 4: 1.11 times as fast); bfloat16 goes to oneDNN anyhow. The operator is the one that
``torch.compile`` emits for frozen models; without it, and on every other device, this is ``F.linear``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns ``x @ weight.T + bias`` for ``x`` of ``[rows, in]``."""
    if HAS_ONEDNN and x.dtype == torch.float32 and x.device.type == "cpu":
        return _OneDnnLinear.apply(x, weight, bias)
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[rows, out]``."""
        return linear(x, self.weight, self.bias)

    def product(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what this layer gives but for its bias, and the bias; or all of it and None, with an adapter."""
        if self._forward_hooks:
            return self(x), None
        return linear(x, self.weight, None), self.bias


class QueryKeyValue(Linear):
    """The three projections of an attention in one product; their weights lie one below the other.

             hidden
    query  [        ]  rows 0 to hidden
    key    [        ]
    value  [        ]
    """

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, 3 * hidden)

    def forward(self, hidden: Tensor, first: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Projects all tokens, or only some of them to queries.

        Args:
            hidden: ``[tokens, hidden]``.
            first: int64 ``[rows]``, the tokens that ask; None for all.

        Returns:
            ``[tokens, 3 * hidden]``; or the queries ``[rows, hidden]``, and keys and values ``[tokens, 2 * hidden]``.
        """
        if first is None:
            return linear(hidden, self.weight, self.bias)
        size = self.in_features
        query = linear(hidden.index_select(0, first), self.weight[:size], self.bias[:size])
        return query, linear(hidden, self.weight[size:], self.bias[size:])


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t(), None) if wants_x else None,
            # No faster there than here.
            gradient.t() @ x if wants_weight else None,
            gradient.sum(0) if wants_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
