"""Scoring a file of predictions against the labels of a split, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.config import Setting
from bertcore.contracts.evaluation import Evaluation
from bertcore.engine.judgement import judged, learned_baseline, training_beside
from bertcore.engine.preparation import data_names, find_task, open_data, reading_notes
from bertcore.engine.settings import resolve_run
from bertcore.errors import DataError, Origin
from bertcore.near_misses import did_you_mean, nearest_path
from bertcore.plugins.registry import Registry
from bertcore.progress import describe


@dataclass(frozen=True)
class ScoreResult:
    """The scores of a file of predictions.

    Attributes:
        task: name of the task.
        split: the split that was scored.
        evaluation: scores, baseline and errors.
    """

    task: str
    split: str
    evaluation: Evaluation

    @property
    def summary(self) -> str:
        """The last line, as that of an evaluation."""
        return self.evaluation.summary


def score(
    settings: Sequence[Setting],
    predictions: Path,
    registry: Registry,
    *,
    split: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> ScoreResult:
    """Scores a file of predictions in the task's official form, or in bertcore's own.

    Args:
        settings: task and data.
        predictions: the file.
        registry: the plugins.
        split: its name; by default the task's evaluation split, or the only one that the data has.
        note: told what the user should read.

    Raises:
        UsageError: there is no such task or split, or the task has no form of predictions.
        DataError: data or predictions are missing or wrong, or do not belong together.
    """
    config = resolve_run(settings, registry).config
    task = find_task(config, registry)
    describe(task=task.name, data=data_names(config.data), predictions=str(predictions))
    dataset = open_data(task, config, registry)
    name = split or task.evaluation_split
    if split is None and name not in dataset.files and len(dataset.files) == 1:
        (name,) = dataset.files
    examples = dataset.split(name)
    for text in reading_notes(dataset, examples):
        note(text)
    unlabeled = next((example for example in examples if example.label is None), None)
    if unlabeled is not None:
        raise DataError(
            f"no label, and the split {name} cannot be scored without",
            "give a split with labels by --split",
            origin=unlabeled.origin or Origin(name),
            code="labels-missing",
        )
    if not predictions.is_file():
        remedy = did_you_mean(nearest_path(predictions), "give the file of predictions with --predictions")
        raise DataError("no such file", remedy, origin=Origin(str(predictions)), code="file-missing")
    evaluation = task.score(examples, dataset.labels, predictions, config.data)
    training = training_beside(dataset, name)
    learned = learned_baseline(task, training, examples, dataset.labels, config.data)
    return ScoreResult(task.name, name, judged(evaluation, (task.metric,), learned))
