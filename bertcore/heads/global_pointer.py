"""Spans of any kind, nested ones among them: a score for each pair of a start and an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bertcore.contracts.batch import Batch, Per
from bertcore.contracts.head import Head, _label_entries, _linear
from bertcore.contracts.parameters import ParameterSpec


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

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:
        """The names of bert4torch's layers; the rows of ``dense`` are query and key of one type after the other."""
        pair = 2 * self.head_size
        if not self.efficient:
            return _linear("global_pointer.dense", self.output_size * pair, hidden_size)
        return {
            **_linear("global_pointer.p_dense", pair, hidden_size),
            **_linear("global_pointer.q_dense", 2 * self.output_size, pair),
        }

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        return {**_label_entries(self.labels), "efficient": self.efficient, "head_size": self.head_size}

    def loss_count(self, batch: Batch) -> float:
        """Rows: each has a loss of its own, also where it has no span."""
        return float(len(batch))
