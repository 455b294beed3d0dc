"""Spans of any kind, nested ones among them: a score for each pair of a start and an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.head import Head, RowProblem, linear_parameters
from bertcore.contracts.head_labels import LABEL_ENTRIES, label_entries, labels_from_config
from bertcore.contracts.parameters import ParameterSpec
from bertcore.errors import ModelError, Origin
from bertcore.heads.token_classification import TokenClassification


@dataclass(frozen=True)
class GlobalPointer(Head):
    """GlobalPointer, or Efficient GlobalPointer (Su et al. 2022, arXiv 2208.03054): one matrix of scores for each type.

    Start m and end n, m <= n, are label positions of a row (the first tokens of its words), and so are the positions
    that turn the vectors (:mod:`bertcore.numerics.rotary`). A span is one of a type where its score is above 0, which
    is the probability 1/2. Nothing is dropped in front of the head, as in bert4torch::

        plain      score[t, m, n] = q[t, m] . k[t, n] / sqrt(head_size)       q and k of each type
        efficient  score[t, m, n] = q[m] . k[n] / sqrt(head_size)             q and k of all types together,
                                    + (a[t, m] + b[t, n]) / 2                 and of each type a number of q and k

    Reads ``spans``: int ``[spans, 3]`` on the axis ``span``: type, first and last label position of the row, each span
    once. Gives ``logits``: float32 ``[pairs, labels]``. The loss of a row and a type is that of the paper,
    ``log(1 + sum over its spans of e^-s) + log(1 + sum over all others of e^s)``; that of a row is the mean over the
    types, and it sums over rows: divided by the rows it is what bert4torch's ``MultilabelCategoricalCrossentropy``
    gives for a batch.

    Attributes:
        labels: types of spans in the order of their ids.
        efficient: whether all types share query and key.
        head_size: values of a query and a key, an even number.
    """

    labels: tuple[str, ...]
    efficient: bool = False
    head_size: int = 64

    name: ClassVar[str] = "global_pointer"
    label_column: ClassVar[str] = "spans"
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "pair"}
    architecture: ClassVar[str] = "ForGlobalPointer"
    entry_names: ClassVar[tuple[str, ...]] = (*LABEL_ENTRIES, "efficient", "head_size")
    parameter_names: ClassVar[str] = r"global_pointer\.(p_|q_)?dense\.(weight|bias)"

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:
        """The names of bert4torch's layers; the rows of ``dense`` are query and key of one type after the other."""
        pair = 2 * self.head_size
        if not self.efficient:
            return linear_parameters("global_pointer.dense", self.output_size * pair, hidden_size)
        return {
            **linear_parameters("global_pointer.p_dense", pair, hidden_size),
            **linear_parameters("global_pointer.q_dense", 2 * self.output_size, pair),
        }

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {**label_entries(self.labels), "efficient": self.efficient, "head_size": self.head_size}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:  # noqa: D102
        size = config.get("head_size", cls.head_size)
        if type(size) is not int or size < 2 or size % 2:
            raise ModelError(
                f"head_size is {size!r}, no even number above 0",
                "correct the model's config.json",
                origin=Origin(origin),
                code="model-config-wrong",
            )
        return cls(labels_from_config(config, origin), efficient=config.get("efficient") is True, head_size=size)

    def predicts_as(self, other: Head) -> bool:
        """Whether the other one finds entities of the same types, too, as spans or by tags, in whatever order."""
        of_entities = isinstance(other, GlobalPointer | TokenClassification)
        return of_entities and {*self.classes} == {*other.classes}

    def find_problem(self, batch: Batch) -> RowProblem | None:
        """The first row with a span of no type, or one that does not lie among the label positions of its row."""
        column = batch.columns.get(self.label_column)
        if column is None or batch.label_offsets is None:
            return None
        kinds, starts, ends = column.values.T.astype(np.int64)
        lengths = np.repeat(np.diff(batch.label_offsets), np.diff(batch.ragged[column.per]))
        lost = (starts < 0) | (starts > ends) | (ends >= lengths)
        wrong = lost | (kinds < 0) | (kinds >= len(self.labels))
        if not wrong.any():
            return None
        place = int(np.argmax(wrong))
        problem = f"the type {kinds[place]} of a span is none of {len(self.labels)}"
        if lost[place]:
            problem = f"the span from {starts[place]} to {ends[place]} does not lie among {lengths[place]} words"
        return RowProblem(batch.row_of(place, column.per), problem)

    def loss_count(self, batch: Batch) -> float:
        """Rows: each has a loss of its own, also where it has no span."""
        return float(len(batch))
