"""What a run trained, opened to be evaluated or to predict, on any backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.config import RunConfig, Setting, config_values
from bertcore.contracts.backend import Session, Workload
from bertcore.contracts.dataset import Dataset
from bertcore.contracts.evaluation import Accumulator
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.task import Task
from bertcore.data.encoder import EncodedSplit, Encoder
from bertcore.engine.choice import LOSS
from bertcore.engine.compute_target import ComputeTarget, choose_target
from bertcore.engine.loss_options import with_loss
from bertcore.engine.model_settings import settings_of_model
from bertcore.engine.prediction import PredictionTiming, predict_split
from bertcore.engine.preparation import choose_max_length, find_task, with_merged
from bertcore.engine.run_folder import RunFolder, no_run_folder
from bertcore.engine.settings import changed_settings, resolve_run
from bertcore.errors import ModelError, Origin, UsageError
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.converters.model_places import chosen_checkpoint
from bertcore.weights.opening import ModelSource, open_model


@dataclass(frozen=True)
class TrainedModel:
    """A fine-tuned model of a run folder, or a fine-tuned Hugging Face folder; :func:`open_trained` opens it.

    Attributes:
        config: of the run, or what the model folder remembers, with what was changed.
        registry: the plugins.
        task: that it learned.
        target: what computes.
        source: configuration and weights.
        tokenizer: of the model.
        max_length: tokens of the longest row.
        run_folder: None for a model folder.
        own_options: dotted keys and values without the changes, but for task and backend.
        own_task: that of the run, or None.
    """

    config: RunConfig
    registry: Registry
    task: Task
    target: ComputeTarget
    source: ModelSource
    tokenizer: Tokenizer
    max_length: int
    run_folder: RunFolder | None
    own_options: Mapping[str, Any]
    own_task: str | None

    @property
    def header(self) -> dict[str, str]:
        """What is opened and where it is computed, in the order in which it is shown."""
        return {
            "task": self.task.name,
            "backend": self.target.describe(),
            "device": self.target.device,
            "precision": self.config.evaluate.precision,
            "model": self.source.name,
        }

    @property
    def input_fields(self) -> tuple[str, ...]:
        """The fields of a record that hold the texts."""
        return self.task.input_fields(self.config.data)

    def head_for(self, dataset: Dataset) -> Head:
        """The task's own head, not the model's: fitting then refuses a model whose labels are others."""
        head = self._head_for(dataset)
        # Only the metric loss asks how it is shaped: then as in the run, whose evaluations were so, too.
        return with_loss(head, self.config.head) if self.config.train.metric == LOSS.name else head

    def _head_for(self, dataset: Dataset) -> Head:
        if dataset.discovered:
            return self.source.head()
        head: Head = self.task.choose_head(dataset, self.config.data, self.config.head)
        if not self.config.head.chooses_head:
            # A model folder tells what else its head has, a conditional random field for example.
            with suppress(ModelError):
                own = self.source.head()
                if own.predicts_as(head):
                    return own
        return head

    def tuned(self, head: Head) -> Head:
        """The head with what was chosen on the evaluation split of the run."""
        try:
            return head.tuned_as(self.source.head())
        except ModelError:
            return head  # the config tells nothing of the head

    def encoder(self, head: Head, note: Callable[[str], None] = lambda text: None) -> Encoder:
        """What encodes examples for this model and a head."""
        return Encoder(self.task, self.config.data, self.tokenizer, head, self.max_length, note)

    def load(self, head: Head, lengths: NDArray[np.int64]) -> LoadedModel:
        """Loads the model on its device.

        Args:
            head: what predicts.
            lengths: int64 ``[rows]``, tokens of the rows to come; empty where nobody knows.

        Raises:
            ModelError: the model has no such head, or has not learned it.
            DeviceError: the device cannot be used.
        """
        parameters, fit = self.source.fit(head, seed=0)
        if fit.initialized:
            raise ModelError(
                f"it holds no {', '.join(fit.initialized)}: it was not fine-tuned with this head",
                "give the folder of a finished run",
                origin=Origin(self.source.name),
                code="head-missing",
            )
        config = self.config
        workload = Workload(
            training_lengths=np.zeros(0, dtype=np.int64),
            prediction_lengths=lengths,
            batch_size=config.train.batch_size,
            prediction_batch_size=config.evaluate.batch_size,
            max_length=self.max_length,
        )
        session = self.target.open_session(self.source, head, workload, self.registry)
        session.load(parameters)
        of_encoder = self.source.family.prefix
        of_head = {name: value for name, value in parameters.items() if not name.startswith(of_encoder)}
        return LoadedModel(session, of_head, config.evaluate.batch_size)


@dataclass(frozen=True)
class LoadedModel:
    """A session that predicts.

    Attributes:
        session: with all parameters.
        head_parameters: those of the head alone, for what outputs do not tell.
        batch_size: rows of a forward pass.
    """

    session: Session
    head_parameters: Parameters
    batch_size: int

    def predict(self, split: EncodedSplit, accumulator: Accumulator) -> PredictionTiming:
        """Predicts all rows into an accumulator that was made for their examples."""
        accumulator.read_parameters(self.head_parameters)
        return predict_split(self.session, split, accumulator, self.batch_size)

    def close(self) -> None:
        """Frees the device."""
        self.session.close()


def open_trained(path: Path, registry: Registry, settings: Sequence[Setting] = ()) -> TrainedModel:
    """Opens a run folder, or a model folder whose head fits the task; nothing is on a device yet.

    Args:
        path: the folder.
        registry: the plugins.
        settings: on top of the run's own, or of those that the model folder remembers: task, backend, device, data.

    Raises:
        UsageError: the path is neither, or no task or backend is named.
        ModelError: the model is damaged or has no fine-tuned head.
        DeviceError: the backend or the device is absent.
    """
    is_run = (path / "config.toml").is_file()
    if not is_run and not (chosen_checkpoint(path)[0] / "config.json").is_file():
        raise no_run_folder(path, "neither a run folder nor a model folder")
    run_folder = RunFolder.open(path) if is_run else None
    own = settings_of_model(chosen_checkpoint(path)[0], registry) if run_folder is None else run_folder.settings()
    # Another task or backend has other options, and is no change of any of them.
    task_and_backend = [setting for setting in settings if setting.key in ("task", "backend")]
    own_options = config_values(resolve_run(changed_settings(own, task_and_backend, registry), registry).config)
    config = resolve_run(changed_settings(own, settings, registry), registry).config
    task = find_task(config, registry)
    target = choose_target(config, registry)
    model = path if run_folder is None else run_folder.found_best()
    if not model.is_dir():
        raise UsageError(
            "no best/ yet",
            "the run must have reached its first evaluation",
            origin=Origin(str(path)),
            code="run-missing",
        )
    source = open_model(str(model), registry, backend=target.backend.name)
    # That which is asked for now: one that the run began with is in its best/ already.
    adapter = next((str(setting.value) for setting in reversed(settings) if setting.key == "model.adapter"), None)
    if adapter is not None:
        source = with_merged(source, adapter)
    return TrainedModel(
        config=config,
        registry=registry,
        task=task,
        target=target,
        source=source,
        tokenizer=source.tokenizer(config.data.lowercase),
        max_length=choose_max_length(config, source),
        run_folder=run_folder,
        own_options=own_options,
        own_task=next((setting.value for setting in own if setting.key == "task"), None),
    )
