"""Scores of named entities, each under a name of its own because published figures mix them up.

- ``f1``, ``precision``, ``recall``: strict. An entity counts when its borders and its type are right and its tags are
  well-formed; the counts of all types are added. seqeval's strict mode gives the same.
- ``conlleval_f1`` and so on: entities are read from the predicted tags as conlleval.pl does, however they begin and
  end.
- ``token_f1`` and so on: as bert4torch's ``task_sequence_labeling_ner_crf.py`` prints it: tags other than O, each
  unit by itself. It lies above the others. Tags are those of the model's scheme: compare with BIO figures in BIO.
- ``cluener_f1``, of CLUENER alone: as its own script prints it: the mean over the types of the F1 of names. A name that
  stands twice in a text counts once, and where it stands is not compared.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Confusion
from bertcore.contracts.tagging import OUTSIDE, Span

NO_ENTITY = "no entity"


class Typed(Protocol):
    """What can be counted: hashable, with a type, as :class:`~bertcore.contracts.tagging.Span` is."""

    @property
    def type(self) -> str:
        """As ``PER``."""


@dataclass(frozen=True)
class Name:
    """An entity wherever it stands: its text and its type."""

    text: str
    type: str


def named(score: ClassScore, prefix: str = "") -> dict[str, float]:
    """F1, precision and recall by name."""
    return {f"{prefix}{name}": getattr(score, name) for name in ("f1", "precision", "recall")}


def count_entities(
    gold: Iterable[Iterable[Typed]], predicted: Iterable[Iterable[Typed]], types: Iterable[str] = ()
) -> dict[str, ClassScore]:
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
    return {name: ClassScore(right[name], found[name], wanted[name]) for name in names}


def total(counts: Iterable[ClassScore]) -> ClassScore:
    """The sum over all types."""
    parts = list(counts)
    return ClassScore(
        sum(part.correct for part in parts), sum(part.predicted for part in parts), sum(part.support for part in parts)
    )


def mean_f1(counts: Collection[ClassScore]) -> float:
    """The F1 of a type, on average."""
    return sum(part.f1 for part in counts) / len(counts) if counts else 0.0


def count_tags(gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> ClassScore:
    """Counts the tags other than O, as bert4torch does."""
    right = found = wanted = 0
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        found += sum(tag != OUTSIDE for tag in predicted_tags)
        wanted += sum(tag != OUTSIDE for tag in gold_tags)
        right += sum(a == b != OUTSIDE for a, b in zip(gold_tags, predicted_tags, strict=True))
    return ClassScore(right, found, wanted)


def confusion(gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]], types: Sequence[str]) -> Confusion:
    """Types of entities at the same borders: ``[gold, predicted]``, and those that only one side has."""
    names = (*types, NO_ENTITY)
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        gold_set, predicted_set = set(gold_spans), set(predicted_spans)
        for span in gold_set & predicted_set:
            counts[index[span.type], index[span.type]] += 1
        left: dict[tuple[int, int], list[str]] = {}  # one place may have several types
        for span in sorted(predicted_set - gold_set):
            left.setdefault((span.start, span.end), []).append(span.type)
        for span in sorted(gold_set - predicted_set):
            kinds = left.get((span.start, span.end))
            counts[index[span.type], index[kinds.pop(0) if kinds else NO_ENTITY]] += 1
        for kind in itertools.chain(*left.values()):
            counts[index[NO_ENTITY], index[kind]] += 1
    return Confusion(names, counts)
