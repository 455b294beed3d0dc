"""LoRA: low-rank adaptation (Hu et al. 2021, arXiv 2106.09685), as peft computes it.

Beside a frozen linear layer stands a product of two narrow ones, of which the second begins with zeros::

    y = x W^T + b + alpha / rank * dropout(x) A^T B^T        W [out, in], A [rank, in], B [out, rank]

Without dropout this is the layer with the weight ``W + alpha / rank * B A``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.adapter import Adapter
from bertcore.contracts.parameters import ParameterSpec

A_SUFFIX, B_SUFFIX = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Lora(Adapter):
    """LoRA on some linear layers of the encoder.

    The first values are those of peft: A is drawn uniformly from ``+-1 / sqrt(in)`` (Kaiming's with ``a = sqrt(5)``),
    B is zero, so that training begins with the model as it is.

    Attributes:
        rank: rows of A, from 1.
        alpha: numerator of the branch's factor ``alpha / rank``.
        targets: canonical names of the layers, without ``.weight``.
        dropout: rate at which the branch's input is dropped, each layer by itself; the frozen product sees all of it.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]
    dropout: float = 0.0

    name: ClassVar[str] = "lora"

    @property
    def scale(self) -> float:
        """Factor of the branch."""
        return self.alpha / self.rank

    def parameters(self, table: Mapping[str, ParameterSpec]) -> dict[str, ParameterSpec]:
        """``NAME.lora_A.weight`` ``[rank, in]`` and ``NAME.lora_B.weight`` ``[out, rank]`` of each target."""
        specs: dict[str, ParameterSpec] = {}
        for target in self.targets:
            rows, columns = table[f"{target}.weight"].shape
            specs[f"{target}{A_SUFFIX}"] = ParameterSpec((self.rank, columns), "uniform")
            specs[f"{target}{B_SUFFIX}"] = ParameterSpec((rows, self.rank), "zeros")
        return specs

    def effective(self, parameters: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """``W + alpha / rank * B A`` of each target."""
        own = set(self._names())
        result = {name: value for name, value in parameters.items() if name not in own}
        for target in self.targets:
            weight, a, b = self._factors(target, parameters)
            result[f"{target}.weight"] = weight + self.scale * (b @ a)
        return result

    def pull_back(
        self, gradients: Mapping[str, NDArray[Any]], parameters: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """With ``W' = W + s B A``: ``dW = dW'``, ``dA = s B^T dW'`` and ``dB = s dW' A^T``."""
        result = dict(gradients)
        for target in self.targets:
            if f"{target}.weight" in gradients:
                _, a, b = self._factors(target, parameters)
                gradient = gradients[f"{target}.weight"]
                result[f"{target}{A_SUFFIX}"] = self.scale * (b.T @ gradient)
                result[f"{target}{B_SUFFIX}"] = self.scale * (gradient @ a.T)
        return result

    def _names(self) -> Iterator[str]:
        for target in self.targets:
            yield from (f"{target}{A_SUFFIX}", f"{target}{B_SUFFIX}")

    @staticmethod
    def _factors(target: str, parameters: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        # In float64: the product of two float32 would be rounded once more than the layer's own weight is.
        wanted = (".weight", A_SUFFIX, B_SUFFIX)
        weight, a, b = (np.asarray(parameters[f"{target}{suffix}"], dtype=np.float64) for suffix in wanted)
        return weight, a, b
