"""What a row is to learn: a tag for each of its units, or the spans of them that are entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.tagging import OUTSIDE, Span, count_merged, entity_types, find_scheme, is_mark, spans_to_tags
from bertcore.errors import UsageError
from bertcore.heads import GlobalPointer, TokenClassification
from numpy.typing import NDArray

from bertcore_tasks.ner.losses import Losses
from bertcore_tasks.ner.options import NerHead
from bertcore_tasks.ner.units import Alignment, Sentence, align, align_nested
from bertcore_tasks.ner.windows import WindowPlan

RowLabels = Sequence[Any]
"""The labels of a window: the number of each unit's tag, or type, first and last unit of each span."""


class Targets(Protocol):
    """Makes the labels that a head reads."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known of the head's labels."""

    def units(self, plan: WindowPlan, window: int) -> NDArray[np.int64]:
        """Which unit of the text each label position of a window stands for; -1 where another predicts it."""

    def of_windows(self, sentence: Sentence, plan: WindowPlan, losses: Losses) -> Sequence[RowLabels]:
        """The labels of each window of a text; what they cannot hold is counted."""

    def labeled(self, batch: Batch, rows: Sequence[RowLabels]) -> Batch:
        """The batch with the labels of its rows."""


def targets_of(head: NerHead) -> Targets:
    """Those of a head.

    Raises:
        UsageError: it is one of tags, and its labels are none.
    """
    return SpanTargets(head) if isinstance(head, GlobalPointer) else TagTargets(head)


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


class TagTargets:
    """``labels`` int32 ``[label positions]``."""

    def __init__(self, head: TokenClassification) -> None:
        self._scheme = model_scheme(head)
        self._ids = {label: index for index, label in enumerate(head.labels)}
        self._types = entity_types(head.labels)
        marks = [label for label in head.labels if is_mark(label)]
        told = f"the model's labels {', '.join(marks)} mark special tokens and are never predicted"
        self.notes: tuple[str, ...] = (told,) if marks else ()

    def units(self, plan: WindowPlan, window: int) -> NDArray[np.int64]:
        """Those that the window owns."""
        start, end = plan.bounds[window]
        return np.where(plan.owner[start:end] == window, np.arange(start, end), -1)

    def of_windows(self, sentence: Sentence, plan: WindowPlan, losses: Losses) -> Sequence[RowLabels]:
        """Well-formed by themselves: an entity at the border of a window is one of what lies inside."""
        alignment = align(sentence.label, sentence.units)
        losses.merged += count_merged(alignment.spans, self._scheme)
        spans = _known(alignment, self._types, losses)
        return [self._tags(spans, start, end) for start, end in plan.bounds]

    def labeled(self, batch: Batch, rows: Sequence[RowLabels]) -> Batch:
        """With one label for each label position."""
        labels = np.array([label for row in rows for label in row], dtype=np.int32)
        return replace(batch, columns={**batch.columns, "labels": Column(labels, "label")})

    def _tags(self, spans: Sequence[Span], start: int, end: int) -> list[int]:
        inside = [
            Span(max(span.start, start) - start, min(span.end, end) - start, span.type)
            for span in spans
            if span.start < end and span.end > start
        ]
        outside = self._ids[OUTSIDE]
        # A model that was trained elsewhere may lack a tag that its training set did.
        return [self._ids.get(tag, outside) for tag in spans_to_tags(inside, end - start, self._scheme)]


class SpanTargets:
    """``spans`` int32 ``[spans, 3]`` on the axis ``span``: type, first and last label position of the row."""

    notes: tuple[str, ...] = ()

    def __init__(self, head: GlobalPointer) -> None:
        self._column = head.label_column
        self._ids = {label: index for index, label in enumerate(head.labels)}

    def units(self, plan: WindowPlan, window: int) -> NDArray[np.int64]:
        """All: which window predicts a span follows from both of its ends."""
        return np.arange(*plan.bounds[window])

    def of_windows(self, sentence: Sentence, plan: WindowPlan, losses: Losses) -> Sequence[RowLabels]:
        """Each window has the entities that lie whole in it; nested ones are all learned."""
        spans = _known(align_nested(sentence.label, sentence.units), tuple(self._ids), losses)
        rows = [self._spans(spans, start, end) for start, end in plan.bounds]
        if len(rows) > 1:  # in one window all lie whole, or behind what was kept of the text
            behind = plan.bounds[-1][1]
            losses.parted += sum(
                span.end <= behind and not any(a <= span.start and span.end <= b for a, b in plan.bounds)
                for span in spans
            )
        return rows

    def labeled(self, batch: Batch, rows: Sequence[RowLabels]) -> Batch:
        """With the spans of each row."""
        spans = np.array([span for row in rows for span in row], dtype=np.int32).reshape(-1, 3)
        return replace(
            batch,
            columns={**batch.columns, self._column: Column(spans, "span")},
            ragged={"span": np.cumsum([0, *map(len, rows)], dtype=np.int64)},
        )

    def _spans(self, spans: Sequence[Span], start: int, end: int) -> list[tuple[int, int, int]]:
        return [
            (self._ids[span.type], span.start - start, span.end - 1 - start)
            for span in spans
            if start <= span.start and span.end <= end
        ]


def _known(alignment: Alignment, types: Sequence[str], losses: Losses) -> list[Span]:
    """The entities that the model can tell, in units."""
    losses.off_units += alignment.off_units
    losses.overlapping += alignment.overlapping
    losses.unknown.update(span.type for span in alignment.spans if span.type not in types)
    losses.unknown_entities += sum(span.type not in types for span in alignment.spans)
    return [span for span in alignment.spans if span.type in types]
