"""Looking at data before it is trained on: ``bertcore data check``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.commands.check_data.facts import first_places, label_differences, repetition, with_facts
from bertcore.commands.check_data.findings import DataReport, Errors, Lengths, SplitReport
from bertcore.config import FILE_OPTIONS, RunConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import TRAINING_SPLIT, Dataset, Example, Split
from bertcore.contracts.task import Encoding, Task
from bertcore.data.bad_examples import gather_errors, one_example, unknown_label
from bertcore.data.encoder import Encoder
from bertcore.engine.preparation import (
    data_names,
    find_model,
    find_task,
    open_data,
    open_encoder,
    reading_notes,
    settle_options,
)
from bertcore.errors import BertcoreError, DataError, Origin, UsageError
from bertcore.plugins.registry import Registry
from bertcore.progress import about, describe

_OWN_SPLITS = tuple(name for name in FILE_OPTIONS if name != "path")
"""Data options that name the user's own files, and what they are called in a folder."""


# No text is longer: encoded with this length, everything is kept and has one row.
_UNLIMITED = 10_000_000


def check_data(config: RunConfig, registry: Registry) -> DataReport:
    """Reads all splits of the configured data, and encodes them where a model is named.

    A split that cannot be read does not keep the others from being looked at, nor does an example of a split whose
    reader uses :data:`bertcore.data.bad_examples.one_example`.

    Args:
        config: names task and data, perhaps a model.
        registry: the plugins.

    Raises:
        UsageError: something is not named, or there is none of this name.
        DataError: no split can be found at all.
        ModelError: the model is missing or damaged.
    """
    task = find_task(config, registry)
    describe(task=task.name, data=data_names(config.data), model=config.model.path or "")
    with gather_errors() as of_opening:
        try:
            dataset = open_data(task, config, registry)
        except DataError:
            opened = _open_one_by_one(task, config, registry)
            if opened is None:
                raise
            dataset = opened
        config = settle_options(config, dataset)
        # What a file with errors tells of the labels is not all, and what a dev split does is none of a training's.
        knows_labels = not dataset.discovered or bool(
            dataset.labels and TRAINING_SPLIT in dataset.files and not of_opening
        )
        encoder = None
        if config.model.path is not None:
            source = find_model(config.model, registry, tensors=False)
            encoder = open_encoder(task, source, task.choose_head(dataset, config.data, config.head), config)
    notes = (*dataset.notes, *(() if encoder is None else encoder.tokenizer.notes))
    splits: dict[str, SplitReport] = {}
    read: dict[str, Sequence[Example]] = {}
    for name in dataset.files:
        earlier = _of_split(of_opening.values(), name, dataset)
        # Where a task knows its labels itself, reading has compared them.
        known_labels = dataset.labels if dataset.discovered and knows_labels else ()
        with about(name):
            splits[name], read[name] = _check_split(name, dataset, known_labels, config, encoder, knows_labels, earlier)
    seen = {name: first_places(examples) for name, examples in read.items()}
    across = {}
    for first, second in combinations(sorted(read, key=lambda name: name != TRAINING_SPLIT), 2):
        found = repetition(read[second], seen[first])
        if found.count:
            across[first, second] = found
    return DataReport(
        task=task.name,
        data=config.data.path
        or ", ".join(str(Origin(str(file))) for files in dataset.files.values() for file in files),
        model=config.model.path,
        max_length=None if encoder is None else encoder.max_length,
        labels=dataset.labels,
        splits=splits,
        across=across,
        label_differences=label_differences(splits),
        notes=notes,
    )


def _of_split(errors: Iterable[DataError], name: str, dataset: Dataset) -> list[DataError]:
    """The errors about a file of this split; the first split has also those about no file of any."""
    first, files = next(iter(dataset.files)), [file for several in dataset.files.values() for file in several]
    return [
        error for error in errors if _place(error, dataset.files[name]) or (name == first and not _place(error, files))
    ]


def _place(error: BertcoreError, files: Sequence[Path]) -> tuple[int, int] | None:
    """Which of the files an error is about, and the line; None where it is about none of them."""
    names = [str(file) for file in files]
    if error.origin is None or error.origin.file not in names:
        return None
    return names.index(error.origin.file), error.origin.line or 0


def _in_order(errors: Iterable[DataError], files: Sequence[Path], last: DataError | UsageError | None) -> Errors:
    """The errors of single examples by line, each once, and what ended reading or encoding."""
    found: list[DataError | UsageError] = sorted(errors, key=lambda error: _place(error, files) or (0, 0))
    # What is said of a whole file may not be true with the examples that were left out.
    if last is not None and not (found and last.origin in [Origin(str(file)) for file in files]):
        found.append(last)
    once = {(error.cause, error.remedy): error for error in reversed(found)}
    return tuple(error.at(error.origin and error.origin.shown()) for error in reversed(once.values()))


