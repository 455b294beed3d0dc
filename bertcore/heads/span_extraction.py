"""An answer as a span of the context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from bertcore.contracts.batch import Per
from bertcore.contracts.head import Head, _linear
from bertcore.contracts.parameters import ParameterSpec


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

    @property
    def output_size(self) -> int:  # noqa: D102
        return 2

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return _linear("qa_outputs", 2, hidden_size)

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {} if self.null_threshold is None else {"null_threshold": self.null_threshold}

    def tuned_as(self, stored: Head) -> Self:  # noqa: D102
        return replace(self, null_threshold=stored.null_threshold) if isinstance(stored, SpanExtraction) else self
