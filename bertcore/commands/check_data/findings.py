"""What a check finds, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.dataset import LeftOut
from bertcore.errors import DataError, UsageError

PERCENTILES = (50, 90, 95, 99)


Errors = tuple[DataError | UsageError, ...]
"""What is wrong, each with its place, cause, remedy and code."""


@dataclass(frozen=True)
class Lengths:
    """How long things are.

    Attributes:
        percentiles: 50, 90, 95 and 99 to the length that so many percent do not exceed.
        longest: the largest length.
        mean: of all.
        values: every length, for pictures.
    """

    percentiles: Mapping[int, int]
    longest: int
    mean: float
    values: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, values: Iterable[int] | NDArray[np.int64]) -> Lengths | None:
        """Summarizes lengths; None where there are none."""
        all_values = np.sort(np.asarray(list(values), dtype=np.int64))
        if not len(all_values):
            return None
        # The smallest length that is not exceeded by so many percent, a length that occurs.
        chosen = np.percentile(all_values, PERCENTILES, method="inverted_cdf").astype(np.int64).tolist()
        percentiles = dict(zip(PERCENTILES, chosen, strict=True))
        return cls(percentiles, int(all_values[-1]), float(all_values.mean()), all_values)


@dataclass(frozen=True)
class Numbers:
    """The labels of a regression.

    Attributes:
        smallest: label.
        mean: of all.
        largest: label.
    """

    smallest: float
    mean: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Numbers | None:
        """Summarizes numbers; None where there are none."""
        return cls(min(values), sum(values) / len(values), max(values)) if values else None


@dataclass(frozen=True)
class EmptyTexts:
    """Examples in which every text is empty.

    Attributes:
        count: how many there are.
        first: where the first few stand, as ``dev.tsv:7``.
    """

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repeated:
    """An example that stands there once more.

    Attributes:
        example: where it stands, as ``dev.tsv:7``.
        repeats: where it stood before.
    """

    example: str
    repeats: str


@dataclass(frozen=True)
class Repetition:
    """Examples whose texts occur more than once.

    Attributes:
        count: examples whose texts occurred before (in the split, or in the other split).
        conflicting: those of them that carry another label than before.
        first: the first few.
    """

    count: int
    conflicting: int
    first: tuple[Repeated, ...] = ()


@dataclass(frozen=True)
class LabelDifference:
    """How the labels of a split differ from those of the training split.

    Attributes:
        not_in_train: labels that only the split has.
        only_in_train: labels that it lacks.
    """

    not_in_train: tuple[str, ...]
    only_in_train: tuple[str, ...]


@dataclass(frozen=True)
class SplitReport:
    """What is found in a split.

    Attributes:
        name: of the split.
        files: that it is read from.
        examples: number of examples; of a stream, those in its first window.
        is_stream: whether more may follow.
        unlabeled: examples without label.
        labels: name of each label to its count (classification, tags, entities); empty where labels are no names.
        numbers: the labels of a regression.
        characters: lengths of the texts of an example, all fields together; None without texts.
        empty: examples in which every text is empty.
        tokens: lengths of the examples, whole, special tokens included; None without a model.
        truncated: examples of which something is cut at the length allowed.
        windowed: examples that take several rows there.
        rows: rows there; None without a model.
        repeated: examples that occur several times in the split.
        notes: what reading and encoding left out or repaired.
        left_out: each example of the files that reading left out by rule, with the reason.
        errors: of each example that cannot be read, and what stopped reading or encoding.
    """

    name: str
    files: tuple[Path, ...]
    examples: int = 0
    is_stream: bool = False
    unlabeled: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    numbers: Numbers | None = None
    characters: Lengths | None = None
    empty: EmptyTexts = EmptyTexts()
    tokens: Lengths | None = None
    truncated: int = 0
    windowed: int = 0
    rows: int | None = None
    repeated: Repetition = Repetition(0, 0)
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    errors: Errors = ()


@dataclass(frozen=True)
class DataReport:
    """What is found in a data source.

    Attributes:
        task: name of the task.
        data: that was looked at, in words.
        model: whose tokens are counted, or None.
        max_length: tokens of the longest row allowed, or None without a model.
        labels: of the dataset.
        splits: by name.
        across: names of two splits to the examples of the second whose texts are in the first.
        label_differences: name of a split to how its labels differ from those of the training split; splits without a
            difference are absent.
        notes: what is to be said of the data as a whole.
    """

    task: str
    data: str
    model: str | None
    max_length: int | None
    labels: tuple[str, ...]
    splits: Mapping[str, SplitReport]
    across: Mapping[tuple[str, str], Repetition]
    label_differences: Mapping[str, LabelDifference]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> dict[str, Errors]:
        """What is wrong, by split; splits without errors are absent."""
        return {name: split.errors for name, split in self.splits.items() if split.errors}
