"""Linear layers and embeddings whose products and gradients go to what is fastest on a CPU.

PyTorch sends float32 products to MKL, which is slower than oneDNN on AMD processors (a tenth on a Zen 4, half on a
Zen 5); bfloat16 goes to oneDNN anyhow. The operator is the one that ``torch.compile`` emits for frozen models; without
it, and on every other device, this is ``F.linear``.

With the fused kernels the gradient of a weight is added in float32 where the optimizer reads it, in whatever precision
the layer computes: autograd makes no tensor of it, and nobody adds it up::

    micro-batch 1    gradient^T x  --+
    micro-batch 2    gradient^T x  --+->  total: a part of the optimizer's gradient
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None = None) -> Tensor:
    """Returns ``x @ weight.T + bias`` for ``x`` of ``[rows, in]``.

    Args:
        x: ``[rows, in]``.
        weight: ``[out, in]``.
        bias: ``[out]``, or None.
        total: float32 ``[out, in]``, to which the fused kernel adds the gradient of the weight; None for autograd.
    """
    if torch.is_grad_enabled() and (total is not None or _goes_to_onednn(x)):
        return _Linear.apply(x, weight, bias, total)
    return _product(x, weight, bias)


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`.

    Attributes:
        total: as there.
    """

    total: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[rows, out]``."""
        return linear(x, self.weight, self.bias, self.total)

    def product(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what this layer gives but for its bias, and the bias; or all of it and None, with an adapter."""
        if self._forward_hooks:
            return self(x), None
        return linear(x, self.weight, None, self.total), self.bias


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
            return super().forward(hidden)
        asks, answers = slice(self.in_features), slice(self.in_features, None)
        return self._part(asks, hidden.index_select(0, first)), self._part(answers, hidden)

    def _part(self, rows: slice, x: Tensor) -> Tensor:
        return linear(x, self.weight[rows], self.bias[rows], None if self.total is None else self.total[rows])


class Embedding(nn.Embedding):
    """``nn.Embedding``, whose gradient the fused kernel adds to what there is.

    Attributes:
        total: float32 ``[entries, width]``, to which it is added; None for autograd.
    """

    total: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        """Returns ``[tokens, width]``."""
        if self.total is None:
            return super().forward(ids)
        return _Embedding.apply(ids, self.weight, self.total)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.total = total
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        of_weight = None
        if wants_weight and ctx.total is None:
            of_weight = gradient.t() @ x
        elif wants_weight:
            from bertcore_torch.kernels import add_weight_gradient

            add_weight_gradient(x, gradient, ctx.total)
        return (
            _product(gradient, weight.t(), None) if wants_x else None,
            of_weight,
            gradient.sum(0) if wants_bias else None,
            None,
        )


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, total: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.total = total
        return F.embedding(ids, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:  # type: ignore[override]
        from bertcore_torch.kernels import add_embedding_gradient

        if ctx.needs_input_grad[1]:
            add_embedding_gradient(ctx.saved_tensors[0], gradient, ctx.total)
        return None, None, None


def _goes_to_onednn(x: Tensor) -> bool:
    return HAS_ONEDNN and x.dtype == torch.float32 and x.is_cpu


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if _goes_to_onednn(x):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)
