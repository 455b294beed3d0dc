"""Which figure chooses the best checkpoint: one that the task reports, or the loss."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bertcore.config import RunConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.class_score import CLASS_FIGURES
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.task import Task
from bertcore.errors import ConfigError

LOSS = Metric("loss", greater_is_better=False)
"""Of the head, on average over what it counts in training. It is computed where it chooses, and not otherwise."""

LONGEST_LIST = 20


def choose_metric(config: RunConfig, task: Task, examples: Sequence[Example], head: Head) -> Metric:
    """Returns the metric that ``train.metric`` names, that of one class as ``f1_PER`` among them, or the task's own.

    Args:
        config: the configuration.
        task: reports metrics.
        examples: that are evaluated.
        head: that predicts.

    Raises:
        ConfigError: the task reports none of this name.
        UsageError: the examples are a stream.
    """
    name = config.train.metric
    if name is None:
        return task.metric
    known = {metric.name: metric for metric in (*task.metrics(examples, head, config.data), LOSS)}
    if name in known:
        return known[name]
    figure, _, of_class = name.partition("_")
    if figure in CLASS_FIGURES and of_class in head.classes:
        return Metric(name)
    nearest = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(list(known)[:LONGEST_LIST]) + (", ..." if len(known) > LONGEST_LIST else "")
    raise ConfigError(
        f"train.metric = {name!r}: the task {task.name} reports no such metric",
        (f"did you mean {nearest[0]!r}? " if nearest else "") + f"it reports {listed}",
        code="metric-unknown",
    )


def describe(metric: Metric) -> str:
    """The metric and its direction, for a header."""
    return f"{metric.name}, the {'higher' if metric.greater_is_better else 'lower'} the better"


def open_accumulator(config: RunConfig, task: Task, examples: Sequence[Example], head: Head) -> Accumulator:
    """Returns the task's accumulator, which also scores the loss where that chooses the best checkpoint."""
    accumulator = task.accumulator(examples, head, config.data)
    return _WithLoss(accumulator, head) if config.train.metric == LOSS.name else accumulator


class _WithLoss(Accumulator):
    """Adds the mean loss to what another accumulator scores."""

    def __init__(self, inner: Accumulator, head: Head) -> None:
        self.want = (*inner.want, LOSS.name)
        self._inner = inner
        self._head = head
        self._sum = 0.0
        self._count = 0.0

    def add(self, batch: Batch, outputs: Outputs) -> None:
        self._sum += float(outputs[LOSS.name].sum(dtype="float64"))
        self._count += self._head.loss_count(batch)
        self._inner.add(batch, outputs)

    def read_parameters(self, parameters: Parameters) -> bool:
        return self._inner.read_parameters(parameters)

    def predictions(self) -> list[dict[str, Any]]:
        return self._inner.predictions()

    def tune(self) -> Head | None:
        return self._inner.tune()

    def result(self) -> Evaluation:
        evaluation = self._inner.result()
        loss = self._sum / self._count if self._count else float("nan")
        return replace(
            evaluation,
            metrics={**evaluation.metrics, LOSS.name: loss},
            summary=f"{evaluation.summary}, loss {loss:.6f}",
        )
