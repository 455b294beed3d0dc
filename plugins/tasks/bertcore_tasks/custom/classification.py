"""Classification of the user's own texts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from bertcore.config import HeadConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.data.bad_examples import unknown_label
from bertcore.errors import DataError, Origin, UsageError
from bertcore.heads import SequenceClassification
from pydantic import Field

from bertcore_tasks.annotations.export import unlabeled_records
from bertcore_tasks.classification import ClassificationTask
from bertcore_tasks.custom.columns import TextTableConfig
from bertcore_tasks.custom.labels import LabelForm
from bertcore_tasks.custom.tables import (
    SUFFIXES,
    TRAINING,
    Reading,
    input_fields,
    label_text,
    open_splits,
    parse_records,
)
from bertcore_tasks.label_texts import AUTO, HIDDEN, refuse_two_spellings, settled_marks, without_blanks
from bertcore_tasks.multi_label import MultiLabelAccumulator, evaluate_label_sets, label_matrix
from bertcore_tasks.own_files import own_files
from bertcore_tasks.predictions import read_predictions
from bertcore_tasks.texts import encode_texts

DOCCANO_SEPARATOR = "#"
_FEW = 50
LABEL_COLUMNS = ("label", "labels", "gold_label")


class LabelsConfig(TextTableConfig):
    """Data options of the task ``classification``."""

    multi_label: bool = Field(False, description="any number of labels for each example, or none")
    label_separator: str = Field(",", min_length=1, description="what stands between the labels of an example")


class OwnClassificationTask(ClassificationTask[LabelsConfig]):
    """Labels of the user's own texts: one each, or with ``data.multi_label`` any number."""

    name = "classification"
    description = "your own texts, from CSV, TSV or JSON lines: one label each or several, accuracy and F1"
    # With one label each, micro F1 and accuracy are the same number.
    metric = Metric("micro_f1")
    scores = ("accuracy", "macro_f1", "micro_f1")
    own_files: ClassVar[bool] = True

    def open(self, data: LabelsConfig) -> Dataset:
        """Finds the files, and reads the labels of the training file; see :meth:`bertcore.contracts.task.Task.open`.

        Without a training file they are those of the file that is evaluated.
        """
        files = own_files(data, SUFFIXES, any_suffix=True)
        opened = open_splits(files, data, _label_form(data), lambda reading: _settled(reading, files, data))
        first = next(iter(files))
        labels = () if first == "test" else _labels(opened.first)
        if first == TRAINING:
            _check_labels(opened.first, labels, data)
        notes = tuple(_words_on_labels(opened.first, labels, data)) if first == TRAINING else ()
        return Dataset(files, opened.read, labels, discovered=True, notes=notes, options=opened.options)

    def choose_head(self, dataset: Dataset, data: LabelsConfig, options: HeadConfig) -> SequenceClassification:
        """A softmax over the labels, or a sigmoid for each."""
        return SequenceClassification(dataset.labels, multi_label=data.multi_label)

    def encode(
        self,
        examples: Sequence[Example],
        tokenizer: Tokenizer,
        head: SequenceClassification,
        max_length: int,
        data: LabelsConfig,
    ) -> Encoding:
        """Column ``labels``: int32 ``[rows]``, or float32 ``[rows, labels]`` of 0 and 1."""
        if head.multi_label != data.multi_label:
            wanted = "any number of labels" if head.multi_label else "one label"
            raise UsageError(
                f"the model gives each example {wanted}",
                f"--set data.multi_label={str(head.multi_label).lower()}",
                code="model-contradicts",
            )
        if not head.multi_label:
            return super().encode(examples, tokenizer, head, max_length, data)
        return encode_texts(
            examples, tokenizer, max_length, lambda: label_matrix(examples, head.labels).astype(np.float32)
        )

    def accumulator(self, examples: Sequence[Example], head: SequenceClassification, data: LabelsConfig) -> Accumulator:
        """One that judges single labels or sets of them, as the head says."""
        if head.multi_label:
            return MultiLabelAccumulator(examples, head)
        return super().accumulator(examples, head, data)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: LabelsConfig) -> list[Example]:
        """Reads the text columns; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return parse_records(records, data)

    def read_input(self, file: Path, data: LabelsConfig) -> list[tuple[Mapping[str, Any], Origin]] | None:
        """The tasks of Label Studio; see :meth:`bertcore.contracts.task.Task.read_input`."""
        return unlabeled_records(file, data.encoding)

    def input_fields(self, data: LabelsConfig) -> tuple[str, ...]:
        """The text columns; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return input_fields(data)

    def score(self, examples: Split, labels: tuple[str, ...], predictions: Path, data: LabelsConfig) -> Evaluation:
        """Scores a file of labels; several are a list in JSON, or stand between separators.

        A single file that is scored need not hold every label of the model: then any label may be predicted.
        """
        stored = read_predictions(predictions, examples)
        given = [_label_set(prediction.value, prediction.origin, "prediction", data) for prediction in stored]
        if data.train is None and (data.path is None or Path(data.path).is_file()):
            labels = _sorted_labels({*labels, *itertools.chain(*given)})
        if not data.multi_label:
            return self.score_stored(examples, labels, stored)
        ids = {label: index for index, label in enumerate(labels)}
        predicted = np.zeros((len(examples), len(labels)), dtype=np.bool_)
        for index, (prediction, names) in enumerate(zip(stored, given, strict=True)):
            for label in names:
                if label not in ids:
                    raise unknown_label(prediction.origin, label, labels, "prediction")
                predicted[index, ids[label]] = True
        return evaluate_label_sets(examples, labels, predicted)


