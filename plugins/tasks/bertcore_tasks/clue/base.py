"""What the classification tasks of CLUE share: the layout of the official JSON lines, and of the leaderboard's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Metric
from bertcore.contracts.task import DataT
from bertcore.data.bad_examples import one_example, unknown_label
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin
from bertcore.files.writing import json_text

from bertcore_tasks.benchmarks import CLUE
from bertcore_tasks.classification import ClassificationTask
from bertcore_tasks.fields import identifier_of, json_identifier, plain_text
from bertcore_tasks.label_texts import NO_AGREEMENT, LabelNotes, without_blanks
from bertcore_tasks.official_files import find_official_files
from bertcore_tasks.texts import text_example, text_examples

FILE_NAMES = {"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)}
ID = "id"


@dataclass
class ClueTask(ClassificationTask[DataT]):
    """A classification task in the form of CLUE's ``train.json``, ``dev.json`` and ``test.json``.

    Attributes:
        name: as in ``--task afqmc``.
        description: one line.
        text_fields: one or two fields of each object.
        leaderboard: split to the name of the file that cluebenchmarks.com takes.
        labels: label names in the order of their ids, as in the data set ``clue`` of Hugging Face; empty where
            :meth:`find_labels` reads them.
        file_names: split to the names that its file may have; the first that is there is read.
    """

    metric = Metric("accuracy")
    benchmark: ClassVar[Benchmark | None] = CLUE

    name: str
    description: str
    text_fields: tuple[str, ...]
    leaderboard: Mapping[str, str]
    labels: tuple[str, ...] = ()
    file_names: Mapping[str, tuple[str, ...]] = field(default_factory=FILE_NAMES.copy)

    def open(self, data: DataT) -> Dataset:
        """Finds the JSON files of a folder, or takes a single one; see :meth:`bertcore.contracts.task.Task.open`.

        A single file is the split whose file has its name, or else the split that is evaluated.
        """
        files = self.find_files(Path(data.path or "."), data)
        labels = self.find_labels(files)
        notes = self.notes_on_files(Path(data.path or "."), files)
        return Dataset(files, lambda split: self.read_split(split, files[split][0], labels, data), labels, notes=notes)

    def find_files(self, path: Path, data: DataT) -> dict[str, tuple[Path, ...]]:
        """The file of each split; see :func:`bertcore_tasks.official_files.find_official_files`.

        Args:
            path: a folder, or one file.
            data: the options.
        """
        return find_official_files(path, self.file_names, self.evaluation_split, self.name, "JSON files")

    def notes_on_files(self, path: Path, files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
        """What is to be said of the files that were found, and of those beside them."""
        return ()

    def find_labels(self, files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
        """The labels, in the order of their ids; ``files`` are those of the splits."""
        return self.labels

    def fields_read(self, data: DataT) -> tuple[str, ...]:
        """The text fields that the options ask for."""
        return self.text_fields

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: DataT) -> list[Example]:
        """Reads objects with the text fields; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return text_examples(records, self.fields_read(data), ID)

    def input_fields(self, data: DataT) -> tuple[str, ...]:
        """The text fields that are read; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return self.fields_read(data)

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """One object ``{"id": 0, "label": "100"}`` a line, in the order of the test file."""
        rows = ({"id": json_identifier(entry["id"]), "label": entry["prediction"]} for entry in predictions)
        return "".join(json_text(row) + "\n" for row in rows)

    def read_split(self, split: str, file: Path, labels: tuple[str, ...], data: DataT) -> Split:
        """Reads one file.

        Raises:
            DataError: a line is wrong.
        """
        records = read_json_lines(file)
        examples: list[Example] = []
        of_labels = LabelNotes(file, split)
        # Numbered before any is left out: where there is no id, an example is called by its number in the file.
        for number, (record, origin) in enumerate(records):
            with one_example:
                example = text_example(record, origin, self.fields_read(data), identifier_of(record, ID, number))
                # What copies of the leaderboard's files have for labels are placeholders.
                found = example if split in self.leaderboard else _labeled(example, record, split, labels, of_labels)
                examples += [] if found is None else [found]
        return Split(examples, tuple(of_labels.lines(len(records))), tuple(of_labels.left_out))


def _labeled(
    example: Example, record: Mapping[str, Any], split: str, labels: tuple[str, ...], notes: LabelNotes
) -> Example | None:
    """The example with its label; None where the annotators did not agree on one."""
    if "label" not in record:
        remedy = f"the split {split} needs labels"
        raise DataError("the field 'label' is missing", remedy, origin=example.origin, code="labels-missing")
    if _is_without_agreement(record):
        notes.ignored(NO_AGREEMENT, example.identifier, example.origin)
        return None
    text = plain_text(record["label"])
    label = None if text is None else notes.trimmed(text, example.origin)
    if label not in labels:
        raise unknown_label(example.origin, record["label"] if label is None else label, labels, "label")
    return replace(example, label=label)


def _is_without_agreement(record: Mapping[str, Any]) -> bool:
    label = record.get("label")
    return isinstance(label, str) and without_blanks(label) == NO_AGREEMENT
