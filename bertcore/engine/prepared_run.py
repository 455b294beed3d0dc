"""Data, model and session of a run, shared by all of its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bertcore.config import RunConfig
from bertcore.contracts.adapter import with_adapter
from bertcore.contracts.backend import Session, TrainingSpecification, Workload
from bertcore.contracts.dataset import TRAINING_SPLIT, Dataset, Example, Split
from bertcore.contracts.evaluation import Evaluation, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.contracts.ranks import Ranks
from bertcore.contracts.task import Task
from bertcore.data.encoder import EncodedSplit, Encoder
from bertcore.engine.adapters import choose_adapter, new_names, own_names
from bertcore.engine.checkpoint import ADAPTER, Checkpoint, newest_checkpoint, remove_checkpoints
from bertcore.engine.choice import choose_metric
from bertcore.engine.compute_target import ComputeTarget, choose_target
from bertcore.engine.given_rows import RowFiles
from bertcore.engine.judgement import judged, learned_baseline
from bertcore.engine.loss_options import settle_weights, with_loss
from bertcore.engine.objectives import choose_objective
from bertcore.engine.parameter_groups import parameter_groups
from bertcore.engine.preparation import find_model, find_task, open_data, open_encoder, reading_notes, settle_options
from bertcore.engine.ranks import this_rank
from bertcore.engine.run_folder import RunFolder, require_free
from bertcore.engine.step_examples import numbered_windows
from bertcore.engine.teacher import Student, TeacherOutputs, outputs_of_teacher, refuse_stream
from bertcore.engine.training import training_specification
from bertcore.engine.training_data import SizedTrainingData, StreamedTrainingData, TrainingData
from bertcore.engine.unfreezing import unfrozen_by_epochs
from bertcore.errors import DataError, ModelError, Origin, UsageError
from bertcore.numerics.lora import Lora
from bertcore.plugins.registry import Registry
from bertcore.weights.adapter_folder import StoredAdapter, read_adapter, require_equal, with_stored_adapter
from bertcore.weights.opening import ModelSource, open_model


@dataclass(frozen=True)
class PreparedRun:
    """All that the seeds of a run share; :func:`prepare_run` makes it.

    Attributes:
        config: with the data options that the data decided.
        registry: the plugins.
        target: what computes.
        task: what is learned.
        source: the model as it was opened.
        head: what stands on top of it.
        encoder: made the rows of all splits.
        training_split: the examples that are trained on.
        training: with their rows; None of a stream.
        data: the batches of every step.
        evaluation: the split that is evaluated.
        test: the user's test file, where there is one.
        metric: by which the best checkpoint is chosen.
        specification: how the session trains.
        session: the one session of all seeds, so that nothing is compiled twice.
        notes: what the user should read of all this.
        resumed: the folder of a run that goes on.
        checkpoint: from which it goes on; None where it has just begun, or is new.
        keeps_rows: whether the run folder holds rows that the program gave.
        adapter: what is trained instead of weights of the encoder.
        begun_adapter: its parameters, where it goes on from some.
        teacher: what it gave for the training rows, which have it beside their labels; None without one.
    """

    config: RunConfig
    registry: Registry
    target: ComputeTarget
    task: Task
    source: ModelSource
    head: Head
    encoder: Encoder
    training_split: Split
    training: EncodedSplit | None
    data: TrainingData
    evaluation: EncodedSplit
    test: EncodedSplit | None
    metric: Metric
    specification: TrainingSpecification
    session: Session
    notes: Sequence[str]
    resumed: RunFolder | None = None
    checkpoint: Checkpoint | None = None
    keeps_rows: bool = False
    adapter: Lora | None = None
    begun_adapter: Parameters = field(default_factory=dict)
    teacher: TeacherOutputs | None = None

    @property
    def ranks(self) -> Ranks:
        """Which of several processes this one is."""
        return self.target.ranks

    @cached_property
    def table(self) -> Mapping[str, ParameterSpec]:
        """What the session holds: the model's own, and the adapter's."""
        return with_adapter(self.source.family.parameter_table(self.source.config, self.head), self.adapter)

    @cached_property
    def baseline(self) -> Mapping[str, float]:
        """What remembers the training split scores on the split that is evaluated."""
        return self.learned_baseline(self.evaluation.examples)

    def learned_baseline(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """What remembers the training split scores on these examples."""
        return learned_baseline(self.task, lambda: self.training_split, examples, self.head.labels, self.config.data)

    def judged(self, evaluation: Evaluation, learned: Mapping[str, float]) -> Evaluation:
        """Adds what is to be said beside the scores."""
        return judged(evaluation, (self.metric, self.task.metric), learned)


def prepare_run(
    config: RunConfig,
    registry: Registry,
    *,
    resumed: RunFolder | None = None,
    rows: RowFiles | None = None,
    notes: Sequence[str] = (),
) -> PreparedRun:
    """Opens everything that a run needs, what is quick and often wrong first: nothing is written.

    Args:
        config: the configuration.
        registry: the plugins.
        resumed: the folder of a run that goes on.
        rows: data that the program gave, already in the folder of the run.
        notes: what the user should read already.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
    """
    ranks = this_rank()
    noted = [*notes, *(() if rows is None else rows.notes)]
    checkpoint = None if resumed is None else _last_checkpoint(resumed, config.train.keep_checkpoints, noted, ranks)
    if resumed is None and rows is None and config.run.output is not None and ranks.is_first:
        require_free(Path(config.run.output))
    for name in config.run.trackers or ():
        registry.tracker(name)
    task = find_task(config, registry)
    target = choose_target(config, registry, ranks)
    objective = choose_objective(config.train, registry, target.backend.name)
    dataset = open_data(task, config, registry)
    config = settle_options(config, dataset)
    source, stored = _open_model(config, registry, target, checkpoint)
    head = with_loss(_choose_head(task, dataset, config, source), config.head)
    # Fitting checks every name and shape before anything expensive is done; each seed fits anew, with its own seed.
    fit = source.fit(head, seed=0, new_head=config.model.new_head).report
    table = source.family.parameter_table(source.config, head)
    adapter = choose_adapter(config.train.lora, table, source.config.prefix)
    if adapter is not None and stored is not None:
        require_equal(stored, adapter)
    table = with_adapter(table, adapter)
    new = new_names(fit, stored, source.family.prefix)
    groups = parameter_groups(config.train, table, source.config.prefix, head, own_names(adapter, table), new)
    specification = training_specification(config.train, groups, objective)
    encoder = open_encoder(task, source, head, config, noted.append)
    _require_splits(dataset, task)
    evaluated = dataset.split(task.evaluation_split)
    metric = choose_metric(config, task, evaluated, head)
    evaluation = encoder.whole(evaluated)
    training_split = dataset.split(TRAINING_SPLIT)
    read, test = [training_split, evaluated], None
    if getattr(config.data, "test", None) is not None:  # read now, so that a mistake in it is found at once
        test = encoder.whole(dataset.split("test"), labeled=False)
        read.append(test.examples)
    noted += [*encoder.tokenizer.notes, *reading_notes(dataset, *read)]
    training = _encode_training(encoder, training_split, dataset)
    config = settle_weights(config, head, None if training is None else training.batch, noted.append)
    head = with_loss(head, config.head)
    teacher = None
    if config.train.distill.teacher is not None:
        refuse_stream(training_split)
        assert training is not None
        student = Student(task, head, training, encoder.max_length)
        kept = None if checkpoint is None or resumed is None else resumed.path
        teacher = outputs_of_teacher(config, registry, student, kept, noted.append)
        training = teacher.beside(training)
    data = _training_data(encoder, training_split, training, config, ranks)
    if config.train.unfreeze_epochs is not None:
        groups = unfrozen_by_epochs(groups, table, source.config.prefix, config.train.unfreeze_epochs, data)
        specification = replace(specification, groups=groups)
    workload = Workload(
        training_lengths=data.lengths,
        prediction_lengths=evaluation.batch.lengths,
        batch_size=data.micro_batch_rows,
        prediction_batch_size=config.evaluate.batch_size,
        max_length=encoder.max_length,
    )
    return PreparedRun(
        config=config,
        registry=registry,
        target=target,
        task=task,
        source=source,
        head=head,
        encoder=encoder,
        training_split=training_split,
        training=training,
        data=data,
        evaluation=evaluation,
        test=test,
        metric=metric,
        specification=specification,
        session=target.open_session(source, head, workload, registry, specification, adapter),
        notes=noted,
        resumed=resumed,
        checkpoint=checkpoint,
        keeps_rows=rows is not None,
        adapter=adapter,
        begun_adapter={} if stored is None else stored.values,
        teacher=teacher,
    )


def _last_checkpoint(resumed: RunFolder, keep: int, notes: list[str], ranks: Ranks) -> Checkpoint | None:
    if resumed.has_just_begun:
        notes.append("the run has no checkpoint yet: it begins again with its first step")
        return None
    checkpoint = newest_checkpoint(resumed.path, notes.append)
    if checkpoint is None:
        raise ModelError(
            "no checkpoint to go on from, and the run had one",
            "start the run anew with another --output",
            origin=Origin(str(resumed.path)),
            code="checkpoint-missing",
        )
    if ranks.is_first and not checkpoint.damaged:  # those stay until there is a new one
        remove_checkpoints(resumed.path, keep)
    return checkpoint


def _open_model(
    config: RunConfig, registry: Registry, target: ComputeTarget, checkpoint: Checkpoint | None
) -> tuple[ModelSource, StoredAdapter | None]:
    """The model, and the adapter whose training goes on beside it."""
    goes_on = config.train.lora.rank is not None
    if checkpoint is not None:
        source = open_model(str(checkpoint.folder / "model"), registry, backend=target.backend.name)
        folder = checkpoint.folder / ADAPTER if goes_on else None
    else:
        model = config.model.model_copy(update={"adapter": None}) if goes_on else config.model
        source = find_model(model, registry, backend=target.backend.name)
        folder = None if config.model.adapter is None or not goes_on else Path(config.model.adapter)
    return (source, None) if folder is None else with_stored_adapter(source, read_adapter(folder), merge=False)


def _choose_head(task: Task, dataset: Dataset, config: RunConfig, source: ModelSource) -> Head:
    """The task's head, as it goes on from that of a model which has learned such a task."""
    head: Head = task.choose_head(dataset, config.data, config.head)
    if config.model.new_head or config.head.chooses_head:
        return head
    with suppress(ModelError):  # the config tells nothing of a head
        return head.going_on_from(source.head())
    return head


