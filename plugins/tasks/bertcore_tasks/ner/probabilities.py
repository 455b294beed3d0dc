"""How probable the entities of a text are: that its units have the tags that the model gave them.

With a softmax it is the product over the units, which are independent of one another. With a CRF it is the exact
probability of this stretch of tags over all sequences that decoding may choose from
(:mod:`bertcore.numerics.crf.path`). Of an entity that lies in two windows of a long text, the parts are independent,
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.tagging import Span, TransitionScores
from bertcore.heads import TokenClassification
from bertcore.numerics.crf.path import path_log_probabilities
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class TagProbabilities(Protocol):
    """Collects what a model says of the tags of all units of a split, counted through."""

    def add(self, outputs: Outputs, offsets: Integers, places: Integers) -> None:
        """Takes the outputs of some rows.

        Args:
            outputs: at their label positions.
            offsets: ``[rows + 1]``, where each row begins among these.
            places: ``[label positions]``, the unit; -1 where another window knows more about it.
        """

    def read(self, parameters: Parameters) -> bool:
        """Takes the model's parameters, and says whether anything depends on them."""

    def of_entities(self, spans: Sequence[Span], first_unit: int) -> list[float] | None:
        """The probability of each entity of a text; None as long as it cannot be known."""


class SoftmaxProbabilities:
    """Of the best tag of each unit.

    Args:
        units: in the split.
        marks: tags that are never predicted.
    """

    def __init__(self, units: int, marks: Sequence[int]) -> None:
        self._marks = list(marks)
        self._values = np.ones(units, dtype=np.float64)

    def add(self, outputs: Outputs, offsets: Integers, places: Integers) -> None:
        """Takes ``logits`` float32 ``[label positions, labels]``."""
        chosen = places >= 0
        logits = outputs["logits"][chosen].astype(np.float64)
        logits[:, self._marks] = -np.inf
        if len(logits):
            best = logits.max(axis=1, keepdims=True)
            self._values[places[chosen]] = 1 / np.exp(logits - best).sum(axis=1)

    def read(self, parameters: Parameters) -> bool:
        """A softmax needs none."""
        return False

    def of_entities(self, spans: Sequence[Span], first_unit: int) -> list[float] | None:
        """The product over the units of each entity."""
        return [float(self._values[first_unit + span.start : first_unit + span.end].prod()) for span in spans]


class PathProbabilities:
    """Of the path that a CRF decoded; its emissions are kept until they are asked for.

    An evaluation within a training never asks, unless it is the best, and takes no time for it.

    Args:
        units: in the split.
        head: with a CRF.
    """

    def __init__(self, units: int, head: TokenClassification) -> None:
        self._units = units
        self._legal = None if head.forbid == "never" or not head.scheme else head.legal_transitions()
        self._lengths: list[Integers] = []
        self._emissions: list[NDArray[np.float32]] = []
        self._tags: list[NDArray[np.int32]] = []
        self._places: list[Integers] = []
        self._scores: TransitionScores | None = None
        self._steps: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def add(self, outputs: Outputs, offsets: Integers, places: Integers) -> None:
        """Takes ``logits`` float32 ``[label positions, labels]``, and ``tags`` int32 ``[label positions]``."""
        self._lengths.append(np.diff(offsets))
        self._emissions.append(np.asarray(outputs["logits"], dtype=np.float32))
        self._tags.append(np.asarray(outputs["tags"], dtype=np.int32))
        self._places.append(places)
        self._steps = None

    def read(self, parameters: Parameters) -> bool:
        """Takes ``crf.*``."""
        self._scores = TransitionScores(
            start=parameters["crf.start_transitions"],
            pairs=parameters["crf.transitions"],
            end=parameters["crf.end_transitions"],
        )
        self._steps = None
        return True

    def of_entities(self, spans: Sequence[Span], first_unit: int) -> list[float] | None:
        """The exact probability of the tags of each entity."""
        if self._scores is None:
            return None
        if self._steps is None:
            self._steps = self._compute(self._scores)
        alone, onward = self._steps
        return [
            float(np.exp(alone[first] + onward[first + 1 : first_unit + span.end].sum()))
            for span in spans
            for first in (first_unit + span.start,)
        ]

    def _compute(self, scores: TransitionScores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logarithms for each unit: of its tag alone, and of its tag given the one before it in its own window.

        A CRF is a Markov chain, so that ``log P(tags i to j) = alone[i] + onward[i + 1] + ... + onward[j]``.
        """
        alone, onward = np.zeros(self._units), np.zeros(self._units)
        if not self._lengths:
            return alone, onward
        lengths = np.concatenate(self._lengths)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        emissions, tags = np.concatenate(self._emissions), np.concatenate(self._tags)
        path = path_log_probabilities(emissions, tags, offsets, scores, self._legal)
        places = np.concatenate(self._places)
        chosen = places >= 0
        row = np.full(self._units, -1, dtype=np.int64)
        row[places[chosen]] = np.repeat(np.arange(len(lengths)), lengths)[chosen]
        alone[places[chosen]] = path.alone[chosen]
        onward[places[chosen]] = path.onward[chosen]
        begins = np.append(True, row[1:] != row[:-1])
        return alone, np.where(begins, alone, onward)
