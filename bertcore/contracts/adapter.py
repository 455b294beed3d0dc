"""Adapters: what is trained instead of the encoder's weights, as a parametrization between the two.

::

    trained                                            effective
    frozen weights W, lora_A, lora_B, head     ->      W + alpha / rank * lora_B lora_A, head
    gradients of lora_A and lora_B, head       <-      gradients of all weights

A session trains the left side, whose names stand in its table behind those of the model. The right side is an
ordinary model: ``best/`` holds it, so that everything opens it. An adapter says both ways in numpy, slowly; the code of
a backend (:class:`~bertcore.contracts.implementations.Implementation`) may compute the same in another order, and never
needs the effective weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.parameters import Parameters, ParameterSpec


class Adapter(ABC):
    """Base of all adapters; a subclass is a frozen dataclass that holds no arrays.

    Class attributes:
        kind: ``adapter``.
        name: its name among adapters.
    """

    kind: ClassVar[str] = "adapter"
    name: ClassVar[str]

    @abstractmethod
    def parameters(self, table: Mapping[str, ParameterSpec]) -> dict[str, ParameterSpec]:
        """The adapter's own parameters, in order; canonical names that no model has.

        Args:
            table: of the model.
        """

    @abstractmethod
    def effective(self, parameters: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The parameters of the model that is meant, without the adapter's own.

        Args:
            parameters: those of the model and the adapter's own, float32 or float64; they are left as they are.
        """

    @abstractmethod
    def pull_back(
        self, gradients: Mapping[str, NDArray[Any]], parameters: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """The gradients of the parameters from those of the effective ones, by the chain rule.

        Args:
            gradients: of a loss with respect to effective parameters, by canonical name.
            parameters: at which they were taken, as those of :meth:`effective`.

        Returns:
            Those that were given (a weight is added to what the adapter makes of it) and those of the adapter's own.
        """


def with_adapter(table: Mapping[str, ParameterSpec], adapter: Adapter | None) -> dict[str, ParameterSpec]:
    """The table of what a session holds: the model's own, and behind it the adapter's."""
    return dict(table) if adapter is None else {**table, **adapter.parameters(table)}


def merged(parameters: Parameters, adapter: Adapter | None) -> Parameters:
    """The effective parameters, float32; as they are where there is no adapter."""
    if adapter is None:
        return parameters
    return {name: np.asarray(value, dtype=np.float32) for name, value in adapter.effective(parameters).items()}