def _label_form(data: LabelsConfig) -> LabelForm:
    if not data.multi_label:
        return LabelForm(LABEL_COLUMNS, label_text)
    return LabelForm(LABEL_COLUMNS, lambda value, origin, field: _label_set(value, origin, field, data), several=True)


def _settled(reading: Reading, files: Mapping[str, tuple[Path, ...]], data: LabelsConfig) -> dict[str, Any]:
    """What a training file decides for the others: which labels of theirs stand for none."""
    if TRAINING not in files or data.ignore_labels != AUTO:
        return {}
    return {"ignore_labels": settled_marks(_labels(reading))}


def _check_labels(reading: Reading, labels: tuple[str, ...], data: LabelsConfig) -> None:
    """Refuses a training file of too few labels, or with one label in two spellings."""
    needed = 1 if data.multi_label else 2
    if len(labels) < needed:
        problem = f"every example has the label {labels[0]!r}" if labels else "no example has a label"
        raise DataError(
            problem,
            f"give {needed} or more labels, or name their column: --set data.label=NAME",
            origin=Origin(reading.table.name),
            code="labels-too-few",
        )
    if len(reading.columns.labels) == 1:
        refuse_two_spellings(reading.first_places)


def _words_on_labels(reading: Reading, labels: tuple[str, ...], data: LabelsConfig) -> list[str]:
    """What is to be said of the labels of a training file that may not be what was meant."""
    name, words = Path(reading.table.name).name, []
    others = [label for label in labels if label != HIDDEN]
    are_numbers = others == [str(number) for number in range(len(others))]
    if data.ignore_labels == AUTO and HIDDEN in labels and are_numbers and not data.multi_label:
        words.append(
            f"{name}: {HIDDEN!r} is read as a label like the others; where it stands for no label: "
            f"--set data.ignore_labels={HIDDEN}"
        )
    if len(labels) > max(_FEW, len(reading.split) // 2) and len(reading.columns.labels) == 1:
        words.append(
            f"{name}: {len(labels)} labels in {len(reading.split)} examples, read from the column "
            f"{reading.columns.labels[0]!r}; another one: --set data.label=NAME"
        )
    if data.multi_label and data.label_separator == "," and any(DOCCANO_SEPARATOR in label for label in labels):
        words.append(
            f"{name}: labels hold {DOCCANO_SEPARATOR!r}; where it parts labels, as in doccano's CSV: "
            f"--set data.label_separator={DOCCANO_SEPARATOR}"
        )
    return words


def _label_set(value: Any, origin: Origin | None, field: str, data: LabelsConfig) -> tuple[str, ...]:
    """The labels of one example, each once, in the order in which they stand."""
    if not data.multi_label:
        return (label_text(value, origin, field),)
    if value is None:
        return ()
    if isinstance(value, list):
        names = [label_text(one, origin, field) for one in value]
    else:
        names = [without_blanks(name) for name in label_text(value, origin, field).split(data.label_separator)]
    return tuple(dict.fromkeys(name for name in names if name))


def _labels(reading: Reading) -> tuple[str, ...]:
    """Those that occur, in order; where each has a column, all that have one, in the order in which they are named."""
    if len(reading.columns.labels) > 1:
        return reading.columns.labels
    return _sorted_labels({*reading.first_places})


def _sorted_labels(labels: set[str]) -> tuple[str, ...]:
    """Numbers by their value, texts by their characters."""
    try:
        numbers = {label: float(label) for label in labels}
    except ValueError:
        return tuple(sorted(labels))
    if not all(map(math.isfinite, numbers.values())):
        return tuple(sorted(labels))
    return tuple(sorted(labels, key=lambda label: (numbers[label], label)))
