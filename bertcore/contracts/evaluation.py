"""What predictions become: an accumulator takes them row by row and gives predictions and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.class_score import CLASS_FIGURES, ClassScore
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.errors import PluginError


@dataclass(frozen=True)
class Metric:
    """The figure by which the best checkpoint is chosen."""

    name: str
    greater_is_better: bool = True


class Confusion(NamedTuple):
    """Which labels are taken for which.

    Attributes:
        labels: their names.
        counts: int64 ``[gold, predicted]``, in the order of the names.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """What an accumulator made of all predictions of a split.

    Attributes:
        metrics: name to value; holds the task's metric.
        total: examples judged, each once.
        summary: one line with the scores, the last line of a run.
        baseline: the same metrics for a model that needs no text (the majority class), as far as that means something.
        predictions: one JSON object per example, in the order of the examples.
        confusion: which labels are taken for which, or None.
        errors: the worst errors, worst first, each with its text.
        per_class: each class, label or type of entity to how well it is found; empty where there are none.
        notes: what a reader must know beside the scores, a line each: that only one class is ever predicted.
        thresholds: name to value of what was chosen on a split and not learned, and is predicted with.
    """

    metrics: Mapping[str, float]
    total: int
    summary: str
    baseline: Mapping[str, float] = field(default_factory=dict)
    predictions: Sequence[Mapping[str, Any]] = ()
    confusion: Confusion | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    per_class: Mapping[str, ClassScore] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """A figure by its name: one of the metrics, or of one class, as ``f1_PER``.

        Raises:
            PluginError: there is none.
        """
        if name in self.metrics:
            return self.metrics[name]
        figure, _, of_class = name.partition("_")
        if figure not in CLASS_FIGURES or of_class not in self.per_class:
            raise PluginError(
                f"the task reported no {name}", "choose another metric with --metric", code="contract-broken"
            )
        return float(getattr(self.per_class[of_class], figure))


class Accumulator(ABC):
    """Takes predictions as they come, merges the rows of an example, and nobody holds all logits.

    Attributes:
        want: outputs of the head that it reads.
    """

    want: tuple[str, ...] = ("logits",)

    @abstractmethod
    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes the outputs of some rows, which may come in any order, each row once."""

    def read_parameters(self, parameters: Parameters) -> bool:
        """Takes the parameters of the head that predicted, before :meth:`predictions` where these are written.

        For what its outputs alone do not tell, as the probability of an entity under a conditional random field.

        Returns:
            Whether :meth:`predictions` now says more than before.
        """
        return False

    @abstractmethod
    def predictions(self) -> list[dict[str, Any]]:
        """One JSON object per example, in the order of the examples."""

    @abstractmethod
    def result(self) -> Evaluation:
        """Scores all examples; each must have been added, and must carry a label."""

    def tune(self) -> Head | None:
        """Chooses what is chosen on the evaluation split and not learned, as the threshold of a multi-label head.

        Called by a training run, between the last :meth:`add` and :meth:`result`, which then scores with it. The head
        that is returned is saved with the checkpoint; None where nothing is to be chosen.
        """
        return None
