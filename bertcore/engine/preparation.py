"""What a training, an evaluation and a prediction need before they start; everything is checked here."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from bertcore.config import FILE_OPTIONS, DataConfig, ModelConfig, RunConfig
from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.head import Head
from bertcore.contracts.task import Task
from bertcore.data.encoder import Encoder
from bertcore.data.records.folder import open_records
from bertcore.data.records.shards import holds_records
from bertcore.engine.division import divided
from bertcore.errors import Origin, UsageError
from bertcore.files.reading import without_collections
from bertcore.plugins.registry import Registry
from bertcore.weights.adapter_folder import read_adapter, with_stored_adapter
from bertcore.weights.opening import ModelSource, open_model

SAMPLE = "sample"


def find_task(config: RunConfig, registry: Registry) -> Task:
    """Finds the task by name.

    Raises:
        UsageError: no task is named, or there is none of this name.
    """
    if config.task is None:
        raise UsageError(
            "no task",
            f"give --task with one of {', '.join(registry.tasks) or 'none installed'}",
            code="argument-missing",
        )
    return registry.task(config.task)


def find_model(
    model: ModelConfig, registry: Registry, *, backend: str | None = None, tensors: bool = True
) -> ModelSource:
    """Opens the model that the configuration names.

    Args:
        model: names it.
        registry: the plugins.
        backend: name of the backend that shall compute it; None where nothing is computed.
        tensors: false leaves the weights unread.

    Raises:
        UsageError: none is named.
        ModelError: it is missing, damaged, of an unknown family, or of one that the backend does not compute.
    """
    if model.path is None:
        raise UsageError(
            "no model", "give --model with a Hugging Face folder, a hub name or 'sample'", code="argument-missing"
        )
    source = open_model(model.path, registry, backend=backend, revision=model.revision, tensors=tensors)
    return source if model.adapter is None or not tensors else with_merged(source, model.adapter)


def with_merged(source: ModelSource, adapter: str) -> ModelSource:
    """The model with an adapter merged into its weights.

    Raises:
        ModelError: the adapter is missing, damaged, or not of this model.
    """
    return with_stored_adapter(source, read_adapter(Path(adapter)), merge=True)[0]


def open_data(task: Task, config: RunConfig, registry: Registry) -> Dataset:
    """Opens the data that the configuration names, with the split to evaluate taken from another if it says so.

    Raises as :func:`open_undivided` and :func:`bertcore.engine.division.divided`.
    """
    with without_collections():
        return divided(open_undivided(task, config, registry), task, config.data)


def open_undivided(task: Task, config: RunConfig, registry: Registry) -> Dataset:
    """Opens the data that the configuration names: the task's own files, or a folder of record files.

    Raises:
        UsageError: none is named, or the task brings no sample.
        DataError: it is missing or wrong.
        DeviceError: the records are of a format that needs a package which is not installed.
    """
    path = config.data.path
    if path is None and task.own_files:
        return task.open(config.data)
    if path is None:
        raise UsageError(
            "no data", f"give --data with the folder of {task.name}'s files or 'sample'", code="argument-missing"
        )
    if path == SAMPLE:
        folder = task.sample_folder()
        if folder is None:
            raise UsageError(
                f"the task {task.name} brings no sample", "give the folder of its files with --data", code="not-offered"
            )
        path = str(folder)
    formats = {name: entry.item for name, entry in registry.record_formats.items()}
    if holds_records(Path(path), formats):
        return open_records(Path(path), task, config.data, config.head, formats)
    return task.open(config.data.model_copy(update={"path": path}))


def reading_notes(dataset: Dataset, *splits: Split) -> tuple[str, ...]:
    """What opening the data and reading these splits of it said, each once."""
    return tuple(dict.fromkeys(chain(dataset.notes, *(split.notes for split in splits))))


def settle_options(config: RunConfig, dataset: Dataset) -> RunConfig:
    """Returns the configuration with the data options that the data decided."""
    return config.model_copy(update={"data": config.data.model_copy(update=dict(dataset.options))})


def data_names(data: DataConfig) -> str:
    """What the data options name as files and folders, for a header."""
    names = [name for option in FILE_OPTIONS if (name := getattr(data, option, None)) is not None]
    return ", ".join(str(Origin(name)) for name in names)


def choose_max_length(config: RunConfig, source: ModelSource) -> int:
    """Returns the longest row allowed: what the model allows, unless the configuration says less.

    Raises:
        UsageError: the configuration says more than the model allows.
    """
    wanted = config.data.max_length
    if wanted is not None and wanted > source.config.max_length:
        raise UsageError(
            f"data.max_length is {wanted}, but the model has positions for {source.config.max_length} tokens",
            f"lower it to {source.config.max_length} or leave it out",
            code="model-contradicts",
        )
    return wanted or source.config.max_length


def open_encoder(
    task: Task, source: ModelSource, head: Head, config: RunConfig, note: Callable[[str], None] = lambda text: None
) -> Encoder:
    """Returns what encodes examples with the model's own tokenizer; arguments as of :class:`Encoder`.

    Raises:
        UsageError: the configuration allows longer rows than the model does.
        ModelError: the tokenizer is missing or damaged.
    """
    tokenizer = source.tokenizer(config.data.lowercase)
    return Encoder(task, config.data, tokenizer, head, choose_max_length(config, source), note)


def absolute_files(data: DataConfig) -> DataConfig:
    """Makes the local paths among the data options absolute; see :func:`absolute`."""
    names = [name for name in FILE_OPTIONS if name in type(data).model_fields]
    return data.model_copy(update={name: absolute(getattr(data, name)) for name in names})


def absolute(path: str | None) -> str | None:
    """Makes a local path absolute, so that a stored configuration means the same from every folder."""
    return str(Path(path).resolve()) if path and path != SAMPLE and Path(path).exists() else path
