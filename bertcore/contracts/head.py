"""Heads: small frozen descriptions of what stands on top of the encoder.

A task chooses a head, a backend computes it. A head says which parameters it adds, which columns of a batch it reads,
which outputs it gives and how many things its loss sums over, and holds no code of any framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.parameters import ParameterSpec

NEW_HEAD = "the head is new"


@dataclass(frozen=True)
class Head(ABC):
    """Base of all heads.

    Class attributes:
        kind, name: as code for it is registered.
        uses_pooler: whether the head reads the pooled ``[CLS]`` instead of the hidden states.
        label_column: the column that holds the labels of the loss.
        outputs: name of each output and what one value of it belongs to.
        architecture: the suffix of transformers' class, as in ``BertForSequenceClassification``.
    """

    kind: ClassVar[str] = "head"
    name: ClassVar[str]
    uses_pooler: ClassVar[bool] = False
    label_column: ClassVar[str] = "labels"
    outputs: ClassVar[Mapping[str, Per]]
    architecture: ClassVar[str]

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Width of the last linear layer."""

    @abstractmethod
    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:
        """Canonical parameters that the head adds to the encoder and its pooler."""

    @abstractmethod
    def config_entries(self) -> dict[str, Any]:
        """What the head adds to ``config.json`` so that transformers builds the same head."""

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Peak learning rates of the head's own, by pattern of canonical names; such parameters have no decay."""
        return {}

    def initial_parameters(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:
        """First values of new parameters as far as they follow from the training split.

        Args:
            batch: all rows of the training split.
        """
        return {}

    def tuned_as(self, stored: Head) -> Self:
        """Returns this head with what an accumulator of the task (its ``tune``) once chose for a trained model."""
        return self

    def predicts_as(self, other: Head) -> bool:
        """Whether both heads predict the same labels, whatever else they differ in."""
        labels, of_other = (head.config_entries().get("id2label") for head in (self, other))
        return type(self) is type(other) and labels == of_other

    def loss_count(self, batch: Batch) -> float:
        """Number of things that the loss sums over: here the labels that are not ignored.

        The engine adds the counts of all micro-batches, and the backend divides once by their sum.
        """
        column = batch.columns[self.label_column]
        if column.ignore is None:
            return float(len(column.values))
        return float(np.count_nonzero(column.values != column.ignore))


def _linear(name: str, out_features: int, in_features: int) -> dict[str, ParameterSpec]:
    return {
        f"{name}.weight": ParameterSpec((out_features, in_features), "normal", NEW_HEAD),
        f"{name}.bias": ParameterSpec((out_features,), "zeros", NEW_HEAD),
    }


def _label_entries(labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }
