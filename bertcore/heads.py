"""Heads: small frozen descriptions of what stands on top of the encoder.

A task chooses a head, a backend computes it. A head says which parameters it adds, which columns of a batch it reads,
which outputs it gives and how many things its loss sums over, and holds no code of any framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from bertcore.batch import Batch, Per
from bertcore.parameters import ParameterSpec
from bertcore.tagging import LegalTransitions, entity_types, legal_transitions, transition_scores

NEW_HEAD = "the head is new"


@dataclass(frozen=True)
class Head(ABC):
    """Base of all heads.

    Class attributes:
        name: the registered name.
        uses_pooler: whether the head reads the pooled ``[CLS]`` instead of the hidden states.
        label_column: the column that holds the labels of the loss.
        outputs: name of each output and what one value of it belongs to.
        architecture: the suffix of transformers' class, as in ``BertForSequenceClassification``.
    """

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
        """Returns this head with what :meth:`bertcore.task.Accumulator.tune` once chose for a trained model."""
        return self

    def predicts_as(self, other: Head) -> bool:
        """Whether both heads predict the same labels, whatever else they differ in."""
        labels, of_other = (head.config_entries().get("id2label") for head in (self, other))
        return type(self) is type(other) and labels == of_other

    def loss_count(self, batch: Batch) -> float:
        """Number of things that the loss sums over: here the labels that are not ignored.

        The engine adds the counts of all micro-batches and ranks, and the backend divides once by their sum.
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


@dataclass(frozen=True)
class TokenClassification(Head):
    """One tag per label position: softmax, or a conditional random field over the label positions of a row.

    Reads ``labels``: int ``[label positions]``. Gives ``logits`` (emissions): float32 ``[label positions, labels]``,
    and ``tags``: int32 ``[label positions]``, the best label, or with a CRF the best path. The loss sums over label
    positions (softmax) or over rows (CRF, Lafferty et al. 2001; :mod:`bertcore.crf` says what it is, and that an
    ignored label is absent from its sequence).

    Attributes:
        labels: tags in the order of their ids.
        crf: whether a conditional random field stands behind the linear layer.
        scheme: the tag scheme (:mod:`bertcore.tagging`) that says which transitions are legal; "" forbids none.
        forbid: where a CRF forbids the others: when it decodes, also when it is trained, or never.
        transitions: whether a new CRF starts with zeros or with the logarithms of the training set's frequencies.
        crf_learning_rate: peak learning rate of the CRF's own parameters; 0 freezes them.
    """

    labels: tuple[str, ...]
    crf: bool = False
    scheme: str = ""
    forbid: Literal["never", "decoding", "training"] = "decoding"
    transitions: Literal["zeros", "data"] = "zeros"
    crf_learning_rate: float = 1e-3

    name: ClassVar[str] = "token_classification"
    outputs: ClassVar[Mapping[str, Per]] = {"logits": "label", "tags": "label"}
    architecture: ClassVar[str] = "ForTokenClassification"

    @property
    def output_size(self) -> int:  # noqa: D102
        return len(self.labels)

    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:  # noqa: D102
        table = _linear("classifier", self.output_size, hidden_size)
        if self.crf:
            size = self.output_size
            table["crf.transitions"] = ParameterSpec((size, size), "zeros", NEW_HEAD)
            table["crf.start_transitions"] = ParameterSpec((size,), "zeros", NEW_HEAD)
            table["crf.end_transitions"] = ParameterSpec((size,), "zeros", NEW_HEAD)
        return table

    def config_entries(self) -> dict[str, Any]:  # noqa: D102
        entries = _label_entries(self.labels)
        if self.scheme:
            entries["tag_scheme"] = self.scheme
        return {**entries, "crf": True, "crf_forbid": self.forbid} if self.crf else entries

    def predicts_as(self, other: Head) -> bool:
        """Whether both tag entities of the same types, in whatever scheme, or have the same tags without types."""
        if not isinstance(other, TokenClassification):
            return False
        of_both = [{*entity_types(head.labels)} or {*head.labels} for head in (self, other)]
        return of_both[0] == of_both[1]

    @property
    def learning_rates(self) -> Mapping[str, float]:  # noqa: D102
        return {r"^crf\.": self.crf_learning_rate} if self.crf else {}

    def legal_transitions(self) -> LegalTransitions:
        """Which tags may begin, follow one another and end, by the tag scheme."""
        return legal_transitions(self.labels, self.scheme)

    def initial_parameters(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:  # noqa: D102
        if not self.crf or self.transitions == "zeros":
            return {}
        assert batch.label_offsets is not None
        scores = transition_scores(
            batch.columns[self.label_column].values.astype(np.int64), batch.label_offsets, len(self.labels)
        )
        return {
            "crf.transitions": scores.pairs,
            "crf.start_transitions": scores.start,
            "crf.end_transitions": scores.end,
        }

    def loss_count(self, batch: Batch) -> float:  # noqa: D102
        return float(len(batch)) if self.crf else super().loss_count(batch)


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
