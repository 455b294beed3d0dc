"""Classification of the user's own texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from bertcore.batch import Column
from bertcore.config import DataConfig, HeadConfig
from bertcore.data.tokenizer import Tokenizer
from bertcore.errors import DataError, UsageError
from bertcore.heads import Head, SequenceClassification
from bertcore.task import Accumulator, Dataset, Encoding, Evaluation, Example, Metric
from pydantic import Field

from bertcore_tasks.classification import (
    ClassificationTask,
    MultiLabelAccumulator,
    evaluate_label_sets,
    label_matrix,
    unknown_label,
)
from bertcore_tasks.custom.files import own_files
from bertcore_tasks.custom.tables import (
    SUFFIXES,
    TableConfig,
    label_column,
    label_field,
    label_text,
    parse_records,
    read_examples,
    read_table,
)
from bertcore_tasks.texts import encode_texts, read_predictions

LABEL_COLUMNS = ("label",)


class LabelsConfig(TableConfig):
    """Data options of the task ``classification``."""

    multi_label: bool = Field(False, description="any number of labels for each example, or none")
    label_separator: str = Field(",", min_length=1, description="what stands between the labels of an example")


class OwnClassificationTask(ClassificationTask):
    """Labels of the user's own texts: one each, or with ``data.multi_label`` any number."""

    name = "classification"
    description = "your own texts, from CSV, TSV or JSON lines: one label each or several, accuracy and F1"
    # With one label each, micro F1 and accuracy are the same number.
    metric = Metric("micro_f1")
    scores = ("accuracy", "macro_f1", "micro_f1")
    data_config: ClassVar[type[DataConfig]] = LabelsConfig
    own_files: ClassVar[bool] = True

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files, and reads the labels of the training file; see :meth:`bertcore.task.Task.open`.

        Without a training file they are those of the file that is evaluated.
        """
        assert isinstance(data, LabelsConfig)
        files = own_files(data, SUFFIXES)
        first = next((split for split in ("train", "dev") if split in files), None)
        read = {} if first is None else {first: _read(first, files[first][0], data)}
        labels = () if first is None else _discover(read[first], files[first][0], data)

        def split(name: str) -> list[Example]:
            if name not in read:
                read[name] = _read(name, files[name][0], data)
            return read[name]

        return Dataset(files, split, labels, discovered=True)

    def choose_head(self, dataset: Dataset, data: DataConfig, options: HeadConfig) -> Head:
        """A softmax over the labels, or a sigmoid for each."""
        assert isinstance(data, LabelsConfig)
        return SequenceClassification(dataset.labels, multi_label=data.multi_label)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Head, max_length: int, data: DataConfig
    ) -> Encoding:
        """Column ``labels``: int32 ``[rows]``, or float32 ``[rows, labels]`` of 0 and 1."""
        assert isinstance(head, SequenceClassification)
        assert isinstance(data, LabelsConfig)
        if head.multi_label != data.multi_label:
            wanted = "any number of labels" if head.multi_label else "one label"
            raise UsageError(
                f"the model gives each example {wanted}", f"--set data.multi_label={str(head.multi_label).lower()}"
            )
        if not head.multi_label:
            return super().encode(examples, tokenizer, head, max_length, data)
        labels = head.labels
        return encode_texts(
            examples,
            tokenizer,
            max_length,
            lambda labeled: Column(label_matrix(labeled, labels).astype(np.float32), "row"),
        )

    def accumulator(self, examples: Sequence[Example], head: Head, data: DataConfig) -> Accumulator:
        """One that judges single labels or sets of them, as the head says."""
        if isinstance(head, SequenceClassification) and head.multi_label:
            return MultiLabelAccumulator(examples, head)
        return super().accumulator(examples, head, data)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Reads the text columns; see :meth:`bertcore.task.Task.parse_input`."""
        assert isinstance(data, LabelsConfig)
        return parse_records(records, data)

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: DataConfig
    ) -> Evaluation:
        """Scores a file of labels; several are a list in JSON, or stand between separators."""
        assert isinstance(data, LabelsConfig)
        if not data.multi_label:
            return super().score(examples, labels, predictions, data)
        ids = {label: index for index, label in enumerate(labels)}
        predicted = np.zeros((len(examples), len(labels)), dtype=np.bool_)
        for index, prediction in enumerate(read_predictions(predictions, examples)):
            for label in _label_set(prediction.value, "prediction", prediction.origin, data):
                if label not in ids:
                    raise unknown_label(prediction.origin, label, labels)
                predicted[index, ids[label]] = True
        return evaluate_label_sets(examples, labels, predicted)


def _read(split: str, file: Path, data: LabelsConfig) -> list[Example]:
    table = read_table(file, header=data.header)
    column = label_column(table, data, LABEL_COLUMNS, required=split != "test")
    found = read_examples(table, data)
    if column is None:
        return found
    examples: list[Example] = []
    for example, (record, origin) in zip(found, table.records, strict=True):
        value = label_field(record, column, origin)
        label: Any = None
        if data.multi_label and (value is not None or split != "test"):
            label = _label_set(value, column, origin, data)
        elif value is not None:
            label = label_text(value, column, origin)
        elif split != "test":
            raise DataError(f"{origin}: the field {column!r} is empty", f"the split {split} needs labels")
        examples.append(Example(example.identifier, example.texts, label, origin))
    return examples


def _label_set(value: Any, column: str, origin: str, data: LabelsConfig) -> tuple[str, ...]:
    """The labels of one example, each once, in the order in which they stand."""
    if value is None:
        return ()
    if isinstance(value, list):
        names = [label_text(one, column, origin) for one in value]
    else:
        names = [name.strip() for name in label_text(value, column, origin).split(data.label_separator)]
    return tuple(dict.fromkeys(name for name in names if name))


def _discover(examples: Sequence[Example], file: Path, data: LabelsConfig) -> tuple[str, ...]:
    """All labels, numbers by their value and texts by their characters."""
    if data.multi_label:
        found = {label for example in examples for label in example.label}
    else:
        found = {example.label for example in examples}
    if len(found) < (1 if data.multi_label else 2):
        problem = f"every example has the label {next(iter(found))!r}" if found else "no example has a label"
        raise DataError(f"{file}: {problem}", "a classification needs something to tell apart")
    try:
        numbers = {label: float(label) for label in found}
    except ValueError:
        return tuple(sorted(found))
    if not all(map(math.isfinite, numbers.values())):
        return tuple(sorted(found))
    return tuple(sorted(found, key=lambda label: (numbers[label], label)))
