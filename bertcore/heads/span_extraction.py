"""An answer as a span of the context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.config_entries import number
from bertcore.contracts.head import Head, RowProblem, linear_parameters
from bertcore.contracts.parameters import ParameterSpec

FIRST_UNIQUE_ID = 1_000_000_000
"""The first of ``unique_ids``, as in ``run_squad.py``."""


@dataclass(frozen=True)
class SpanExtraction(Head):
    """Start and end of an answer among the tokens of a row.

    Reads ``start_positions`` and ``end_positions``: int ``[rows]``, tokens of the row. Gives ``start_logits`` and
    ``end_logits``: float32 ``[tokens]``. The loss of a row is the mean of both cross entropies, as in google-research/
    bert; it sums over rows.

    Attributes:
        null_threshold: a question has no answer where the score of the first token, as start and end, lies above that
            of the best answer by more than this; None where every question has an answer.
    """

    null_threshold: float | None = None

    name: ClassVar[str] = "span_extraction"
    label_column: ClassVar[str] = "start_positions"
    outputs: ClassVar[Mapping[str, Per]] = {"start_logits": "token", "end_logits": "token"}
    architecture: ClassVar[str] = "ForQuestionAnswering"
    entry_names: ClassVar[tuple[str, ...]] = ("null_threshold",)
    parameter_names: ClassVar[str] = r"qa_outputs\.(weight|bias)"

    @property
    def output_size(self) -> int:  # noqa: D102
        return 2

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return linear_parameters("qa_outputs", 2, hidden_size)

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {} if self.null_threshold is None else {"null_threshold": self.null_threshold}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:  # noqa: D102
        is_there = config.get("null_threshold") is not None
        return cls(number(config, "null_threshold", origin) if is_there else None)

    def tuned_as(self, stored: Head) -> Self:  # noqa: D102
        return replace(self, null_threshold=stored.null_threshold) if isinstance(stored, SpanExtraction) else self

    def find_problem(self, batch: Batch) -> RowProblem | None:
        """The first row whose answer begins or ends beyond its tokens."""
        for name in ("start_positions", "end_positions"):
            column = batch.columns.get(name)
            if column is None:
                continue
            values: NDArray[Any] = column.values
            wrong = ((values < 0) | (values >= batch.lengths)) & (values != column.ignore)
            if wrong.any():
                row = int(np.argmax(wrong))
                return RowProblem(row, f"{name} is {values[row]}, and the row has {batch.lengths[row]} tokens")
        return None

    def official_features(self, batch: Batch, first_row: int) -> dict[str, Column]:
        """``unique_ids``, and ``is_impossible`` where no column says it already."""
        features = {"unique_ids": Column(FIRST_UNIQUE_ID + first_row + np.arange(len(batch)), "row")}
        if "start_positions" in batch.columns and "is_impossible" not in batch.columns:
            starts, ends = (batch.columns[f"{side}_positions"].values for side in ("start", "end"))
            features["is_impossible"] = Column((starts == 0) & (ends == 0), "row")
        return features
