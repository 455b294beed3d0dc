"""What is said beside the scores of an evaluation: what needs no model, and whether the model does better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bertcore.config import DataConfig
from bertcore.contracts.dataset import TRAINING_SPLIT, Dataset, Example, Split
from bertcore.contracts.evaluation import Evaluation, Metric
from bertcore.contracts.task import Task
from bertcore.errors import BertcoreError


def learned_baseline(
    task: Task,
    training: Callable[[], Split] | None,
    examples: Sequence[Example],
    labels: tuple[str, ...],
    data: DataConfig,
) -> dict[str, float]:
    """The scores of what remembers the training split, see :meth:`bertcore.contracts.task.Task.baseline`.

    Args:
        task: knows what is worth remembering.
        training: reads the training split, or None where there is none.
        examples: that are evaluated.
        labels: of the model, or of the dataset.
        data: the data options.
    """
    if training is None or not examples:
        return {}
    try:
        return dict(task.baseline(training, examples, labels, data))
    except BertcoreError:  # a training file that is damaged, or too large to be held, is no reason not to evaluate
        return {}


def training_beside(dataset: Dataset, split: str) -> Callable[[], Split] | None:
    """What reads the training split that stands beside another one; None where there is none."""
    if split == TRAINING_SPLIT or TRAINING_SPLIT not in dataset.files:
        return None
    return lambda: dataset.split(TRAINING_SPLIT)


def judged(evaluation: Evaluation, metrics: Sequence[Metric], learned: Mapping[str, float]) -> Evaluation:
    """Returns the evaluation with all of its baselines, and with a note where the chief score is not above its own.

    Args:
        evaluation: of a model, or of a file of predictions.
        metrics: the chief score, or several of which the first that has a baseline is compared.
        learned: see :func:`learned_baseline`.
    """
    baseline = {**evaluation.baseline, **learned}
    notes = evaluation.notes
    metric = next((metric for metric in metrics if metric.name in baseline), None)
    if evaluation.total and metric is not None:
        value, without_model = evaluation.metrics.get(metric.name, math.nan), baseline[metric.name]
        better = value > without_model if metric.greater_is_better else value < without_model
        if not better:
            side = "above" if metric.greater_is_better else "below"
            notes = (*notes, f"{metric.name} {value:.4f} is not {side} the baseline, {without_model:.4f}")
    return replace(evaluation, baseline=baseline, notes=notes)
