"""Scores of named entities, each under a name of its own because published figures mix them up.

- ``f1``, ``precision``, ``recall``: strict. An entity counts when its borders and its type are right and its tags are
  well-formed; the counts of all types are added. seqeval's strict mode gives the same.
- ``conlleval_f1`` and so on: entities are read from the predicted tags as conlleval.pl does, however they begin and
  end.
- ``token_f1`` and so on: as bert4torch's ``task_sequence_labeling_ner_crf.py`` prints it: tags other than O, each
  unit by itself. It lies above the others. Tags are those of the model's scheme: compare with BIO figures in BIO.
- ``cluener_f1``: as CLUENER's own script prints it: the mean over the types of the F1 of names. A name that stands
  twice in a text counts once, and where it stands is not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from bertcore.tagging import OUTSIDE, Span
from numpy.typing import NDArray

NO_ENTITY = "no entity"


class Typed(Protocol):
    """What can be counted: hashable, with a type, as :class:`~bertcore.tagging.Span` is."""

    @property
    def type(self) -> str:
        """As ``PER``."""


@dataclass(frozen=True)
class Name:
    """An entity wherever it stands: its text and its type."""

    text: str
    type: str


@dataclass(frozen=True)
class Counts:
    """What precision and recall are made of; a score without a denominator is 0, as in seqeval."""

    correct: int = 0
    predicted: int = 0
    gold: int = 0

    @property
    def precision(self) -> float:
        """Part of what was predicted that is right."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Part of what was to be found that was found."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.correct / (self.predicted + self.gold) if self.predicted + self.gold else 0.0

    def named(self, prefix: str = "", suffix: str = "") -> dict[str, float]:
        """The three scores by name."""
        return {f"{prefix}{name}{suffix}": getattr(self, name) for name in ("f1", "precision", "recall")}


def count_entities(
    gold: Iterable[Iterable[Typed]], predicted: Iterable[Iterable[Typed]], types: Iterable[str] = ()
) -> dict[str, Counts]:
    """Counts entities, text by text and each once, for each of the types and any other that occurs."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        gold_set, predicted_set = set(gold_spans), set(predicted_spans)
        right.update(span.type for span in gold_set & predicted_set)
        found.update(span.type for span in predicted_set)
        wanted.update(span.type for span in gold_set)
    names = dict.fromkeys([*types, *sorted({*found, *wanted})])
    return {name: Counts(right[name], found[name], wanted[name]) for name in names}


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over all types."""
    parts = list(counts)
    return Counts(
        sum(part.correct for part in parts), sum(part.predicted for part in parts), sum(part.gold for part in parts)
    )


def mean_f1(counts: Collection[Counts]) -> float:
    """The F1 of a type, on average."""
    return sum(part.f1 for part in counts) / len(counts) if counts else 0.0


def count_tags(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> Counts:
    """Counts the tags other than O, as bert4torch does."""
    right = found = wanted = 0
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        found += sum(tag != OUTSIDE for tag in predicted_tags)
        wanted += sum(tag != OUTSIDE for tag in gold_tags)
        right += sum(a == b != OUTSIDE for a, b in zip(gold_tags, predicted_tags, strict=True))
    return Counts(right, found, wanted)


def confusion(
    gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]], types: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Types of entities at the same borders: ``[gold, predicted]``, and those that only one side has."""
    names = (*types, NO_ENTITY)
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        gold_set, predicted_set = set(gold_spans), set(predicted_spans)
        for span in gold_set & predicted_set:
            counts[index[span.type], index[span.type]] += 1
        left = {(span.start, span.end): span.type for span in sorted(predicted_set - gold_set)}
        for span in sorted(gold_set - predicted_set):
            counts[index[span.type], index[left.pop((span.start, span.end), NO_ENTITY)]] += 1
        for kind in left.values():
            counts[index[NO_ENTITY], index[kind]] += 1
    return names, counts
