"""Data, model and session of a run, shared by all of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from bertcore.config import (
    RunConfig,
)
from bertcore.contracts.backend import Session, TrainingSpecification
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Evaluation, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.task import Task
from bertcore.engine.checkpoint import Checkpoint, newest_checkpoint, remove_checkpoints
from bertcore.engine.choice import choose_metric
from bertcore.engine.given_rows import GivenRows
from bertcore.engine.judgement import judged, labels_of, learned_baseline
from bertcore.engine.launchers import refuse_launchers
from bertcore.engine.place import Place, choose_place, open_session
from bertcore.engine.preparation import (
    EncodedSplit,
    choose_max_length,
    encode_whole_split,
    find_model,
    find_task,
    open_data,
    reading_notes,
    settle_options,
)
from bertcore.engine.run_folder import RunFolder, require_free
from bertcore.engine.training import training_specification
from bertcore.engine.training_data import SizedTrainingData, StreamedTrainingData, TrainingData
from bertcore.errors import DataError, ModelError, UsageError
from bertcore.heads import TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import ModelSource, open_model


class PreparedRun:
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
        self.has_kept_rows = rows is not None
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
        evaluated = self.dataset.split(self.task.evaluation_split)
        self.metric: Metric = choose_metric(config, self.task, evaluated, self.head)
        self.evaluation = self._encode(evaluated)
        self.training_examples = self.dataset.split("train")
        read = [self.training_examples, evaluated]
        self.test: EncodedSplit | None = None
        if getattr(config.data, "test", None) is not None:  # read now, so that a mistake in it is found at once
            self.test = self._encode(self.dataset.split("test"), labeled=False)
            read.append(self.test.examples)
        self.notes += [*self.tokenizer.notes, *reading_notes(self.dataset, *read)]
        self.training_split: EncodedSplit | None = None
        if not self.training_examples.is_stream:
            if not self.training_examples:
                raise DataError(f"{self.dataset.files['train'][0]}: no examples to train on", "check the file")
            self.training_split = self._encode(self.training_examples)
        self.specification: TrainingSpecification = training_specification(
            config.train, self.source.config.prefix, objective, self.head
        )
        self.session: Session | None = None

    def _choose_head(self) -> Head:
        """The task's head, or that of a model which tags the same entities, in its own order of labels."""
        head: Head = self.task.choose_head(self.dataset, self.config.data, self.config.head)
        if self.config.model.new_head or self.config.head.model_fields_set:
            return head
        with suppress(ModelError):  # the config tells nothing of a head
            own = self.source.head()
            if isinstance(own, TokenClassification) and own.predicts_as(head):
                return own
        return head

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

    def _encode(self, split: Split, labeled: bool = True) -> EncodedSplit:
        return encode_whole_split(
            self.task,
            split,
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

    def training_data(self, seed: int) -> TrainingData:
        """The batches of the training split, in the order of a seed."""
        options = self.config.train
        if self.training_split is not None:
            return SizedTrainingData(self.training_split.batch, options, seed)
        if options.max_steps is None:
            raise UsageError("the training split is a stream without end", "give --set train.max_steps=N")
        encode = lambda window: self.task.encode(  # noqa: E731
            window, self.tokenizer, self.head, self.max_length, self.config.data
        )
        return StreamedTrainingData(self.training_examples, encode, options, seed, self.config.data.stream_window)

    def open_session(self, data: TrainingData) -> Session:
        """The one session of all seeds, opened when it is first asked for."""
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
