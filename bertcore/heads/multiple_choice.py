"""One of several choices, each a row of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.head import Head, RowProblem, linear_parameters
from bertcore.contracts.loss_options import LossOptions
from bertcore.contracts.parameters import ParameterSpec


@dataclass(frozen=True)
class MultipleChoice(Head):
    """The right one among the rows of a group, by a softmax over them: the choices of a question, however many.

    ::

        groups     0 0 0 | 1 1      two questions, of three and of two choices
        choices    0 1 2 | 0 1      whatever order the rows come in
        labels       2      0

    Reads ``labels``: int ``[groups]``, the number of the right choice, and ``choices``: int ``[rows]``, the number of
    each row in its group. Gives ``logits``: float32 ``[rows, 1]``, a score of each choice. The loss sums over groups.
    The choices of a question take the place of classes in :class:`~bertcore.contracts.loss_options.LossOptions`; they
    have no weights.
    """

    loss: LossOptions = field(default=LossOptions(), repr=False, kw_only=True)

    name: ClassVar[str] = "multiple_choice"
    uses_pooler: ClassVar[bool] = True
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "row"}
    architecture: ClassVar[str] = "ForMultipleChoice"
    parameter_names: ClassVar[str] = r"classifier\.(weight|bias)"

    @property
    def output_size(self) -> int:  # noqa: D102
        return 1

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        return linear_parameters("classifier", self.output_size, hidden_size)

    @property
    def loss_options(self) -> tuple[str, ...]:  # noqa: D102
        return ("label_smoothing", "focal_gamma")

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:  # noqa: D102
        return cls()

    def find_problem(self, batch: Batch) -> RowProblem | None:
        """The first row of a group whose label is the number of none of its rows."""
        column = batch.columns.get(self.label_column)
        if column is None or batch.groups is None:
            return None
        is_label = batch.columns["choices"].values == column.values[batch.groups]
        found = np.bincount(batch.groups, weights=is_label, minlength=len(column.values))
        wrong = (found != 1) & (column.values != column.ignore)
        if not wrong.any():
            return None
        group = int(np.argmax(wrong))
        rows = np.flatnonzero(batch.groups == group)
        return RowProblem(int(rows[0]), f"the label {column.values[group]} is none of {len(rows)} choices")
