"""Texts as rows of tokens, with windows over those that are longer than a row, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.progress import tracked

from bertcore_tasks.ner.losses import Losses
from bertcore_tasks.ner.options import NerHead
from bertcore_tasks.ner.targets import RowLabels, targets_of
from bertcore_tasks.ner.units import Sentence
from bertcore_tasks.ner.windows import plan_windows

UNIT_COLUMN = "unit"
"""Which unit of its text a label position stands for, int32; -1 where it is predicted from another window."""


class SentenceEncoder:
    """Encodes texts, one row for each window, and counts what the model or rows cannot hold.

    Columns: those of :mod:`bertcore_tasks.ner.targets`, absent where a text is not labeled, and ``UNIT_COLUMN``.
    """

    def __init__(self, tokenizer: Tokenizer, head: NerHead, max_length: int, overlap: int, truncate: bool) -> None:
        """Prepares to encode.

        Args:
            tokenizer: of the model.
            head: whose labels are learned.
            max_length: tokens of the longest row, special tokens included.
            overlap: tokens that two windows of a text share, at most half a window.
            truncate: keep the first window of a text only.

        Raises:
            UsageError: the head's labels are no tags of entities.
        """
        self._tokenizer = tokenizer
        self._before, self._behind = tokenizer.special_ids
        self._capacity = max_length - len(self._before) - len(self._behind)
        self._max_length = max_length
        self._overlap = overlap
        self._truncate = truncate
        self._targets = targets_of(head)

    def encode(self, sentences: Sequence[Sentence]) -> Encoding:
        """Encodes texts; the notes say what was windowed, cut, or cannot be told by the model."""
        labeled = all(sentence.label is not None for sentence in sentences)
        pieces = iter(self._tokenizer.encode_units([word for sentence in sentences for word in _words(sentence)]))
        rows, losses, truncated = _Rows(), Losses(), []
        for index, sentence in enumerate(tracked(sentences, "encoding", "texts")):
            tokens = [next(pieces) for _ in range(len(sentence.units))]
            plan = plan_windows([len(token) for token in tokens], self._capacity, self._overlap, self._truncate)
            if losses.of_windows(sentence, tokens, plan, self._capacity):
                truncated.append(index)
            labels = self._targets.of_windows(sentence, plan, losses) if labeled else None
            for number, (start, end) in enumerate(plan.bounds):
                rows.add(index, self._before, [token[: self._capacity] for token in tokens[start:end]], self._behind)
                rows.units += self._targets.units(plan, number).tolist()
                if labels is not None:
                    rows.labels.append(labels[number])
        batch = rows.batch()
        if labeled:
            batch = self._targets.labeled(batch, rows.labels)
        notes = (*self._targets.notes, *losses.notes(self._max_length))
        return Encoding(batch, np.array(truncated, dtype=np.int64), notes)


@dataclass
class _Rows:
    """Rows as they are made; ``units`` has one value for each label position, ``labels`` the labels of each row."""

    input_ids: list[list[int]] = field(default_factory=list)
    label_positions: list[list[int]] = field(default_factory=list)
    example_index: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    labels: list[RowLabels] = field(default_factory=list)

    def add(self, example: int, before: list[int], units: list[list[int]], behind: list[int]) -> None:
        """Adds a row of units between special tokens; the first token of each unit is a label position."""
        row = list(before)
        positions: list[int] = []
        for tokens in units:
            positions.append(len(row))
            row += tokens
        self.input_ids.append(row + behind)
        self.label_positions.append(positions)
        self.example_index.append(example)

    def batch(self) -> Batch:
        """All rows, of one segment, without their labels."""
        columns = {UNIT_COLUMN: Column(np.array(self.units, dtype=np.int32), "label")}
        segments = [[0] * len(row) for row in self.input_ids]
        return from_rows(self.input_ids, segments, columns, self.example_index, self.label_positions)


def _words(sentence: Sentence) -> list[str]:
    """The units as they stand in the text, with the space in front of them that no unit holds."""
    behind = 0
    words: list[str] = []
    for word, start, end in zip(sentence.words, sentence.units.starts, sentence.units.ends, strict=True):
        words.append((" " if start > behind else "") + word)
        behind = end
    return words