def _open_one_by_one(task: Task, config: RunConfig, registry: Registry) -> Dataset | None:
    """The user's own files, each opened by itself; None where no file alone is what is wrong.

    A task that finds its labels in one of them cannot be opened where that one is damaged, and nothing would be said
    of the others.
    """
    opened: dict[str, Dataset] = {}
    errors: dict[str, DataError] = {}
    options: dict[str, Any] = {}
    files = _own_files(config) if task.own_files else {}
    for name, file in files.items():
        alone = {"path": None, **dict.fromkeys(_OWN_SPLITS), name: str(file)}
        data = config.data.model_copy(update={**options, **alone})
        try:
            opened[name] = open_data(task, config.model_copy(update={"data": data}), registry)
        except DataError as error:
            errors[name] = error
        else:
            options = {**opened[name].options, **options}
    if not errors:
        return None

    def read(name: str) -> Split:
        if name in errors:
            raise errors[name]
        split = opened[name].split(name)
        return replace(split, notes=reading_notes(opened[name], split))

    labels = next((dataset.labels for dataset in opened.values() if dataset.labels), ())
    discovered = any(dataset.discovered for dataset in opened.values())
    return Dataset({name: (file,) for name, file in files.items()}, read, labels, discovered, options=options)


def _own_files(config: RunConfig) -> dict[str, Path]:
    """The file of each split, where it is named or the only one of its name in the folder."""
    data, files = config.data, {}
    path = None if data.path is None else Path(data.path)
    if path is not None and path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file())
        for name in _OWN_SPLITS:
            same = [file for file in found if file.stem == name]
            if len(same) == 1:
                files[name] = same[0]
    elif path is not None and path.is_file():
        files["dev"] = path
    files |= {name: Path(file) for name in _OWN_SPLITS if (file := getattr(data, name, None)) is not None}
    return {name: files[name] for name in _OWN_SPLITS if name in files}


def _encode(encoder: Encoder, examples: Split) -> tuple[Encoding, NDArray[np.int64]]:
    """The rows of the length allowed, and the lengths of the examples, or of the rows of groups, uncut."""
    encoding = examples.encode(encoder)
    batch = encoding.batch
    if not len(encoding.truncated) and (batch.groups is not None or len(batch) == len(examples)):
        return encoding, batch.lengths
    if not any(example.texts for example in examples):  # as in records of another program
        return encoding, batch.lengths
    uncut = replace(encoder, max_length=_UNLIMITED).encode_examples(examples, ()).batch
    if uncut.groups is not None:
        return encoding, uncut.lengths
    lengths = np.bincount(uncut.example_index, weights=uncut.lengths, minlength=len(examples))
    return encoding, lengths.astype(np.int64)


def _check_split(
    name: str,
    dataset: Dataset,
    known_labels: tuple[str, ...],
    config: RunConfig,
    encoder: Encoder | None,
    knows_labels: bool,
    earlier: Sequence[DataError],
) -> tuple[SplitReport, Sequence[Example]]:
    """Looks at one split; an error of more than an example ends it, and what is known by then is kept."""
    files = dataset.files[name]
    report = SplitReport(name, files)
    examples = Split()
    last: DataError | UsageError | None = None
    with gather_errors() as gathered:
        try:
            split = dataset.split(name)
            examples = next(split.windows(config.data.stream_window), examples)
            if known_labels:
                examples = _with_known_labels(examples, known_labels)
            report = replace(with_facts(report, examples, dataset.labels), is_stream=split.is_stream, notes=split.notes)
            report = replace(report, left_out=tuple(one.shown() for one in split.left_out))
            if examples.rows is not None:
                rows = examples.rows.batch  # so that every checksum is compared
                report = replace(report, rows=len(rows), tokens=Lengths.of(rows.lengths))
            if encoder is not None:
                notes: list[str] = []
                encoded = examples if knows_labels else examples.without_labels()
                encoding, lengths = _encode(replace(encoder, note=notes.append), encoded)
                report = replace(
                    report,
                    tokens=Lengths.of(lengths),
                    rows=len(encoding.batch),
                    truncated=len(encoding.truncated),
                    windowed=_windowed(encoding.batch, len(examples)),
                    notes=(*split.notes, *notes, *encoding.notes),
                )
        except (DataError, UsageError) as error:
            last = error
    errors = _in_order((*earlier, *gathered.values()), files, last)
    return replace(report, errors=errors), examples


def _windowed(batch: Batch, examples: int) -> int:
    """How many examples are cut into several rows; of a group, each row is one of its own."""
    if batch.groups is not None:
        return 0
    return int(np.count_nonzero(np.bincount(batch.example_index, minlength=examples) > 1))


def _with_known_labels(split: Split, known: tuple[str, ...]) -> Split:
    """The examples without those whose label, or one of several, is a name that is not known."""
    kept: list[Example] = []
    for example in split:
        names = [example.label] if isinstance(example.label, str) else example.label
        with one_example:
            for name in names if isinstance(names, list | tuple | set | frozenset) else ():
                if isinstance(name, str) and name not in known:
                    raise unknown_label(example.origin, name, known)
            kept.append(example)
    return split if len(kept) == len(split) else Split(kept, name=split.name)
