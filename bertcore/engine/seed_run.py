"""One seed in one run folder, from the first step to the report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bertcore.config import (
    RunConfig,
    config_values,
)
from bertcore.contracts.backend import Session
from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.events import CheckpointSaved, Event, Note, RunFailed, RunFinished, RunStarted
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import FitReport, Parameters
from bertcore.engine.best_model import BestModel
from bertcore.engine.checkpoint import Progress, save_checkpoint
from bertcore.engine.choice import describe, open_accumulator
from bertcore.engine.division import keep_division
from bertcore.engine.interrupt import Interrupted
from bertcore.engine.model_settings import remembered_settings
from bertcore.engine.prediction import PredictionTiming, predict_split
from bertcore.engine.preparation import (
    absolute,
    absolute_files,
    data_names,
)
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.report import Report, ReportedTest, environment, write_json_lines, write_report
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.schedule import nothing_is_learned, warmup_steps
from bertcore.engine.tracking import Trackers
from bertcore.engine.training import Surroundings, Trainer
from bertcore.engine.training_data import TrainingData
from bertcore.errors import BertcoreError
from bertcore.progress import about, listening


@dataclass(frozen=True)
class RunResult:
    """The outcome of one run.

    Attributes:
        folder: the run folder.
        task: name of the task.
        backend: name of the backend.
        seed: of the run.
        metrics: of the best checkpoint, on the task's evaluation split.
        baseline: the same metrics of a model that needs no text.
        total: examples of that split.
        summary: the last line.
        steps: optimizer steps done.
        best_step: step of the best checkpoint.
        finished: False where ``train.stop_after`` ended the run before its last step.
        examples_per_second: of training, without compilation and evaluation.
        seconds: wall-clock time of the run.
        test: scores and predictions of the file that ``data.test`` names, where it has labels.
        per_class: each class, label or type of entity to how well the best checkpoint finds it.
        notes: what a reader must know beside the scores, a line each.
    """

    folder: Path
    task: str
    backend: str
    seed: int
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    total: int
    summary: str
    steps: int
    best_step: int
    finished: bool
    examples_per_second: float
    seconds: float
    test: Evaluation | None = None
    per_class: Mapping[str, ClassScore] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def train_seed(prepared: PreparedRun, seed: int, suffix: str = "") -> RunResult:
    """Trains with one seed and reports.

    Args:
        prepared: what all seeds share.
        seed: of data order, dropout and new parameters.
        suffix: name of the run folder within that of the configuration.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
        Interrupted: Ctrl-C or SIGTERM.
    """
    started = time.perf_counter()
    config = prepared.config.model_copy(update={"run": prepared.config.run.model_copy(update={"seed": seed})})
    data = prepared.training_data(seed)
    new_head = config.model.new_head and prepared.checkpoint is None
    parameters, fit = prepared.source.fit(prepared.head, seed=seed, new_head=new_head)
    if prepared.training_split is not None:
        from_data = prepared.head.initial_parameters(prepared.training_split.batch)
        parameters |= {name: value for name, value in from_data.items() if name in fit.initialized}
    session = prepared.open_session(data)
    session.load(parameters)
    progress = Progress()
    if prepared.checkpoint is not None:
        progress = prepared.checkpoint.progress
        session.restore(prepared.checkpoint.optimizer)
    if prepared.resumed is not None:
        config = keep_division(config, prepared.resumed, prepared.training_examples)
        return SeedRun(prepared, config, prepared.resumed, session, data, fit, progress, started).run()
    with RunFolder.begin(config, suffix, prepared.has_kept_rows and not suffix) as (folder, notes):
        prepared.notes += notes
        try:
            config = keep_division(config, folder, prepared.training_examples)
            return SeedRun(prepared, config, folder, session, data, fit, progress, started).run()
        except BaseException:
            folder.discard_if_useless()
            raise


class SeedRun:
    """One seed in one run folder."""

    def __init__(
        self,
        prepared: PreparedRun,
        config: RunConfig,
        folder: RunFolder,
        session: Session,
        data: TrainingData,
        fit: FitReport,
        progress: Progress,
        started: float,
    ) -> None:
        self._prepared = prepared
        self._config = config
        self._folder = folder
        self._session = session
        self._data = data
        self._fit = fit
        self._progress = progress
        self._started = started
        stored = config.model_copy(
            update={
                "model": config.model.model_copy(update={"path": absolute(config.model.path)}),
                "data": absolute_files(config.data),
                "run": config.run.model_copy(update={"output": str(folder.path.resolve())}),
            }
        )
        folder.write_config(stored)
        self._event = RunStarted(
            folder.path, self._header(), data.total_steps, progress.step, config_values(stored), tuple(progress.history)
        )
        self._tuned_head = prepared.head
        self._accumulator: Accumulator | None = None  # of the last evaluation
        self._damaged: tuple[Path, ...] = () if prepared.checkpoint is None else prepared.checkpoint.damaged
        self._best = BestModel(
            folder,
            prepared.source,
            prepared.tokenizer,
            prepared.place.backend,
            prepared.registry,
            max_length=prepared.max_length,
            settings=remembered_settings(config, prepared.max_length),
        )
        self._trackers = Trackers(config.run.trackers, prepared.registry, self._event, session.rank)

    def run(self) -> RunResult:
        """Trains from where the run stands to its end, and tells the trackers how it ended."""
        try:
            with listening(self._send):
                return self._run()
        except (BertcoreError, Interrupted) as error:
            self._trackers.send(RunFailed(error.cause, error.remedy))
            raise
        except BaseException as error:
            self._trackers.send(RunFailed(f"{type(error).__name__}: {error}", "", traceback.format_exc()))
            raise
        finally:
            self._trackers.close()

    def _run(self) -> RunResult:
        for note in (*self._prepared.notes, *self._fit_notes(), *self._schedule_notes()):
            self._send(Note(note))
        best = self._make_best_again()
        trainer = Trainer(
            session=self._session,
            data=self._data,
            specification=self._prepared.specification,
            head=self._prepared.head,
            metric=self._prepared.metric,
            evaluation_split=self._prepared.evaluation.name,
            options=self._config.train,
            seed=self._config.run.seed,
            progress=self._progress,
            surroundings=Surroundings(self._evaluate, self._save_best, self._save_checkpoint, self._send),
            best=best,
        )
        finished = trainer.train()
        seconds = time.perf_counter() - self._started
        speed = trainer.rows / trainer.seconds if trainer.seconds else 0.0
        evaluation = trainer.best
        test: ReportedTest | None = None
        if not finished:
            summary = f"stopped after step {self._progress.step} of {self._data.total_steps}; go on with --resume"
            metrics: Mapping[str, float] = {} if evaluation is None else evaluation.metrics
            baseline: Mapping[str, float] = {} if evaluation is None else evaluation.baseline
        else:
            if evaluation is None:  # a resumed run that found nothing better than what it had
                evaluation = self._evaluate_best()
            summary, metrics, baseline = evaluation.summary, evaluation.metrics, evaluation.baseline
            report = Report(
                title=f"{self._config.task} on {self._config.backend}, seed {self._config.run.seed}",
                split=self._prepared.evaluation.name,
                header=self._event.header,
                evaluation=evaluation,
                best_step=self._progress.best_step,
                seconds=seconds,
                examples_per_second=speed,
                history=self._progress.history,
                options=self._event.options,
                environment=environment(self._prepared.place.backend.versions()),
            )
            write_report(self._folder.path, report)
            test = self._predict_test()
            if test is not None:
                write_report(self._folder.path, replace(report, test=test))
            if evaluation.notes:
                self._send(Note(f"{report.split}: {'; '.join(evaluation.notes)}"))
        self._send(RunFinished(summary, metrics, seconds))
        return RunResult(
            folder=self._folder.path,
            task=str(self._config.task),
            backend=str(self._config.backend),
            seed=self._config.run.seed,
            metrics=metrics,
            baseline=baseline,
            total=len(self._prepared.evaluation.examples),
            summary=summary,
            steps=self._progress.step,
            best_step=self._progress.best_step,
            finished=finished,
            examples_per_second=speed,
            seconds=seconds,
            test=None if test is None else test.evaluation,
            per_class={} if evaluation is None else evaluation.per_class,
            notes=() if evaluation is None else evaluation.notes,
        )

    def _send(self, event: Event) -> None:
        self._trackers.send(event)

    def _header(self) -> dict[str, str]:
        prepared, config = self._prepared, self._config
        training = prepared.training_split
        splits = [training.describe() if training is not None else "train (stream)", prepared.evaluation.describe()]
        train = config.train
        return {
            "task": prepared.task.name,
            "backend": prepared.place.describe(),
            "device": prepared.place.device,
            "precision": f"{config.run.precision}, evaluation {config.evaluate.precision}",
            "model": f"{config.model.path} ({prepared.source.family.name}, "
            f"{prepared.source.config.num_hidden_layers} layers, hidden size {prepared.source.config.hidden_size})",
            "data": f"{data_names(config.data)}: {', '.join(splits)}, at most {prepared.max_length} tokens",
            "training": f"{self._data.total_steps} steps of {train.batch_size * train.accumulation} examples, "
            f"learning rate {train.learning_rate:g}, seed {config.run.seed}",
            **({"best by": describe(prepared.metric)} if train.metric is not None else {}),
            "output": str(self._folder.path),
        }

    def _fit_notes(self) -> list[str]:
        groups: dict[str, list[str]] = {}
        for name, reason in self._fit.initialized.items():
            groups.setdefault(f"new ({reason})", []).append(name)
        notes = [*self._prepared.source.weights.notes]
        notes += [f"{reason}: {', '.join(names)}" for reason, names in groups.items()]
        if self._fit.skipped:
            reasons = sorted(set(self._fit.skipped.values()))
            notes.append(f"not used: {len(self._fit.skipped)} tensors ({', '.join(reasons)})")
        return notes

    def _schedule_notes(self) -> list[str]:
        options, total = self._config.train, self._data.total_steps
        peaks = [group.learning_rate for group in self._prepared.specification.groups]
        note = nothing_is_learned(total, warmup_steps(total, options.warmup_ratio), options.schedule, peaks)
        return [] if note is None else [note]

    def _evaluate(self) -> tuple[Evaluation, PredictionTiming]:
        split = self._prepared.evaluation
        accumulator = open_accumulator(self._config, self._prepared.task, split.examples, self._prepared.head)
        with about(split.name):
            timing = predict_split(
                self._session,
                split.batch,
                accumulator,
                batch_size=self._config.evaluate.batch_size,
                examples=len(split.examples),
            )
        self._tuned_head = accumulator.tune() or self._prepared.head
        self._accumulator = accumulator
        return self._prepared.judged(accumulator.result(), self._prepared.baseline), timing

    def _evaluate_best(self) -> Evaluation:
        self._load_best()
        return self._evaluate()[0]

    def _load_best(self) -> Head:
        """Loads the best checkpoint, and returns its head, with what was tuned."""
        parameters, head, step = self._best.load(self._prepared.head)
        self._session.load(parameters)
        self._progress.best_step = step or self._progress.best_step
        return head

    def _make_best_again(self) -> Evaluation | None:
        """The best evaluation of a resumed run whose best model is damaged, or of a step after the checkpoint."""
        missing = self._best.is_missing(self._progress)
        if missing is None:
            return None
        if self._progress.step != self._progress.best_step:
            if not self._folder.best.exists():
                self._progress.best_value = None
            self._send(Note(f"{missing}: so it will be until the next evaluation that is the best"))
            return None
        self._send(Note(f"{missing}: it is made again from the checkpoint"))
        evaluation, _ = self._evaluate()
        self._save_best(evaluation)
        return evaluation

    def _predict_test(self) -> ReportedTest | None:
        """Predicts the user's test file with the best checkpoint; scores it where every example has a label."""
        split = self._prepared.test
        if split is None:
            return None
        accumulator = self._prepared.task.accumulator(split.examples, self._load_best(), self._config.data)
        accumulator.read_parameters(self._session.parameters())
        with about(split.name):
            predict_split(
                self._session,
                split.batch,
                accumulator,
                batch_size=self._config.evaluate.batch_size,
                examples=len(split.examples),
            )
        file = self._folder.path / "test_predictions.jsonl"
        write_json_lines(file, accumulator.predictions())
        self._send(Note(f"predictions of {len(split.examples)} examples of the test file: {file}"))
        labeled = sum(example.label is not None for example in split.examples)
        if 0 < labeled < len(split.examples):
            self._send(Note(f"test: not scored, {labeled} of {len(split.examples)} examples have a label"))
        if labeled < len(split.examples):
            return ReportedTest(len(split.examples), labeled, file.name, None)
        evaluation = self._prepared.judged(accumulator.result(), self._prepared.learned_baseline(split.examples))
        self._send(Note(f"test: {evaluation.summary}"))
        if evaluation.notes:
            self._send(Note(f"test: {'; '.join(evaluation.notes)}"))
        return ReportedTest(len(split.examples), labeled, file.name, evaluation)

    def _save_best(self, evaluation: Evaluation) -> None:
        parameters = self._session.parameters()
        predictions = self._best_predictions(evaluation, parameters)
        self._best.save(self._progress.step, predictions, parameters, self._tuned_head)

    def _best_predictions(self, evaluation: Evaluation, parameters: Parameters) -> Sequence[Mapping[str, Any]]:
        """Those of the evaluation, with what only the parameters tell."""
        accumulator = self._accumulator
        if accumulator is not None and accumulator.read_parameters(parameters):
            return accumulator.predictions()
        return evaluation.predictions

    def _save_checkpoint(self, progress: Progress) -> None:
        parameters = self._session.parameters()
        checkpoint = save_checkpoint(
            self._folder.path,
            self._session.state(),
            progress,
            lambda folder: self._best.save_model(folder, parameters, self._prepared.head),
            keep=self._config.train.keep_checkpoints,
            damaged=self._damaged,
        )
        self._damaged = ()
        self._send(CheckpointSaved(progress.step, checkpoint))
