"""A task with a head of its own: how many stars does a review give?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bertcore import (
    Accumulator,
    Batch,
    Column,
    Confusion,
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
    Split,
    Task,
    Tokenizer,
    from_rows,
    one_example,
    read_tsv,
)
from numpy.typing import NDArray
from pydantic import Field

from bertcore_example.ordinal import OrdinalRegression

STARS = ("1", "2", "3", "4", "5")


class StarsData(DataConfig):
    """The task's own option beside those of every task."""

    test: str | None = Field(None, description="file to predict after training, with or without stars")


class StarsTask(Task[StarsData, OrdinalRegression]):
    """Reads ``train.tsv`` and ``dev.tsv`` with the columns ``text`` and ``stars``."""

    name = "stars"
    description = "example: stars of a review, mean absolute error"
    labels = STARS
    metric = Metric("mean_absolute_error", greater_is_better=False)

    def sample_folder(self) -> Path:
        """The few reviews that the package brings, for ``--data sample``."""
        return Path(__file__).parent / "stars_sample"

    def open(self, data: StarsData) -> Dataset:
        """The splits whose files are there; at least ``dev.tsv``."""
        assert data.path is not None
        files = {name: Path(data.path) / f"{name}.tsv" for name in ("train", "dev")}
        if not files["dev"].is_file():
            remedy = "give a folder with train.tsv and dev.tsv by --data"
            raise DataError("no such file", remedy, origin=Origin(str(files["dev"])), code="file-missing")
        files |= {} if data.test is None else {"test": Path(data.test)}

        def read(split: str) -> Split:
            required = ("text",) if split == "test" else ("text", "stars")
            examples: list[Example] = []
            for row in read_tsv(files[split], required=required):
                with one_example:
                    examples.append(_example(row))
            return Split(examples)

        return Dataset({name: (file,) for name, file in files.items() if file.is_file()}, read, STARS)

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> OrdinalRegression:
        """The stars in their order."""
        return OrdinalRegression(labels)

    def encode(
        self,
        examples: Sequence[Example],
        tokenizer: Tokenizer,
        head: OrdinalRegression,
        max_length: int,
        data: StarsData,
    ) -> Encoding:
        """One row per example, and the column ``labels`` where the examples are labeled."""
        rows = tokenizer.encode([example.texts["text"] for example in examples], None, max_length)
        columns: dict[str, Column] = {}
        if all(example.label is not None for example in examples):
            columns[head.label_column] = Column(_ranks(examples).astype(np.int32), "row")
        return Encoding(from_rows(rows.input_ids, rows.token_type_ids, columns), rows.truncated)

    def metrics(self, examples: Sequence[Example], head: OrdinalRegression, data: StarsData) -> tuple[Metric, ...]:
        """The mean absolute error, and how often the stars are right."""
        return (self.metric, Metric("accuracy"))

    def accumulator(self, examples: Sequence[Example], head: OrdinalRegression, data: StarsData) -> Accumulator:
        """Collects the expected stars of each example."""
        return StarsAccumulator(examples)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: StarsData) -> list[Example]:
        """Records with the field ``text``."""
        examples = []
        for number, (record, origin) in enumerate(records):
            if "text" not in record:
                raise DataError("no field 'text'", 'write {"text": "..."} a line', origin=origin, code="field-missing")
            examples.append(Example(str(number), {"text": str(record["text"])}, origin=origin))
        return examples


class StarsAccumulator(Accumulator):
    """The probability of being beyond each rank, for each example, whatever the order in which the rows come."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples
        self._beyond = np.zeros((len(examples), len(STARS) - 1))

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, 4]``."""
        logits: NDArray[Any] = outputs["logits"].astype(np.float64)
        self._beyond[batch.example_index] = (1 + np.tanh(logits / 2)) / 2

    @property
    def _predicted(self) -> NDArray[np.int64]:
        predicted: NDArray[np.int64] = (self._beyond > 0.5).sum(axis=1)
        return predicted

    def predictions(self) -> list[dict[str, Any]]:
        """Text, stars and their mean by the model's probabilities, of each example."""
        means = 1 + self._beyond.sum(axis=1)
        rows = zip(self._examples, self._predicted.tolist(), means.tolist(), strict=True)
        return [
            {"id": example.identifier, **example.texts, "prediction": STARS[rank], "mean": mean}
            for example, rank, mean in rows
        ]

    def result(self) -> Evaluation:
        """Both scores, beside those of always giving the middle one of all stars."""
        gold, predicted = _ranks(self._examples), self._predicted
        scores = _scores(gold, predicted)
        middle = np.full_like(gold, int(np.median(gold)) if len(gold) else 0)
        counts = np.zeros((len(STARS), len(STARS)), dtype=np.int64)
        np.add.at(counts, (gold, predicted), 1)
        return Evaluation(
            metrics=scores,
            total=len(gold),
            summary=f"total_num {len(gold)}, " + ", ".join(f"{name} {value:.6f}" for name, value in scores.items()),
            baseline=_scores(gold, middle),
            predictions=self.predictions(),
            confusion=Confusion(STARS, counts),
        )


def _ranks(examples: Sequence[Example]) -> NDArray[np.int64]:
    return np.array([STARS.index(str(example.label)) for example in examples], dtype=np.int64)


def _scores(gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    if not len(gold):
        return {"mean_absolute_error": float("nan"), "accuracy": float("nan")}
    distances = np.abs(gold - predicted)
    return {"mean_absolute_error": float(distances.mean()), "accuracy": float((distances == 0).mean())}


def _example(row: Row) -> Example:
    stars = row.fields.get("stars")
    if stars is not None and stars not in STARS:
        problem = f"{stars!r} is no number of stars"
        raise DataError(problem, f"use one of {', '.join(STARS)}", origin=row.origin, code="stars-unknown")
    return Example(str(row.origin), {"text": row.fields["text"]}, stars, row.origin)
