"""Folders of record files: what bertcore writes beside the records, and how a folder becomes a dataset again.

A folder that ``bertcore data convert`` made holds for each split the records (``train.tf_record``) and the examples
that they were made from (``train.examples.jsonl``), and ``records.json``, which says what the records mean. So scores
and predictions are those of the original data.

In a folder that another program made, the names of the files say which split they are. Its records are enough for a
classification or a regression: every record is an example without text. Labels that a task does not know by itself
stand in a ``records.json`` with nothing but ``{"labels": [...]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.record_format import FeatureRecord, RecordFormat
from bertcore.contracts.task import Task
from bertcore.data.records.description import (
    CONVERT_ANEW,
    DESCRIPTION,
    LENGTH_OPTION,
    FolderDescription,
    data_options,
    read_description,
)
from bertcore.data.records.example_lines import read_examples
from bertcore.data.records.layout import RecordLayout, foreign_layout
from bertcore.data.records.reading import RecordedRows, rows_of
from bertcore.data.records.ready_rows import RowsOfRecords
from bertcore.data.records.shards import claimed_twice, record_files
from bertcore.errors import DataError, DeviceError, Origin

BROUGHT_BY = {"mindrecord": "bertcore-mindspore"}
"""Formats of this project that a distribution of their own brings."""


# google-research/bert's names of the splits that it calls otherwise; of its test set it knows no label.
_EVALUATED, _UNLABELED = "eval", "predict"


def open_records(
    folder: Path, task: Task, data: DataConfig, head: HeadConfig, formats: Mapping[str, RecordFormat]
) -> Dataset:
    """Opens a folder of record files as the data of a task; its splits have their rows ready.

    Args:
        folder: that :func:`holds_records`.
        task: that reads it.
        data: the data options of the run.
        head: the head options of the run.
        formats: that are known, by name.

    Raises:
        DataError: the records are another task's, or were made with other options, or do not suffice.
        DeviceError: a package that the format needs is not installed.
    """
    description = read_description(folder) or FolderDescription()
    if description.splits:
        return _open_own(folder, description, task, data, formats)
    return _open_foreign(folder, description, task, head, formats)


def _open_own(
    folder: Path,
    description: FolderDescription,
    task: Task,
    data: DataConfig,
    formats: Mapping[str, RecordFormat],
) -> Dataset:
    origin = Origin(str(folder / DESCRIPTION))
    if description.task != task.name:
        raise DataError(
            f"these are records of the task {description.task}, not of {task.name}",
            f"give --task {description.task}, or other data",
            origin=origin,
            code="records-stale",
        )
    if description.encoding_version != task.encoding_version:
        raise DataError(
            f"the task {task.name} makes other rows today", CONVERT_ANEW, origin=origin, code="records-stale"
        )
    now = data_options(data)
    for name in sorted({*now, *description.options} - {LENGTH_OPTION}):
        made = description.options.get(name)
        if now.get(name) != made:
            raise DataError(
                f"the records were made with data.{name} = {json.dumps(made, ensure_ascii=False)}, and this "
                f"is {json.dumps(now.get(name), ensure_ascii=False)}",
                f"leave data.{name} out, or convert the data anew",
                origin=origin,
                code="records-stale",
            )
    record_format = _usable(description.format, formats, origin)
    files: dict[str, tuple[Path, ...]] = {}
    for name, split in description.splits.items():
        if not all(Path(file).name == file for file in (split.file, split.examples)):
            raise DataError(
                f"splits.{name} names a file in another folder",
                CONVERT_ANEW,
                origin=origin,
                code="records-description-wrong",
            )
        files[name] = (folder / split.file, folder / split.examples)

    def read(name: str) -> Split:
        split, (file, examples_file) = description.splits[name], files[name]
        for path in files[name]:
            if not os.path.isfile(path):  # unlike the method, it takes a name that no system has
                raise DataError(
                    f"no such file, though {DESCRIPTION} names it",
                    CONVERT_ANEW,
                    origin=Origin(str(path)),
                    code="records-incomplete",
                )
        examples, truncated = read_examples(examples_file, task)
        _require_count(examples_file, len(examples), split.example_count, "examples")

        def read_rows() -> RecordedRows:
            records = record_format.read(file) if split.record_count else iter(())
            rows = rows_of(records, split.layout, str(file))
            _require_count(file, len(rows.batch), split.record_count, "records")
            found = rows.batch.example_index
            if len(found) and (found.min() < 0 or found.max() >= len(examples)):
                raise DataError(
                    f"a record belongs to no example of {examples_file.name}",
                    CONVERT_ANEW,
                    origin=Origin(str(file)),
                    code="records-incomplete",
                )
            return rows

        rows = RowsOfRecords(read_rows, file, description, truncated, split.notes)
        return Split(examples, split.reading_notes, split.left_out, rows=rows)

    return Dataset(files, read, description.labels, description.discovered, description.notes)


def _require_count(file: Path, found: int, stored: int, noun: str) -> None:
    if found != stored:
        raise DataError(
            f"{found} {noun}, and {DESCRIPTION} says {stored}",
            CONVERT_ANEW,
            origin=Origin(str(file)),
            code="records-incomplete",
        )


def _open_foreign(
    folder: Path,
    description: FolderDescription,
    task: Task,
    head_options: HeadConfig,
    formats: Mapping[str, RecordFormat],
) -> Dataset:
    found = record_files(folder, formats)
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise DataError(
            f"records of one format are needed, and there are {names}",
            "keep the files of one format",
            origin=Origin(str(folder)),
            code="file-ambiguous",
        )
    ((format_name, by_stem),) = found.items()
    record_format = _usable(format_name, formats, Origin(str(folder)))
    labels = description.labels or task.labels
    head = task.head(labels, head_options)
    layout = foreign_layout(head)
    if layout is None:
        raise DataError(
            f"records of another program hold no texts, and {task.name} cannot be scored without",
            "make them from the task's own files: bertcore data convert",
            origin=Origin(str(folder)),
            code="records-without-texts",
        )
    if not labels and np.issubdtype(layout.columns[0].dtype, np.integer):
        raise DataError(
            "nothing says what the labels of the records are called",
            f'write {{"labels": ["...", "..."]}}, in the order of their ids, to {folder / DESCRIPTION}',
            origin=Origin(str(folder)),
            code="labels-unnamed",
        )
    made = description.model_copy(update={"labels": labels, "head_labels": head.labels})
    stems: dict[str, str] = {}
    for stem, (file, *_) in by_stem.items():
        split = _split_name(stem, task)
        if split in stems:
            raise claimed_twice(by_stem[stems[split]][0], file, split)
        stems[split] = stem
    files = {split: tuple(by_stem[stem]) for split, stem in stems.items()}

    def read(name: str) -> Split:
        labeled = stems[name] != _UNLABELED
        file = files[name][0]
        records: Iterator[FeatureRecord] = chain.from_iterable(record_format.read(path) for path in files[name])
        used = layout if labeled else RecordLayout()
        rows = rows_of(records, used, str(file))
        values: NDArray[Any] | None = rows.batch.columns[head.label_column].values if labeled else None
        unknown = (values < 0) | (values >= len(labels)) if values is not None and labels else np.zeros(0, dtype=bool)
        if values is not None and unknown.any():
            row = int(np.argmax(unknown))
            raise DataError(
                f"label_ids is {values[row]}, and there are the labels {', '.join(labels)}",
                f"write the labels in the order of their ids to {folder / DESCRIPTION}",
                origin=Origin(str(file), part=f"record {rows.numbers[row]}"),
                code="record-out-of-range",
            )
        examples = []
        for row, number in enumerate(rows.numbers.tolist()):
            label = None if values is None else labels[values[row]] if labels else float(values[row])
            examples.append(Example(str(row), {}, label, Origin(str(file), part=f"record {number}")))
        notes = (f"{file.name}: {rows.padding} records with is_real_example 0 left out",) if rows.padding else ()
        return Split(examples, notes, rows=RowsOfRecords(lambda: rows, file, made))

    notes = (f"{folder}: the tokenizer of these records is not known; it must be the model's",)
    return Dataset(files, read, labels, notes=notes)


def _split_name(stem: str, task: Task) -> str:
    return {_EVALUATED: task.evaluation_split, _UNLABELED: "test"}.get(stem, stem)


def _usable(name: str, formats: Mapping[str, RecordFormat], origin: Origin) -> RecordFormat:
    record_format = formats.get(name)
    if record_format is None:
        raise DataError(
            f"no plugin reads records of the format {name!r}",
            unknown_format_remedy(name, formats),
            origin=origin,
            code="record-format-unknown",
        )
    require_usable(record_format)
    return record_format


def unknown_format_remedy(name: str, formats: Iterable[str]) -> str:
    """What to do where no plugin brings a format."""
    if name in BROUGHT_BY:
        return f"pip install {BROUGHT_BY[name]}, and leave its plugin switched on"
    return f"known are {', '.join(formats) or 'none'}"


def require_usable(record_format: RecordFormat) -> None:
    """Checks that a format can be used here.

    Raises:
        DeviceError: something that it needs is missing.
    """
    problem = record_format.problem()
    if problem is not None:
        raise DeviceError(
            f"the record format {record_format.name} cannot be used: {problem[0]}", problem[1], code="backend-unusable"
        )
