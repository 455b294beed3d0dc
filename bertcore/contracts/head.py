"""Heads: small frozen descriptions of what stands on top of the encoder.

A task chooses a head, a backend computes it. A head says which parameters it adds, which columns of a batch it reads,
which outputs it gives, how many things its loss sums over and what of it stands in a ``config.json``, and holds no code
of any framework. Nothing else in bertcore tells heads apart: who must know something of a head asks it.

    task        task.head(labels, options)               -> head
    config      head.config_entries()                    -> config.json of best/
    config      Class.from_config(config.json), of each registered class with its architecture -> the same head
    backend     Implementation(Class, "torch", "module:code")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.loss_options import LossOptions
from bertcore.contracts.parameters import ParameterSpec

NEW_HEAD = "the head is new"


class RowProblem(NamedTuple):
    """What is wrong with a row, as in ``the label 7 is none of 3``."""

    row: int
    problem: str


@dataclass(frozen=True)
class Head(ABC):
    """Base of all heads.

    Class attributes:
        kind, name: as code for it is registered.
        uses_pooler: whether the head reads one vector for each row, the pooled ``[CLS]`` or what stands in its place in
            models of other families, instead of the hidden states.
        label_column: the column that holds the labels of the loss.
        outputs: name of each output and what one value of it belongs to.
        architecture: the suffix of transformers' class, as in ``BertForSequenceClassification``; one's own, as
            ``ForOrdinalRegression``, where transformers has no such class.
        entry_names: all entries that it may have in a ``config.json``; whoever writes another head there leaves them
            out.
        parameter_names: pattern of the canonical names of its parameters, whatever its fields are; those that a family
            puts before a head that uses the pooler (``classifier.dense``) do not count.

    Attributes:
        labels: names of what it predicts, in the order of their ids; none by default. A head that has some declares
            the field anew, before any other of its own.
        loss: how its loss is shaped; a head whose loss can be declares the field anew.
    """

    labels: tuple[str, ...] = field(default=(), init=False, repr=False)
    # Not in the repr, by which encoded rows are found again: no row depends on it.
    loss: LossOptions = field(default=LossOptions(), init=False, repr=False)

    kind: ClassVar[str] = "head"
    name: ClassVar[str]
    uses_pooler: ClassVar[bool] = False
    label_column: ClassVar[str] = "labels"
    outputs: ClassVar[Mapping[str, Per]]
    architecture: ClassVar[str]
    entry_names: ClassVar[tuple[str, ...]] = ()
    parameter_names: ClassVar[str]

    # What it computes with.

    @property
    def compared_outputs(self) -> tuple[str, ...]:
        """The outputs that a divergence compares, of two passes or with a teacher; the others follow from them."""
        return tuple(self.outputs)

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Width of the last linear layer."""

    @abstractmethod
    def parameter_table(self, hidden_size: int) -> dict[str, ParameterSpec]:
        """Canonical parameters that the head adds to the encoder and its pooler."""

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Peak learning rates of the head's own, by pattern of canonical names; such parameters have no decay."""
        return {}

    @property
    def loss_options(self) -> tuple[str, ...]:
        """Which of ``LOSS_OPTIONS`` (:mod:`bertcore.contracts.loss_options`) its loss can be shaped by."""
        return ()

    def balanced_weights(self, batch: Batch) -> Mapping[str, float]:
        """Class weights that make up for how often each label stands in the training split, by its name.

        A label that is left out keeps the weight 1. Asked only of a head whose :attr:`loss_options` name them.

        Args:
            batch: all rows of the training split.
        """
        raise NotImplementedError

    def initial_parameters(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:
        """First values of new parameters as far as they follow from the training split.

        Args:
            batch: all rows of the training split.
        """
        return {}

    def loss_count(self, batch: Batch) -> float:
        """Number of things that the loss sums over: here the labels that are not ignored.

        The engine adds the counts of all micro-batches, and the backend divides once by their sum.
        """
        column = batch.columns[self.label_column]
        if column.ignore is None:
            return float(len(column.values))
        return float(np.count_nonzero(column.values != column.ignore))

    # What a trained model remembers of it.

    @abstractmethod
    def config_entries(self) -> dict[str, Any]:
        """What the head adds to ``config.json`` so that transformers builds the same head, and :meth:`from_config`."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any], origin: str) -> Self | None:
        """The head that a ``config.json`` with this head's architecture describes.

        Args:
            config: its content, whose ``architectures`` names this head's.
            origin: the file, for messages.

        Returns:
            The head as far as predictions depend on it; None where the file describes another head of the same
            architecture, as ``problem_type`` tells regression and classification apart.

        Raises:
            ModelError: an entry is wrong.
        """

    def tuned_as(self, stored: Head) -> Self:
        """Returns this head with what an accumulator of the task (its ``tune``) once chose for a trained model."""
        return self

    def predicts_as(self, other: Head) -> bool:
        """Whether both heads predict the same labels, whatever else they differ in."""
        return type(self) is type(other) and self.labels == other.labels

    def going_on_from(self, stored: Head) -> Self:
        """Returns this head as it is trained further on a model that has ``stored``: in that order of labels, say."""
        return self

    # What its rows are like.

    @property
    def classes(self) -> tuple[str, ...]:
        """What figures of one class are named after, as ``f1_PER``: the labels, or the types of entities."""
        return self.labels

    def find_problem(self, batch: Batch) -> RowProblem | None:
        """The first row with a label that this head cannot have, of rows that were read from a file.

        Here a label that is no number of one of :attr:`labels`; a head without these, or with labels of another kind,
        checks what its loss would not survive.
        """
        column = batch.columns.get(self.label_column)
        if not self.labels or column is None or not np.issubdtype(column.values.dtype, np.integer):
            return None
        values: NDArray[Any] = column.values
        wrong = ((values < 0) | (values >= len(self.labels))) & (values != column.ignore)
        if not wrong.any():
            return None
        place, *_ = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        label = values.flat[int(np.argmax(wrong))]
        return RowProblem(batch.row_of(int(place), column.per), f"the label {label} is none of {len(self.labels)}")

    @property
    def official_label_type(self) -> str | None:
        """Type of the labels in records that another program wrote (``label_ids``), as ``int32`` or ``float32``.

        None where such records do not suffice to score the predictions of this head.
        """
        return None

    def official_features(self, batch: Batch, first_row: int) -> dict[str, Column]:
        """What google-research/bert writes in the records of such a head, and the columns of a batch do not hold.

        Args:
            batch: rows with or without labels.
            first_row: number of the first row in its split.
        """
        return {}


def linear_parameters(name: str, out_features: int, in_features: int) -> dict[str, ParameterSpec]:
    """Weight and bias of a linear layer of a head."""
    return {
        f"{name}.weight": ParameterSpec((out_features, in_features), "normal", NEW_HEAD),
        f"{name}.bias": ParameterSpec((out_features,), "zeros", NEW_HEAD),
    }
