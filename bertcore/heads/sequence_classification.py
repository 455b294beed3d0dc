"""Classification of whole texts: one label, or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from bertcore.contracts.batch import Per
from bertcore.contracts.head import Head, _label_entries, _linear
from bertcore.contracts.parameters import ParameterSpec


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

    name: ClassVar[str] = "sequence_classification"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForSequenceClassification"

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return _linear("classifier", self.output_size, hidden_size)

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        problem_type = "multi_label_classification" if self.multi_label else "single_label_classification"
        entries = {**_label_entries(self.labels), "problem_type": problem_type}
        return {**entries, "threshold": self.threshold} if self.multi_label else entries

    def tuned_as(self, stored: Head) -> Self:  # noqa: D102
        return replace(self, threshold=stored.threshold) if isinstance(stored, SequenceClassification) else self
