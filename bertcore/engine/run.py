"""A training run from the configuration to the report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bertcore.backend import Session, TrainingSpecification
from bertcore.class_scores import ClassScore
from bertcore.config import (
    FILE_OPTIONS,
    ResolvedConfig,
    RunConfig,
    Setting,
    config_model,
    config_values,
    resolve_config,
)
from bertcore.data.record_folder import recorded_settings
from bertcore.engine.backend_choice import with_only_backend
from bertcore.engine.best_model import BestModel
from bertcore.engine.checkpoint import Checkpoint, Progress, newest_checkpoint, remove_checkpoints, save_checkpoint
from bertcore.engine.choice import choose_metric, describe, open_accumulator
from bertcore.engine.division import keep_division
from bertcore.engine.given_rows import GivenRows, kept_in_run_folder
from bertcore.engine.interrupt import Interrupted
from bertcore.engine.judgement import judged, labels_of, learned_baseline
from bertcore.engine.launchers import refuse_launchers
from bertcore.engine.model_settings import remembered_settings
from bertcore.engine.prediction import PredictionTiming, predict_split
from bertcore.engine.preparation import (
    EncodedSplit,
    Place,
    absolute,
    absolute_files,
    choose_max_length,
    choose_place,
    data_names,
    encode_whole_split,
    find_model,
    find_task,
    open_data,
    open_session,
    settle_options,
)
from bertcore.engine.report import Report, ReportedTest, environment, write_json_lines, write_report
from bertcore.engine.run_folder import RunFolder, require_free
from bertcore.engine.schedule import nothing_is_learned, warmup_steps
from bertcore.engine.tracking import Trackers, with_trackers
from bertcore.engine.training import Surroundings, Trainer, training_specification
from bertcore.engine.training_data import SizedTrainingData, StreamedTrainingData, TrainingData
from bertcore.errors import BertcoreError, ConfigError, DataError, ModelError, UsageError
from bertcore.events import CheckpointSaved, Event, Note, RunFailed, RunFinished, RunStarted
from bertcore.heads import Head, TokenClassification
from bertcore.models import ModelSource, open_model
from bertcore.parameters import FitReport, Parameters
from bertcore.progress import about, listening
from bertcore.registry import Registry
from bertcore.task import Accumulator, Dataset, Evaluation, Example, ExampleStream, Metric, Split, Task

# What a resumed run may not change: it would no longer be the same run.
FIXED_ON_RESUME = (
    "task",
    "data.",
    "head.",
    "train.batch_size",
    "train.accumulation",
    "train.group_by_length",
    "train.objective",
    "train.metric",
    "run.seed",
)


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


def resolve_run(settings: Sequence[Setting], registry: Registry) -> ResolvedConfig:
    """Checks settings against the options of their task, which may add some of its own.

    Raises:
        ConfigError: an unknown key or a value that does not fit.
        UsageError: there is no such task, or it takes a folder and single files are named.
    """
    settings = with_only_backend(settings, registry)
    name = next((setting.value for setting in reversed(settings) if setting.key == "task"), None)
    if name is None:
        return resolve_config(settings)
    task = registry.task(str(name))
    for setting in settings:
        section, _, option = setting.key.partition(".")
        if section == "data" and option in FILE_OPTIONS and option not in task.data_config.model_fields:
            raise UsageError(
                f"the task {task.name} takes a folder, no single file for the split {option}",
                "give --data FOLDER; the tasks classification, regression, ner and qa read files of your own",
            )
    path = next((setting.value for setting in reversed(settings) if setting.key == "data.path"), None)
    if path is not None:
        settings = [*recorded_settings(str(path), task.name), *settings]
    return resolve_config(settings, config_model(task.data_config, task.head_config))


def run(config: RunConfig, registry: Registry, rows: GivenRows | None = None) -> RunResult:
    """Trains with one seed and reports.

    Args:
        config: the configuration.
        registry: the plugins.
        rows: data that no file holds.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
        Interrupted: Ctrl-C or SIGTERM.
    """
    with kept_in_run_folder(rows, config) as config:
        return Workshop(config, registry, rows=rows).run(config.run.seed)


def resume(path: Path, registry: Registry, changes: Sequence[Setting] = (), trackers: Sequence[str] = ()) -> RunResult:
    """Goes on with a stopped run from its last complete checkpoint, on any backend.

    A run that was killed before it wrote one begins again with its first step.

    Args:
        path: the run folder.
        registry: the plugins.
        changes: settings on top of the run's own: backend, device, precision, more epochs.
        trackers: names of further trackers.

    Raises:
        ConfigError: a change that would make it another run.
        ModelError: every checkpoint is damaged, or there is none although the run had one.
        OutputError: another process works on the run.
    """
    folder = RunFolder.open(path)
    with folder.go_on() as notes:
        config = _changed_config(folder, registry, changes, trackers)
        return Workshop(config, registry, folder, notes=notes).run(config.run.seed)


def _changed_config(
    folder: RunFolder, registry: Registry, changes: Sequence[Setting], trackers: Sequence[str]
) -> RunConfig:
    """The configuration of a run with changes, those of :data:`FIXED_ON_RESUME` refused."""
    own = folder.settings()
    if any(setting.key == "backend" for setting in changes):
        # Another backend must not be asked for the device of the first.
        own = [setting for setting in own if setting.key != "run.device"]
    before = config_values(resolve_run(own, registry).config)
    config = resolve_run(with_trackers([*own, *changes], trackers, registry), registry).config
    for key, value in config_values(config).items():
        if key in {f"data.{name}" for name in FILE_OPTIONS}:
            value = absolute(value)
        if key.startswith(FIXED_ON_RESUME) and before.get(key) != value:
            raise ConfigError(
                f"{key} was {before.get(key)!r} and cannot become {value!r} in a resumed run",
                "leave it as it was, or start a new run",
            )
    return config


class Workshop:
    """Data, model and session of a run, shared by all seeds so that nothing is compiled twice."""

    def __init__(
        self,
        config: RunConfig,
        registry: Registry,
        resumed: RunFolder | None = None,
        rows: GivenRows | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        refuse_launchers()
        self.registry = registry
        self.resumed = resumed
        self._has_kept_rows = rows is not None
        self.notes: list[str] = [*notes, *(() if rows is None else rows.notes)]
        self.checkpoint = None if resumed is None else self._last_checkpoint(resumed, config.train.keep_checkpoints)
        if resumed is None and rows is None and config.run.output is not None:
            require_free(Path(config.run.output))
        for name in config.run.trackers or ():
            registry.tracker(name)
        self.task: Task = find_task(config, registry)
        self.place: Place = choose_place(config, registry)
        objective, _ = registry.objective(
            config.train.objective, config.train.objective_options, self.place.backend.name
        )
        self.dataset: Dataset = open_data(self.task, config, registry)
        self.config = config = settle_options(config, self.dataset)
        self.source: ModelSource = (
            find_model(config.model, registry, backend=self.place.backend.name)
            if self.checkpoint is None
            else open_model(str(self.checkpoint.folder / "model"), registry, backend=self.place.backend.name)
        )
        self.head: Head = self._choose_head()
        # Fitting checks every name and shape before anything expensive is done.
        self.source.fit(self.head, seed=0, new_head=config.model.new_head)
        self.tokenizer = self.source.tokenizer(config.data.lowercase)
        self.max_length = choose_max_length(config, self.source)
        for split in ("train", self.task.evaluation_split):
            if split not in self.dataset.files:
                raise DataError(
                    f"the data has no split {split}, only {', '.join(self.dataset.files)}",
                    "give the file with --dev, or take a part of the training examples: --set data.dev_fraction=0.1"
                    if split != "train"
                    else "a run trains on one split and evaluates on another",
                )
        evaluated = self.task.evaluation_split
        examples = self.dataset.split(evaluated)
        self.metric: Metric = choose_metric(config, self.task, examples, self.head)
        self.evaluation = self._encode(evaluated, examples)
        self.training_examples = self.dataset.split("train")
        self.test: EncodedSplit | None = None
        if getattr(config.data, "test", None) is not None:  # read now, so that a mistake in it is found at once
            self.test = self._encode("test", self.dataset.split("test"), labeled=False)
        self.notes += [*self.tokenizer.notes, *self.dataset.notes]
        self.training_split: EncodedSplit | None = None
        if not isinstance(self.training_examples, ExampleStream):
            if not self.training_examples:
                raise DataError(f"{self.dataset.files['train'][0]}: no examples to train on", "check the file")
            self.training_split = self._encode("train", self.training_examples)
        self.specification: TrainingSpecification = training_specification(
            config.train, self.source.config.prefix, objective, self.head
        )
        self.session: Session | None = None

    def _choose_head(self) -> Head:
        """The task's head, or that of a model which tags the same entities, in its own order of labels."""
        head = self.task.choose_head(self.dataset, self.config.data, self.config.head)
        if self.config.model.new_head or self.config.head.model_fields_set:
            return head
        with suppress(ModelError):  # the config tells nothing of a head
            own = self.source.head()
            if isinstance(own, TokenClassification) and own.predicts_as(head):
                return own
        return head

    def run(self, seed: int, suffix: str = "") -> RunResult:
        """Trains with one seed; see :func:`run`."""
        started = time.perf_counter()
        config = self.config.model_copy(update={"run": self.config.run.model_copy(update={"seed": seed})})
        data = self._training_data(seed)
        new_head = config.model.new_head and self.checkpoint is None
        parameters, fit = self.source.fit(self.head, seed=seed, new_head=new_head)
        if self.training_split is not None:
            from_data = self.head.initial_parameters(self.training_split.batch)
            parameters |= {name: value for name, value in from_data.items() if name in fit.initialized}
        session = self._open_session(data)
        session.load(parameters)
        progress = Progress()
        if self.checkpoint is not None:
            progress = self.checkpoint.progress
            session.restore(self.checkpoint.optimizer)
        if self.resumed is not None:
            config = keep_division(config, self.resumed, self.training_examples)
            return _SeedRun(self, config, self.resumed, session, data, fit, progress, started).run()
        with RunFolder.begin(config, suffix, self._has_kept_rows and not suffix) as (folder, notes):
            self.notes += notes
            try:
                config = keep_division(config, folder, self.training_examples)
                return _SeedRun(self, config, folder, session, data, fit, progress, started).run()
            except BaseException:
                folder.discard_if_useless()
                raise

    def _last_checkpoint(self, resumed: RunFolder, keep: int) -> Checkpoint | None:
        if resumed.has_just_begun:
            self.notes.append("the run has no checkpoint yet: it begins again with its first step")
            return None
        checkpoint = newest_checkpoint(resumed.path, self.notes.append)
        if checkpoint is None:
            raise ModelError(
                f"{resumed.path}: no checkpoint to go on from, and the run had one",
                "start the run anew with another --output",
            )
        if not checkpoint.damaged:  # those stay until there is a new one
            remove_checkpoints(resumed.path, keep)
        return checkpoint

    def _encode(self, name: str, examples: Split, labeled: bool = True) -> EncodedSplit:
        return encode_whole_split(
            self.task,
            name,
            examples,
            files=self.dataset.files[name],
            tokenizer=self.tokenizer,
            head=self.head,
            config=self.config,
            max_length=self.max_length,
            note=self.notes.append,
            labeled=labeled,
        )

    @cached_property
    def baseline(self) -> Mapping[str, float]:
        """What remembers the training split scores on the split that is evaluated."""
        return self.learned_baseline(self.evaluation.examples)

    def learned_baseline(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """What remembers the training split scores on these examples."""
        training = lambda: self.training_examples  # noqa: E731
        return learned_baseline(self.task, training, examples, labels_of(self.head), self.config.data)

    def judged(self, evaluation: Evaluation, learned: Mapping[str, float]) -> Evaluation:
        """Adds what is to be said beside the scores."""
        return judged(evaluation, (self.metric, self.task.metric), learned)

    def _training_data(self, seed: int) -> TrainingData:
        options = self.config.train
        if self.training_split is not None:
            return SizedTrainingData(self.training_split.batch, options, seed)
        stream = self.training_examples
        assert isinstance(stream, ExampleStream)
        if options.max_steps is None:
            raise UsageError("the training split is a stream without end", "give --set train.max_steps=N")
        encode: Callable[[Sequence[Example]], Any] = lambda examples: self.task.encode(  # noqa: E731
            examples, self.tokenizer, self.head, self.max_length, self.config.data
        )
        return StreamedTrainingData(stream, encode, options, seed, self.config.data.stream_window)

    def _open_session(self, data: TrainingData) -> Session:
        if self.session is None:
            self.session = open_session(
                self.place,
                self.source,
                self.head,
                self.config,
                self.registry,
                training=self.specification,
                training_lengths=data.lengths,
                prediction_lengths=self.evaluation.batch.lengths,
                max_length=self.max_length,
            )
        return self.session


class _SeedRun:
    """One seed in one run folder."""

    def __init__(
        self,
        workshop: Workshop,
        config: RunConfig,
        folder: RunFolder,
        session: Session,
        data: TrainingData,
        fit: FitReport,
        progress: Progress,
        started: float,
    ) -> None:
        self._shop = workshop
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
        self._tuned_head = workshop.head
        self._accumulator: Accumulator | None = None  # of the last evaluation
        self._damaged: tuple[Path, ...] = () if workshop.checkpoint is None else workshop.checkpoint.damaged
        self._best = BestModel(
            folder,
            workshop.source,
            workshop.tokenizer,
            workshop.place.backend,
            workshop.registry,
            max_length=workshop.max_length,
            settings=remembered_settings(config, workshop.max_length),
        )
        self._trackers = Trackers(config.run.trackers, workshop.registry, self._event, session.rank)

    def run(self) -> RunResult:
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
        for note in (*self._shop.notes, *self._fit_notes(), *self._schedule_notes()):
            self._send(Note(note))
        best = self._make_best_again()
        trainer = Trainer(
            session=self._session,
            data=self._data,
            specification=self._shop.specification,
            head=self._shop.head,
            metric=self._shop.metric,
            evaluation_split=self._shop.evaluation.name,
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
                split=self._shop.evaluation.name,
                header=self._event.header,
                evaluation=evaluation,
                best_step=self._progress.best_step,
                seconds=seconds,
                examples_per_second=speed,
                history=self._progress.history,
                options=self._event.options,
                environment=environment(self._shop.place.backend.versions()),
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
            total=len(self._shop.evaluation.examples),
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
        shop, config = self._shop, self._config
        training = shop.training_split
        splits = [training.describe() if training is not None else "train (stream)", shop.evaluation.describe()]
        train = config.train
        return {
            "task": shop.task.name,
            "backend": shop.place.describe(),
            "device": shop.place.device,
            "precision": f"{config.run.precision}, evaluation {config.evaluate.precision}",
            "model": f"{config.model.path} ({shop.source.family.name}, "
            f"{shop.source.config.num_hidden_layers} layers, hidden size {shop.source.config.hidden_size})",
            "data": f"{data_names(config.data)}: {', '.join(splits)}, at most {shop.max_length} tokens",
            "training": f"{self._data.total_steps} steps of {train.batch_size * train.accumulation} examples, "
            f"learning rate {train.learning_rate:g}, seed {config.run.seed}",
            **({"best by": describe(shop.metric)} if train.metric is not None else {}),
            "output": str(self._folder.path),
        }

    def _fit_notes(self) -> list[str]:
        groups: dict[str, list[str]] = {}
        for name, reason in self._fit.initialized.items():
            groups.setdefault(f"new ({reason})", []).append(name)
        notes = [*self._shop.source.weights.notes]
        notes += [f"{reason}: {', '.join(names)}" for reason, names in groups.items()]
        if self._fit.skipped:
            reasons = sorted(set(self._fit.skipped.values()))
            notes.append(f"not used: {len(self._fit.skipped)} tensors ({', '.join(reasons)})")
        return notes

    def _schedule_notes(self) -> list[str]:
        options, total = self._config.train, self._data.total_steps
        peaks = [group.learning_rate for group in self._shop.specification.groups]
        note = nothing_is_learned(total, warmup_steps(total, options.warmup_ratio), options.schedule, peaks)
        return [] if note is None else [note]

    def _evaluate(self) -> tuple[Evaluation, PredictionTiming]:
        split = self._shop.evaluation
        accumulator = open_accumulator(self._config, self._shop.task, split.examples, self._shop.head)
        with about(split.name):
            timing = predict_split(
                self._session,
                split.batch,
                accumulator,
                batch_size=self._config.evaluate.batch_size,
                examples=len(split.examples),
            )
        self._tuned_head = accumulator.tune() or self._shop.head
        self._accumulator = accumulator
        return self._shop.judged(accumulator.result(), self._shop.baseline), timing

    def _evaluate_best(self) -> Evaluation:
        self._load_best()
        return self._evaluate()[0]

    def _load_best(self) -> Head:
        """Loads the best checkpoint, and returns its head, with what was tuned."""
        parameters, head, step = self._best.load(self._shop.head)
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
        split = self._shop.test
        if split is None:
            return None
        accumulator = self._shop.task.accumulator(split.examples, self._load_best(), self._config.data)
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
        evaluation = self._shop.judged(accumulator.result(), self._shop.learned_baseline(split.examples))
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
            lambda folder: self._best.save_model(folder, parameters, self._shop.head),
            keep=self._config.train.keep_checkpoints,
            damaged=self._damaged,
        )
        self._damaged = ()
        self._send(CheckpointSaved(progress.step, checkpoint))
