"""Classification of whole texts: one label, or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.config_entries import number
from bertcore.contracts.head import Head, linear_parameters
from bertcore.contracts.head_labels import LABEL_ENTRIES, label_entries, labels_from_config
from bertcore.contracts.loss_options import LOSS_OPTIONS, LossOptions, balanced_presence, balanced_weights
from bertcore.contracts.parameters import ParameterSpec
from bertcore.heads.official import classifier_features

_ONE, _SEVERAL = "single_label_classification", "multi_label_classification"


@dataclass(frozen=True)
class SequenceClassification(Head):
    """One label per row (softmax), or any number of labels (a sigmoid each).

    Reads ``labels``: int ``[rows]`` for one label, float 0 or 1 ``[rows, labels]`` for several.
    Gives ``logits``: float32 ``[rows, labels]``. The loss sums over rows; with several labels, the row's loss is the
    mean over its labels, as in transformers. A label of several is given from the probability
    ``threshold`` on.
    """

    labels: tuple[str, ...]
    multi_label: bool = False
    threshold: float = 0.5
    loss: LossOptions = field(default=LossOptions(), repr=False, kw_only=True)

    name: ClassVar[str] = "sequence_classification"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForSequenceClassification"
    entry_names: ClassVar[tuple[str, ...]] = (*LABEL_ENTRIES, "problem_type", "threshold")
    parameter_names: ClassVar[str] = r"classifier\.(weight|bias)"

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return linear_parameters("classifier", self.output_size, hidden_size)

    @property
    def loss_options(self) -> tuple[str, ...]:  # noqa: D102
        return LOSS_OPTIONS

    def balanced_weights(self, batch: Batch) -> Mapping[str, float]:  # noqa: D102
        column = batch.columns[self.label_column]
        if self.multi_label:
            return balanced_presence(self.labels, column.values.astype(np.float64))
        return balanced_weights(self.labels, column)

    def loss_count(self, batch: Batch) -> float:
        """Rows that are not ignored, each as often as the weight of its one label says."""
        if self.multi_label or not self.loss.class_weights:
            return super().loss_count(batch)
        return self.loss.weight_sum(batch.columns[self.label_column])

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        entries = {**label_entries(self.labels), "problem_type": _SEVERAL if self.multi_label else _ONE}
        return {**entries, "threshold": self.threshold} if self.multi_label else entries

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:  # noqa: D102
        problem_type = config.get("problem_type") or _ONE
        if problem_type not in (_ONE, _SEVERAL):
            return None
        labels = labels_from_config(config, origin)
        if problem_type == _ONE:
            return cls(labels)
        return cls(labels, multi_label=True, threshold=number({"threshold": 0.5, **config}, "threshold", origin))

    def predicts_as(self, other: Head) -> bool:  # noqa: D102
        same_labels = super().predicts_as(other)
        return same_labels and isinstance(other, SequenceClassification) and self.multi_label == other.multi_label

    def tuned_as(self, stored: Head) -> Self:  # noqa: D102
        return replace(self, threshold=stored.threshold) if isinstance(stored, SequenceClassification) else self

    @property
    def official_label_type(self) -> str | None:  # noqa: D102
        return None if self.multi_label else "int32"

    def official_features(self, batch: Batch, first_row: int) -> dict[str, Column]:  # noqa: D102
        width = self.output_size if self.multi_label else 1
        return classifier_features(self, batch, np.zeros((len(batch), width), dtype=np.int64))
