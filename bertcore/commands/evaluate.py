"""Scoring what a run trained, on any backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bertcore.config import config_values
from bertcore.contracts.evaluation import Evaluation
from bertcore.data.encoder import EncodedSplit
from bertcore.engine.choice import open_accumulator
from bertcore.engine.evaluations import changed_options, choose_folder, folder_name, identity
from bertcore.engine.given_rows import RowFiles
from bertcore.engine.judgement import judged, learned_baseline, training_beside
from bertcore.engine.preparation import data_names, open_data, reading_notes
from bertcore.engine.report import Report, environment, write_json_lines, write_report
from bertcore.engine.run_folder import EVALUATIONS, RunFolder
from bertcore.engine.trained_model import TrainedModel
from bertcore.files.writing import atomic_folder
from bertcore.progress import describe


@dataclass(frozen=True)
class EvaluationResult:
    """The outcome of an evaluation.

    Attributes:
        folder: holds ``report.json``, ``report.md`` and ``predictions.jsonl``; None for a model folder.
        header: what was evaluated, in the order in which it is shown.
        evaluation: scores and predictions.
        examples_per_second: without compilation.
    """

    folder: Path | None
    header: Mapping[str, str]
    evaluation: Evaluation
    examples_per_second: float

    @property
    def summary(self) -> str:
        """The last line."""
        return self.evaluation.summary


def evaluate(
    trained: TrainedModel,
    split: str | None = None,
    note: Callable[[str], None] = lambda text: None,
    rows: RowFiles | None = None,
) -> EvaluationResult:
    """Scores a split of the configured data and, for a run, keeps the result in ``evaluations/``.

    Args:
        trained: the model, with the settings that name the data.
        split: its name; by default the task's evaluation split.
        note: told what the user should read.
        rows: the files of the configured data, where they are there for this call alone.

    Raises:
        UsageError: there is no such split.
        DataError: the data is missing, wrong or without labels.
    """
    started = time.perf_counter()
    config, task = trained.config, trained.task
    describe(**trained.header)
    dataset = open_data(task, config, trained.registry)
    head = trained.head_for(dataset)
    examples = dataset.split(split or task.evaluation_split)
    for text in (*trained.source.weights.notes, *trained.tokenizer.notes, *reading_notes(dataset, examples)):
        note(text)
    encoded = trained.encoder(head, note).whole(examples)
    data = f"{data_names(config.data)}: {encoded.describe()}, at most {trained.max_length} tokens"
    describe(data=data)
    accumulator = open_accumulator(config, task, encoded.examples, trained.tuned(head))
    with closing(trained.load(head, encoded.batch.lengths)) as model:
        timing = model.predict(encoded, accumulator)
    training, labels = training_beside(dataset, encoded.name), head.labels
    learned = learned_baseline(task, training, encoded.examples, labels, config.data)
    report = Report(
        title=f"{task.name}, {encoded.name}, on {trained.target.backend.name}",
        split=encoded.name,
        header={**trained.header, "data": data},
        evaluation=judged(accumulator.result(), (task.metric,), learned),
        best_step=0,
        seconds=time.perf_counter() - started,
        examples_per_second=timing.examples_per_second,
        history=(),
        options=config_values(config),
        environment=environment(trained.target.backend.versions()),
    )
    if rows is not None:
        report = replace(report, options=rows.named(report.options))
    folder = None if trained.run_folder is None else _keep(trained, trained.run_folder, encoded, report)
    return EvaluationResult(folder, report.header, report.evaluation, timing.examples_per_second)


def _keep(trained: TrainedModel, run: RunFolder, split: EncodedSplit, report: Report) -> Path:
    """Writes a report and its predictions where no other evaluation of the run lies, and returns the folder."""
    task, backend = trained.task.name, trained.target.backend.name
    changed = changed_options(trained.own_options, report.options)
    is_own_task = task == trained.own_task
    name = folder_name([*([] if is_own_task else [task]), split.name, backend], changed, names_data=is_own_task)
    same = identity(task, backend, split.name, split.examples, changed, run.best)
    folder = choose_folder(run.path / EVALUATIONS, name, same)
    with atomic_folder(folder) as temporary:
        write_json_lines(temporary / "predictions.jsonl", report.evaluation.predictions)
        write_report(temporary, replace(report, identity=same))
    return folder
