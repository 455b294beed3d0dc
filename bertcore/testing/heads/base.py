"""What the suites must know of a kind of head, and where they look it up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.testing.reference import Array, LogitsKind, ReferenceModel, Shape

HeadT = TypeVar("HeadT", bound=Head)


class HeadReference(ABC, Generic[HeadT]):
    """One kind of head: what it is tested with, and what is right, in numpy float64.

    Class attributes:
        head: the description's class.
        descriptions: those that are tested, by the name that the tests show and that a gap is declared under.
    """

    head: ClassVar[type[Head]]
    descriptions: ClassVar[Mapping[str, Head]]

    @abstractmethod
    def batch(
        self,
        head: HeadT,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        """Rows of these tokens with labels of every kind that the head reads, ignored ones among them."""

    @abstractmethod
    def outputs(self, head: HeadT, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """All outputs of the head, and ``loss`` ``[rows]``: each row's part of the loss sum."""

    @abstractmethod
    def gradients(self, head: HeadT, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """The gradient of the loss sum with respect to every parameter that it depends on."""

    def divergence(
        self, head: HeadT, batch: Batch, outputs: Mapping[str, Array], towards: Mapping[str, Array], temperature: float
    ) -> Array:
        """Each row's part of the sum of KL(towards || outputs), ``[rows]``; 0 where the loss of a label is ignored.

        Args:
            head: the description.
            batch: rows with labels.
            outputs: as :meth:`outputs` gives them.
            towards: outputs of the same names and shapes.
            temperature: both logits are divided by it.
        """
        raise NotImplementedError

    @abstractmethod
    def perfect_outputs(self, head: HeadT, batch: Batch) -> Outputs:
        """The outputs of a model that is always right and sure, for a batch with labels."""

    @abstractmethod
    def assert_labels_fit(self, head: HeadT, batch: Batch) -> None:
        """Fails where a label is none that the head knows, nor the declared value to ignore."""


class RowReference(HeadReference[HeadT]):
    """A head on the logits of one kind, whose loss of a row depends on this row alone.

    Class attributes:
        kind: the logits that it stands on.
    """

    kind: ClassVar[LogitsKind]

    @abstractmethod
    def loss(self, head: HeadT, model: ReferenceModel, batch: Batch, row: int, logits: Array) -> tuple[float, Array]:
        """The loss of a row, and its gradient with respect to the row's logits, in their shape."""

    @abstractmethod
    def joined(self, head: HeadT, model: ReferenceModel, batch: Batch, logits: Sequence[Array]) -> dict[str, Array]:
        """The outputs of the head, from the logits of each row."""

    def outputs(self, head: HeadT, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.outputs`."""
        logits = [model.logits(*tokens_of(batch, row), self.kind) for row in range(len(batch))]
        losses = [self.loss(head, model, batch, row, of_row)[0] for row, of_row in enumerate(logits)]
        return {**self.joined(head, model, batch, logits), "loss": np.array(losses)}

    def gradients(self, head: HeadT, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """See :meth:`HeadReference.gradients`."""
        total = {name: np.zeros(value.shape) for name, value in model.parameters.items()}
        for row in range(len(batch)):
            tokens = tokens_of(batch, row)
            _, logits_gradient = self.loss(head, model, batch, row, model.logits(*tokens, self.kind))
            for name, gradient in model.gradients(*tokens, logits_gradient, self.kind).items():
                total[name] += gradient
        return total


def tokens_of(batch: Batch, row: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """``input_ids`` and ``token_type_ids`` of a row, ``[tokens]``."""
    tokens = slice(batch.offsets[row], batch.offsets[row + 1])
    return batch.input_ids[tokens], batch.token_type_ids[tokens]


def shape_of(head: Head) -> Shape:
    """How the loss of a head is changed."""
    options = head.loss
    return Shape(options.label_smoothing, options.focal_gamma, options.class_weights or 1.0)


_REFERENCES: dict[str, HeadReference[Any]] = {}


def register(reference: HeadReference[Any]) -> None:
    """Makes a head known to the suites, before any of them is subclassed.

    Raises:
        ValueError: the head has a reference already.
    """
    name = reference.head.name
    if name in _REFERENCES:
        raise ValueError(f"the head {name!r} has a reference already")
    _REFERENCES[name] = reference


def reference_of(head: Head) -> HeadReference[Any]:
    """What is known of the kind of a head.

    Raises:
        LookupError: it has no reference.
    """
    if head.name not in _REFERENCES:
        raise LookupError(f"the head {head.name!r} has no reference: bertcore.testing.heads.register one")
    return _REFERENCES[head.name]


def descriptions() -> dict[str, Head]:
    """All heads that are tested, by the name that the tests show."""
    return {name: head for reference in _REFERENCES.values() for name, head in reference.descriptions.items()}
