"""Texts as rows of tokens, with windows over those that are longer than a row, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.tagging import OUTSIDE, Span, count_merged, entity_types, find_scheme, is_mark, spans_to_tags
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import UsageError
from bertcore.heads import TokenClassification
from bertcore.progress import tracked

from bertcore_tasks.ner.units import Sentence, align
from bertcore_tasks.ner.windows import WindowPlan, plan_windows
from bertcore_tasks.wording import counted

UNIT_COLUMN = "unit"
"""Which unit of its text a label position stands for, int32; -1 where another window knows more about it."""


def model_scheme(head: TokenClassification) -> str:
    """The scheme of a head's tags, also of one that was trained elsewhere.

    Raises:
        UsageError: its labels are no tags.
    """
    try:
        found = find_scheme(head.labels)
        if OUTSIDE not in head.labels:
            raise ValueError(f"there is no tag {OUTSIDE} among {', '.join(head.labels)}")
    except ValueError as error:
        raise UsageError(
            f"the model's labels are no tags of entities: {error}",
            "name them in id2label of its config.json",
            code="model-contradicts",
        ) from None
    return head.scheme or found


class SentenceEncoder:
    """Encodes texts, one row for each window, and counts what tags or rows cannot hold.

    Columns: ``labels`` int32 ``[label positions]``, absent where a text is not labeled, and ``UNIT_COLUMN``.
    """

    def __init__(
        self, tokenizer: Tokenizer, head: TokenClassification, max_length: int, overlap: int, truncate: bool
    ) -> None:
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
        self._scheme = model_scheme(head)
        self._ids = {label: index for index, label in enumerate(head.labels)}
        self._types = set(entity_types(head.labels))
        self._marks = [label for label in head.labels if is_mark(label)]

    def encode(self, sentences: Sequence[Sentence]) -> Encoding:
        """Encodes texts; the notes say what was windowed, cut, or cannot be told by the model's tags."""
        labeled = all(sentence.label is not None for sentence in sentences)
        pieces = iter(self._tokenizer.encode_units([word for sentence in sentences for word in _words(sentence)]))
        rows, losses, truncated = _Rows(), _Losses(), []
        for index, sentence in enumerate(tracked(sentences, "encoding", "texts")):
            tokens = [next(pieces) for _ in range(len(sentence.units))]
            plan = plan_windows([len(token) for token in tokens], self._capacity, self._overlap, self._truncate)
            if losses.of_windows(sentence, tokens, plan, self._capacity):
                truncated.append(index)
            spans = self._spans(sentence, losses) if labeled else []
            for number, (start, end) in enumerate(plan.bounds):
                rows.add(index, self._before, [token[: self._capacity] for token in tokens[start:end]], self._behind)
                rows.units += np.where(plan.owner[start:end] == number, np.arange(start, end), -1).tolist()
                if labeled:
                    rows.labels += self._labels(spans, start, end)
        notes = losses.notes(self._max_length)
        if self._marks:
            notes = (f"the model's labels {', '.join(self._marks)} mark special tokens and are never predicted", *notes)
        return Encoding(rows.batch(labeled), np.array(truncated, dtype=np.int64), notes)

    def _spans(self, sentence: Sentence, losses: _Losses) -> list[Span]:
        """The entities that the model's tags can tell, in units."""
        alignment = align(sentence.label, sentence.units)
        losses.off_units += alignment.off_units
        losses.overlapping += alignment.overlapping
        losses.merged += count_merged(alignment.spans, self._scheme)
        losses.unknown.update(span.type for span in alignment.spans if span.type not in self._types)
        losses.unknown_entities += sum(span.type not in self._types for span in alignment.spans)
        return [span for span in alignment.spans if span.type in self._types]

    def _labels(self, spans: Sequence[Span], start: int, end: int) -> list[int]:
        """The labels of a window, well-formed by themselves: an entity at its border is one of what lies inside."""
        inside = [
            Span(max(span.start, start) - start, min(span.end, end) - start, span.type)
            for span in spans
            if span.start < end and span.end > start
        ]
        outside = self._ids[OUTSIDE]
        # A model that was trained elsewhere may lack a tag that its training set did.
        return [self._ids.get(tag, outside) for tag in spans_to_tags(inside, end - start, self._scheme)]


@dataclass
class _Rows:
    """Rows as they are made; ``units`` and ``labels`` have one value for each label position, row behind row."""

    input_ids: list[list[int]] = field(default_factory=list)
    label_positions: list[list[int]] = field(default_factory=list)
    example_index: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

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

    def batch(self, labeled: bool) -> Batch:
        """All rows, of one segment."""
        columns = {UNIT_COLUMN: Column(np.array(self.units, dtype=np.int32), "label")}
        if labeled:
            columns["labels"] = Column(np.array(self.labels, dtype=np.int32), "label")
        segments = [[0] * len(row) for row in self.input_ids]
        return from_rows(self.input_ids, segments, columns, self.example_index, self.label_positions)


class _Losses:
    """What encoding cost, by kind."""

    def __init__(self) -> None:
        self.cut_texts = self.cut_characters = self.cut_entities = 0
        self.windowed = self.windows = self.long_units = 0
        self.off_units = self.overlapping = self.merged = self.unknown_entities = 0
        self.unknown: set[str] = set()

    def of_windows(self, sentence: Sentence, tokens: Sequence[list[int]], plan: WindowPlan, capacity: int) -> bool:
        """Counts what the windows of a text cost, and says whether some of its tokens are in none."""
        kept = plan.bounds[-1][1]
        too_long = sum(len(token) > capacity for token in tokens[:kept])
        self.long_units += too_long
        if len(plan.bounds) > 1:
            self.windowed += 1
            self.windows += len(plan.bounds)
        if kept < len(tokens):
            end = sentence.units.ends[kept - 1]
            self.cut_texts += 1
            self.cut_characters += len(sentence.text) - end
            self.cut_entities += sum(span.end > end for span in sentence.label or ())
        return kept < len(tokens) or too_long > 0

    def notes(self, max_length: int) -> tuple[str, ...]:
        """One line for each kind that occurred."""
        scored = "; they are scored all the same"
        notes: list[str] = []
        if self.cut_texts:
            notes.append(
                f"{counted(self.cut_texts, 'text')} cut at {max_length} tokens, which loses "
                f"{counted(self.cut_characters, 'character')} and {counted(self.cut_entities, 'entity')}{scored}"
            )
        if self.windowed:
            notes.append(
                f"{counted(self.windowed, 'text')} longer than {max_length} tokens: {self.windows} overlapping windows"
            )
        if self.long_units:
            notes.append(f"{counted(self.long_units, 'word')} longer than a row: only the first tokens are read")
        if self.off_units:
            notes.append(f"{counted(self.off_units, 'entity')} with a border inside a unit: not learned{scored}")
        if self.overlapping:
            notes.append(f"{counted(self.overlapping, 'entity')} overlapping another one: not learned{scored}")
        if self.merged:
            notes.append(
                f"{counted(self.merged, 'entity')} behind another one of its type, which IO cannot tell apart{scored}"
            )
        if self.unknown_entities:
            names = ", ".join(sorted(self.unknown))
            notes.append(
                f"{counted(self.unknown_entities, 'entity')} of a type that the model does not know ({names}){scored}"
            )
        return tuple(notes)


def _words(sentence: Sentence) -> list[str]:
    """The units as they stand in the text, with the space in front of them that no unit holds."""
    behind = 0
    words: list[str] = []
    for word, start, end in zip(sentence.words, sentence.units.starts, sentence.units.ends, strict=True):
        words.append((" " if start > behind else "") + word)
        behind = end
    return words
