"""LoRA beside linear layers, as a part of the compiled graph; the frozen weight has no gradient there.

The code of an adapter for this backend is a class like :class:`LoraLinears`: made by ``Class(adapter, table)`` from its
description and the table of the session, with ``masks`` and ``beside``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mindspore import Parameter, Tensor, nn, ops

from bertcore.contracts.parameters import ParameterSpec
from bertcore.numerics.lora import A_SUFFIX, B_SUFFIX, Lora
from bertcore.numerics.randomness import adapter_input
from bertcore_mindspore.dropout import Dropout, DropoutPlan
from bertcore_mindspore.linear import Linear


class LoraLinears:
    """:class:`bertcore.numerics.lora.Lora` beside the layers of an encoder.

    Attributes:
        masks: site to rate and width of what is dropped there.
    """

    def __init__(self, lora: Lora, table: Mapping[str, ParameterSpec]) -> None:
        self._lora = lora
        self.masks = {
            adapter_input(target): (lora.dropout, table[f"{target}{A_SUFFIX}"].shape[1]) for target in lora.targets
        }

    def beside(self, name: str, linear: Linear, parameters: Mapping[str, Parameter], dropout: DropoutPlan) -> nn.Cell:
        """A linear layer with its branch, or as it is where it is no target.

        Args:
            name: its canonical name.
            linear: the layer.
            parameters: canonical name to parameter.
            dropout: which masks are applied.
        """
        if name not in self._lora.targets:
            return linear
        a, b = parameters[f"{name}{A_SUFFIX}"], parameters[f"{name}{B_SUFFIX}"]
        return LoraLinear(linear, a, b, self._lora.scale, Dropout(dropout, adapter_input(name)))


class LoraLinear(nn.Cell):
    """``x weight^T + bias + scale * dropout(x) A^T B^T``, computed in the dtype of ``x``."""

    def __init__(self, linear: Linear, lora_a: Parameter, lora_b: Parameter, scale: float, dropout: Dropout) -> None:
        super().__init__(auto_prefix=False)
        self.linear = linear
        self.lora_a = lora_a
        self.lora_b = lora_b
        self.scale = scale
        self.dropout = dropout
        self.product = ops.MatMul(transpose_b=True)
        self.cast = ops.Cast()

    def construct(self, values: Tensor, masks: Sequence[Tensor], forward_pass: int) -> Tensor:
        """Maps ``[rows, in]`` to ``[rows, out]``."""
        dropped = self.dropout(values, masks, forward_pass)
        narrow = self.product(dropped, self.cast(self.lora_a, values.dtype)) * self.scale
        return self.linear(values, masks, forward_pass) + self.product(narrow, self.cast(self.lora_b, values.dtype))
