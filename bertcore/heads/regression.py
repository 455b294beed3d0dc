"""A score for a whole text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.head import Head, linear_parameters
from bertcore.contracts.head_labels import LABEL_ENTRIES, label_entries
from bertcore.contracts.parameters import ParameterSpec
from bertcore.heads.official import classifier_features


@dataclass(frozen=True)
class Regression(Head):
    """One number per row, squared error.

    Reads ``labels``: float32 ``[rows]``. Gives ``logits``: float32 ``[rows, 1]``. The loss sums over rows.
    """

    name: ClassVar[str] = "regression"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForSequenceClassification"
    entry_names: ClassVar[tuple[str, ...]] = (*LABEL_ENTRIES, "problem_type")
    parameter_names: ClassVar[str] = r"classifier\.(weight|bias)"

    @property
    def output_size(self) -> int:  # noqa: D102
        return 1

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return linear_parameters("classifier", 1, hidden_size)

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {**label_entries(("LABEL_0",)), "problem_type": "regression"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:  # noqa: D102
        return cls() if config.get("problem_type") == "regression" else None

    @property
    def official_label_type(self) -> str | None:  # noqa: D102
        return "float32"

    def official_features(self, batch: Batch, first_row: int) -> dict[str, Column]:  # noqa: D102
        return classifier_features(self, batch, np.zeros((len(batch), 1), dtype=np.float32))
