"""Evaluating and using what a run trained, on any backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.commands.open_model import OpenModel
from bertcore.config import RunConfig, Setting, config_values
from bertcore.contracts.backend import Session
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.task import Task
from bertcore.data.tables import Record
from bertcore.engine.choice import open_accumulator
from bertcore.engine.evaluations import changed_options, choose_folder, folder_name, identity
from bertcore.engine.given_rows import GivenRows
from bertcore.engine.judgement import judged, labels_of, learned_baseline, training_beside
from bertcore.engine.model_settings import settings_of_model
from bertcore.engine.place import Place, choose_place, open_session
from bertcore.engine.prediction import PredictionTiming, predict_split
from bertcore.engine.prediction_input import named_as_trained
from bertcore.engine.preparation import (
    EncodedSplit,
    choose_max_length,
    data_names,
    encode_whole_split,
    find_task,
    open_data,
    reading_notes,
)
from bertcore.engine.report import Report, environment, write_json_lines, write_report
from bertcore.engine.run_folder import EVALUATIONS, RunFolder, no_run_folder
from bertcore.engine.settings import changed_settings, resolve_run
from bertcore.errors import ModelError, UsageError
from bertcore.files.writing import atomic_folder
from bertcore.plugins.registry import Registry
from bertcore.progress import about, describe
from bertcore.weights.converters.model_places import chosen_checkpoint
from bertcore.weights.opening import ModelSource, open_model


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


class TrainedModel:
    """A fine-tuned model of a run folder, or a fine-tuned Hugging Face folder, opened on a backend.

    Args:
        path: a run folder, or a model folder whose head fits the task.
        registry: the plugins.
        settings: on top of the run's own, or of those that the model folder remembers: task, backend, device, data.

    Raises:
        UsageError: the path is neither, or no task or backend is named.
        ModelError: the model is damaged or has no fine-tuned head.
        DeviceError: the backend or the device is absent.
    """

    def __init__(self, path: Path, registry: Registry, settings: Sequence[Setting] = ()) -> None:
        is_run = (path / "config.toml").is_file()
        if not is_run and not (chosen_checkpoint(path)[0] / "config.json").is_file():
            raise no_run_folder(path, "is neither a run folder nor a model folder")
        self.run_folder: RunFolder | None = RunFolder.open(path) if is_run else None
        own = (
            settings_of_model(chosen_checkpoint(path)[0], registry)
            if self.run_folder is None
            else self.run_folder.settings()
        )
        place = [setting for setting in settings if setting.key in ("task", "backend")]
        self._own_options = config_values(resolve_run(changed_settings(own, place, registry), registry).config)
        self.config: RunConfig = resolve_run(changed_settings(own, settings, registry), registry).config
        self.task: Task = find_task(self.config, registry)
        self.place: Place = choose_place(self.config, registry)
        model = path if self.run_folder is None else self.run_folder.found_best()
        if not model.is_dir():
            raise UsageError(f"{path}: no best/ yet", "the run must have reached its first evaluation")
        self.source: ModelSource = open_model(str(model), registry, backend=self.place.backend.name)
        self.tokenizer = self.source.tokenizer(self.config.data.lowercase)
        self.max_length = choose_max_length(self.config, self.source)
        self._registry = registry
        self._own_task = next((setting.value for setting in own if setting.key == "task"), None)

    @property
    def header(self) -> dict[str, str]:
        """What is opened and where it is computed, in the order in which it is shown."""
        return {
            "task": self.task.name,
            "backend": self.place.describe(),
            "device": self.place.device,
            "precision": self.config.evaluate.precision,
            "model": self.source.name,
        }

    def evaluate(
        self,
        split: str | None = None,
        note: Callable[[str], None] = lambda text: None,
        rows: GivenRows | None = None,
    ) -> EvaluationResult:
        """Scores a split of the configured data and, for a run, keeps the result in ``evaluations/``.

        Args:
            split: its name; by default the task's evaluation split.
            note: told what the user should read.
            rows: the configured data, where no file holds it but for this call.

        Raises:
            UsageError: there is no such split.
            DataError: the data is missing, wrong or without labels.
        """
        name = split or self.task.evaluation_split
        started = time.perf_counter()
        describe(**self.header)
        dataset = open_data(self.task, self.config, self._registry)
        head = self._head(dataset)
        encoded = self._encode(dataset, dataset.split(name), head, note)
        data = f"{data_names(self.config.data)}: {encoded.describe()}, at most {self.max_length} tokens"
        describe(data=data)
        accumulator = open_accumulator(self.config, self.task, encoded.examples, self._tuned(head))
        with about(name):
            timing = self._predict(head, encoded.batch, accumulator, len(encoded.examples))
        training, labels = training_beside(dataset, name), labels_of(head)
        learned = learned_baseline(self.task, training, encoded.examples, labels, self.config.data)
        evaluation = judged(accumulator.result(), (self.task.metric,), learned)
        header = {**self.header, "data": data}
        report = Report(
            title=f"{self.task.name}, {name}, on {self.place.backend.name}",
            split=name,
            header=header,
            evaluation=evaluation,
            best_step=0,
            seconds=time.perf_counter() - started,
            examples_per_second=timing.examples_per_second,
            history=(),
            options=config_values(self.config),
            environment=environment(self.place.backend.versions()),
        )
        if rows is not None:
            report = replace(report, options=rows.named(report.options))
        folder = None if self.run_folder is None else self._keep(self.run_folder, encoded, report)
        return EvaluationResult(folder, report.header, report.evaluation, timing.examples_per_second)

    def _keep(self, run: RunFolder, split: EncodedSplit, report: Report) -> Path:
        """Writes a report and its predictions where no other evaluation of the run lies, and returns the folder."""
        changed = changed_options(self._own_options, report.options)
        backend = self.place.backend.name
        own_task = self.task.name == self._own_task
        name = folder_name([*([] if own_task else [self.task.name]), split.name, backend], changed, names_data=own_task)
        same = identity(self.task.name, backend, split.name, split.examples, changed, run.best)
        folder = choose_folder(run.path / EVALUATIONS, name, same)
        with atomic_folder(folder) as temporary:
            write_json_lines(temporary / "predictions.jsonl", report.evaluation.predictions)
            write_report(temporary, replace(report, identity=same))
        return folder

    def predict_split(self, name: str, note: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
        """Predicts a split of the configured data, whether it has labels or not.

        Args:
            name: of the split.
            note: told what the user should read.

        Returns:
            One JSON object per example, in the order of the file.

        Raises:
            UsageError: there is no such split, or it is a stream.
            DataError: the data is missing or wrong.
        """
        dataset = open_data(self.task, self.config, self._registry)
        head = self._head(dataset)
        # Labels that a test file happens to have, or dummies in their place, are none of a prediction's business.
        examples = dataset.split(name).without_labels()
        encoded = self._encode(dataset, examples, head, note, labeled=False)
        truncated = len(encoded.encoding.truncated)
        if truncated:
            note(f"{name}: {truncated} of {len(examples)} examples are truncated")
        accumulator = self.task.accumulator(examples, self._tuned(head), self.config.data)
        with about(name):
            self._predict(head, encoded.batch, accumulator, len(examples))
        return accumulator.predictions()

    def _encode(
        self, dataset: Dataset, split: Split, head: Head, note: Callable[[str], None], labeled: bool = True
    ) -> EncodedSplit:
        for text in (*self.source.weights.notes, *self.tokenizer.notes, *reading_notes(dataset, split)):
            note(text)
        return encode_whole_split(
            self.task,
            split,
            tokenizer=self.tokenizer,
            head=head,
            config=self.config,
            max_length=self.max_length,
            note=note,
            labeled=labeled,
        )

    def predict(self, records: Iterable[Record]) -> list[dict[str, Any]]:
        """Predicts texts without labels.

        Args:
            records: JSON objects as the task reads them, each with where it stands (``in.jsonl:3``); ``text`` and
                ``text_pair`` may stand for what the training file calls its texts.

        Returns:
            One JSON object per record, in the same order, with the prediction and its probabilities, and with
            ``truncated: true`` where something was cut.

        Raises:
            DataError: a field is missing.
        """
        head = self.source.head()
        return self._predictions(records, head, lambda *rows: self._predict(head, *rows))

    @contextmanager
    def open(self) -> Iterator[OpenModel]:
        """Keeps the model loaded inside the block, to predict again and again.

        Raises:
            ModelError: the model has no fine-tuned head.
        """
        head = self.source.head()
        session, of_head = self._session(head, None)
        batch_size = self.config.evaluate.batch_size

        def compute(batch: Batch, accumulator: Accumulator, examples: int) -> PredictionTiming:
            accumulator.read_parameters(of_head)
            return predict_split(session, batch, accumulator, batch_size=batch_size, examples=examples)

        try:
            yield OpenModel(self.task, lambda records: self._predictions(records, head, compute))
        finally:
            session.close()

    def _predictions(
        self, records: Iterable[Record], head: Head, compute: Callable[[Batch, Accumulator, int], object]
    ) -> list[dict[str, Any]]:
        data = self.config.data
        examples = self.task.parse_input(named_as_trained(records, self.task.input_fields(data)), data)
        encoding = self.task.encode(examples, self.tokenizer, head, self.max_length, data)
        accumulator = self.task.accumulator(examples, head, data)
        compute(encoding.batch, accumulator, len(examples))
        predictions = accumulator.predictions()
        for index in encoding.truncated.tolist():
            predictions[index]["truncated"] = True
        return predictions

    def _predict(self, head: Head, batch: Batch, accumulator: Accumulator, examples: int) -> PredictionTiming:
        session, of_head = self._session(head, batch.lengths)
        accumulator.read_parameters(of_head)
        try:
            return predict_split(
                session, batch, accumulator, batch_size=self.config.evaluate.batch_size, examples=examples
            )
        finally:
            session.close()

    def _session(self, head: Head, lengths: NDArray[np.int64] | None) -> tuple[Session, Parameters]:
        """Opens a session with the model in it; returns the parameters of the head, too."""
        parameters, fit = self.source.fit(head, seed=0)
        if fit.initialized:
            raise ModelError(
                f"{self.source.name} holds no {', '.join(fit.initialized)}: it was not fine-tuned with this head",
                "give the folder of a finished run",
            )
        session: Session = open_session(
            self.place,
            self.source,
            head,
            self.config,
            self._registry,
            training=None,
            training_lengths=None,
            prediction_lengths=lengths,
            max_length=self.max_length,
        )
        session.load(parameters)
        encoder = self.source.family.prefix
        return session, {name: value for name, value in parameters.items() if not name.startswith(encoder)}

    def _head(self, dataset: Dataset) -> Head:
        # The task's own head, not the model's: fitting then refuses a model whose labels are others.
        if dataset.discovered:
            return self.source.head()
        head: Head = self.task.choose_head(dataset, self.config.data, self.config.head)
        if not self.config.head.model_fields_set:
            # A model folder tells what else its head has, a conditional random field for example.
            with suppress(ModelError):
                own = self.source.head()
                if own.predicts_as(head):
                    return own
        return head

    def _tuned(self, head: Head) -> Head:
        try:
            return head.tuned_as(self.source.head())
        except ModelError:
            return head  # the config tells nothing of the head
