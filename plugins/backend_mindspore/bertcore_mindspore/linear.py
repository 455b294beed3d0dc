"""The linear layer, which all devices share."""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import Parameter, Tensor, nn, ops


class Linear(nn.Cell):
    """``x weight^T + bias``, computed in the dtype of ``x``; called as the layer of an adapter, which drops values."""

    def __init__(self, weight: Parameter, bias: Parameter, product: nn.Cell | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.weight = weight
        self.bias = bias
        self.product = ops.MatMul(transpose_b=True) if product is None else product
        self.add = ops.BiasAdd()
        self.cast = ops.Cast()

    def construct(self, values: Tensor, masks: Sequence[Tensor] = (), forward_pass: int = 0) -> Tensor:
        """Maps ``[rows, in]`` to ``[rows, out]``."""
        weight = self.cast(self.weight, values.dtype)
        return self.add(self.product(values, weight), self.cast(self.bias, values.dtype))