def _require_splits(dataset: Dataset, task: Task) -> None:
    for split in (TRAINING_SPLIT, task.evaluation_split):
        if split not in dataset.files:
            raise DataError(
                f"the data has no split {split}, only {', '.join(dataset.files)}",
                "give the file with --dev, or take a part of the training examples: --set data.dev_fraction=0.1"
                if split != TRAINING_SPLIT
                else "a run trains on one split and evaluates on another",
                code="split-missing",
            )


def _encode_training(encoder: Encoder, split: Split, dataset: Dataset) -> EncodedSplit | None:
    if split.is_stream:
        return None
    if not split:
        raise DataError(
            "no examples to train on",
            "check the file",
            origin=Origin(str(dataset.files[TRAINING_SPLIT][0])),
            code="examples-missing",
        )
    return encoder.whole(split)


def _training_data(
    encoder: Encoder, split: Split, encoded: EncodedSplit | None, config: RunConfig, ranks: Ranks
) -> TrainingData:
    if encoded is not None:
        return SizedTrainingData(encoded.batch, config.train, ranks)
    if config.train.max_steps is None:
        raise UsageError(
            "the training split is a stream without end", "give --set train.max_steps=N", code="split-endless"
        )
    return StreamedTrainingData(lambda: numbered_windows(encoder, split), config.train, ranks)
