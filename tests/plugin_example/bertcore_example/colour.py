"""A task: does a text speak of a warm or of a cold colour?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bertcore import (
    Accumulator,
    Batch,
    Column,
    DataConfig,
    DataError,
    Dataset,
    Encoding,
    Evaluation,
    Example,
    HeadConfig,
    Metric,
    Origin,
    Outputs,
    Row,
    SequenceClassification,
    Split,
    Task,
    Tokenizer,
    from_rows,
    one_example,
    read_tsv,
)
from pydantic import Field

LABELS = ("cold", "warm")


class ColourData(DataConfig):
    """The task's own option beside those of every task."""

    text_column: str = Field("text", description="column of the text")


class ColourTask(Task[ColourData, SequenceClassification]):
    """Reads ``train.tsv`` and ``dev.tsv`` with the columns ``text`` and ``colour``."""

    name = "colour"
    description = "example: warm or cold colour, accuracy"
    metric = Metric("accuracy")

    def sample_folder(self) -> Path:
        """The few lines that the package brings, for ``--data sample``."""
        return Path(__file__).parent / "colour_sample"

    def open(self, data: ColourData) -> Dataset:
        """The splits whose files are there; at least ``dev.tsv``."""
        assert data.path is not None
        files = {name: (Path(data.path) / f"{name}.tsv",) for name in ("train", "dev")}
        if not files["dev"][0].is_file():
            remedy = "give a folder with train.tsv and dev.tsv by --data"
            raise DataError("no such file", remedy, origin=Origin(str(files["dev"][0])), code="file-missing")

        def read(split: str) -> Split:
            required = (data.text_column, "colour")
            examples: list[Example] = []
            for row in read_tsv(files[split][0], required=required):
                with one_example:
                    examples.append(_example(row, data.text_column))
            return Split(examples)

        return Dataset({name: paths for name, paths in files.items() if paths[0].is_file()}, read, LABELS)

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> SequenceClassification:
        """One label per text."""
        return SequenceClassification(labels)

    def encode(
        self,
        examples: Sequence[Example],
        tokenizer: Tokenizer,
        head: SequenceClassification,
        max_length: int,
        data: ColourData,
    ) -> Encoding:
        """One row per example, and the column ``labels`` where the examples are labeled."""
        rows = tokenizer.encode([example.texts["text"] for example in examples], None, max_length)
        columns: dict[str, Column] = {}
        if all(example.label is not None for example in examples):
            labels = [LABELS.index(example.label) for example in examples]
            columns[head.label_column] = Column(np.array(labels, dtype=np.int32), "row")
        return Encoding(from_rows(rows.input_ids, rows.token_type_ids, columns), rows.truncated)

    def accumulator(self, examples: Sequence[Example], head: SequenceClassification, data: ColourData) -> Accumulator:
        """Collects the predicted label of each example."""
        return ColourAccumulator(examples)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: ColourData) -> list[Example]:
        """Records with the field ``text``."""
        examples = []
        for number, (record, origin) in enumerate(records):
            if "text" not in record:
                remedy = 'write {"text": "..."} a line'
                raise DataError("no field 'text'", remedy, origin=origin, code="field-missing")
            examples.append(Example(str(number), {"text": str(record["text"])}, origin=origin))
        return examples


class ColourAccumulator(Accumulator):
    """One predicted label per example, whatever the order in which the rows come."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples
        self._predicted = np.zeros(len(examples), dtype=np.int64)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, 2]``."""
        self._predicted[batch.example_index] = outputs["logits"].argmax(axis=1)

    def predictions(self) -> list[dict[str, Any]]:
        """Text and predicted colour of each example."""
        return [
            {"id": example.identifier, **example.texts, "prediction": LABELS[predicted]}
            for example, predicted in zip(self._examples, self._predicted, strict=True)
        ]

    def result(self) -> Evaluation:
        """Accuracy, beside that of always naming the more frequent colour."""
        gold = np.array([LABELS.index(example.label) for example in self._examples], dtype=np.int64)
        total, correct = len(gold), int((gold == self._predicted).sum())
        most_frequent = int(np.bincount(gold, minlength=len(LABELS)).max())
        accuracy, baseline = (count / total if total else float("nan") for count in (correct, most_frequent))
        return Evaluation(
            metrics={"accuracy": accuracy},
            total=total,
            summary=f"acc_num {correct}, total_num {total}, accuracy {accuracy:.6f}",
            baseline={"accuracy": baseline},
            predictions=self.predictions(),
        )


def _example(row: Row, text_column: str) -> Example:
    if row.fields["colour"] not in LABELS:
        problem = f"unknown colour {row.fields['colour']!r}"
        raise DataError(problem, f"use one of {', '.join(LABELS)}", origin=row.origin, code="colour-unknown")
    return Example(str(row.origin), {"text": row.fields[text_column]}, row.fields["colour"], row.origin)
