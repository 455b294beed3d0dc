"""Cross-validation: a run for each fold of the training examples, and predictions of all of them by runs that did not
train on them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertcore.commands.repeats_report import RepeatsReport, write_repeats_report
from bertcore.commands.run_seeds import in_own_folder, outcome_of, removed_if_empty
from bertcore.config import RunConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.task import Task
from bertcore.engine.division import Division, choose_folds, whole_training_split
from bertcore.engine.given_rows import GivenRows, RowFiles, kept_in_run_folder
from bertcore.engine.judgement import judged
from bertcore.engine.preparation import find_task, open_undivided, settle_options
from bertcore.engine.prepared_run import prepare_run
from bertcore.engine.ranks import this_rank
from bertcore.engine.report import write_json_lines
from bertcore.engine.run_folder import RunFolder, require_free
from bertcore.engine.run_result import RunResult
from bertcore.engine.seed_run import train_seed
from bertcore.errors import BertcoreError, UsageError
from bertcore.plugins.registry import Registry


@dataclass(frozen=True)
class FoldsResult:
    """The outcome of a cross-validation.

    Attributes:
        folder: holds a run folder for each fold, ``predictions.jsonl``, ``report.json`` and ``report.md``.
        runs: one result per fold.
        mean: name of each metric to its mean over the folds.
        standard_deviation: of the sample (divided by n - 1).
        evaluation: scores of all training examples, each predicted by the run that did not train on it; None where
            the task cannot score a file of predictions.
        summary: the last line.
    """

    folder: Path
    runs: tuple[RunResult, ...]
    mean: Mapping[str, float]
    standard_deviation: Mapping[str, float]
    evaluation: Evaluation | None
    summary: str


def run_folds(config: RunConfig, registry: Registry, folds: int, rows: GivenRows | None = None) -> FoldsResult:
    """Trains once for each fold of the training examples and evaluates on it, in folders of their own.

    A split that is otherwise evaluated takes no part.

    Args:
        config: the configuration.
        registry: the plugins.
        folds: how many.
        rows: data that no file holds.

    Raises:
        UsageError: there cannot be so many folds, another division is asked for, or the runs are told to stop.
        BertcoreError: as :func:`bertcore.commands.run.run`.
    """
    if config.data.dev_fraction is not None or config.data.division is not None:
        raise UsageError(
            "folds and data.dev_fraction both divide the training examples",
            "leave one of them out",
            code="arguments-conflict",
        )
    if not this_rank().is_alone:
        raise UsageError(
            "folds are trained one after the other by one process, and this is one of several",
            "train them in processes of their own, each with a division of its own, or use --seeds",
            code="arguments-conflict",
        )
    if config.train.stop_after is not None:
        raise UsageError("with train.stop_after no fold comes to a score", "leave it out", code="arguments-conflict")
    if folds < 2:
        raise UsageError(
            f"{folds} folds: one is evaluated, and the others are trained on", "give 2 or more", code="argument-wrong"
        )
    with kept_in_run_folder(rows, in_own_folder(config)) as (config, kept), removed_if_empty(config) as parent:
        if rows is None:
            require_free(parent)
        task = find_task(config, registry)
        dataset = open_undivided(task, config, registry)
        examples = whole_training_split(dataset)
        divisions = choose_folds(task, examples, config.data, folds)
        results = _train(config, registry, divisions, parent, kept)
    by_fold = [_predictions(result.folder) for result in results]
    predictions = _in_order(by_fold, divisions, examples)
    write_json_lines(parent / "predictions.jsonl", predictions)
    outcome = outcome_of(results)
    summary = f"{outcome.scores}, folds {folds}"
    evaluation: Evaluation | None = None
    try:
        evaluation = _score(task, dataset, examples, predictions, settle_options(config, dataset))
        summary += f"; all folds together: {evaluation.summary}"
    except BertcoreError as error:  # what was trained is kept and reported even so
        summary += f"; all folds together are not scored: {error.cause}"
    content = {
        **outcome.content,
        "runs": [{"fold": number, **entry} for number, entry in enumerate(outcome.entries, 1)],
    }
    title = f"{config.task} on {config.backend}, {folds} folds"
    write_repeats_report(parent, RepeatsReport(title, "fold", summary, content, evaluation))
    return FoldsResult(parent, tuple(results), outcome.mean, outcome.standard_deviation, evaluation, summary)


def _train(
    config: RunConfig, registry: Registry, divisions: Sequence[Division], parent: Path, rows: RowFiles | None
) -> list[RunResult]:
    results: list[RunResult] = []
    with tempfile.TemporaryDirectory(prefix="bertcore-") as folder:
        for number, division in enumerate(divisions, 1):
            file = Path(folder) / f"fold-{number}.json"  # each run keeps its own in its folder
            division.write(file)
            name = f"fold-{number}"
            of_fold = config.model_copy(
                update={
                    "data": config.data.model_copy(update={"division": str(file)}),
                    "run": config.run.model_copy(update={"output": str(parent / name)}),
                }
            )
            prepared = prepare_run(of_fold, registry, notes=() if rows is None else rows.notes)
            results.append(train_seed(prepared, of_fold.run.seed))
    return results


def _predictions(folder: Path) -> list[dict[str, Any]]:
    lines = RunFolder(folder).predictions.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def _in_order(
    by_fold: Sequence[Sequence[Mapping[str, Any]]], divisions: Sequence[Division], examples: Sequence[Example]
) -> list[dict[str, Any]]:
    """The predictions of all folds in the order of the training examples, each with the number of its fold."""
    found: list[dict[str, Any]] = [{} for _ in examples]
    for number, (predictions, division) in enumerate(zip(by_fold, divisions, strict=True), 1):
        for place, prediction in zip(division.held_out.tolist(), predictions, strict=True):
            found[place] = {**prediction, "fold": number}
    return found


def _score(
    task: Task,
    dataset: Dataset,
    examples: Sequence[Example],
    predictions: Sequence[Mapping[str, Any]],
    config: RunConfig,
) -> Evaluation:
    """Scores all predictions at once, as ``bertcore score`` does a file.

    Raises:
        BertcoreError: the task has no form of such files, or cannot score this one.
    """
    # Predictions are found by their names, which need not differ in training examples: their places do.
    named = [replace(example, identifier=str(place)) for place, example in enumerate(examples)]
    entries = [{**entry, "id": str(place)} for place, entry in enumerate(predictions)]
    with tempfile.TemporaryDirectory(prefix="bertcore-") as folder:
        file = Path(folder) / "predictions.jsonl"
        write_json_lines(file, entries)
        evaluation = task.score(Split(named), dataset.labels, file, config.data)
    return judged(replace(evaluation, predictions=predictions), (task.metric,), {})
