"""A score for a whole text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bertcore.contracts.batch import Per
from bertcore.contracts.head import Head, _label_entries, _linear
from bertcore.contracts.parameters import ParameterSpec


@dataclass(frozen=True)
class Regression(Head):
    """One number per row, squared error.

    Reads ``labels``: float32 ``[rows]``. Gives ``logits``: float32 ``[rows, 1]``. The loss sums over rows.
    """

    name: ClassVar[str] = "regression"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForSequenceClassification"

    @property
    def output_size(self) -> int:  # noqa: D102
        return 1

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return _linear("classifier", 1, hidden_size)

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {**_label_entries(("LABEL_0",)), "problem_type": "regression"}
