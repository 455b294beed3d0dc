"""What is kept of the scores of spans: those that are found, whatever windows their text was cut into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.tagging import Span
from bertcore.heads import GlobalPointer
from numpy.typing import NDArray

from bertcore_tasks.ner.encoding import UNIT_COLUMN
from bertcore_tasks.ner.scoring import Prediction, entry, evaluate
from bertcore_tasks.ner.units import Sentence
from bertcore_tasks.ner.windows import window_of_span


@dataclass(frozen=True)
class _Window:
    """What is found in a window.

    Attributes:
        bounds: its first unit, and the one behind its last.
        spans: in units of the text.
        probabilities: of each.
    """

    bounds: tuple[int, int]
    spans: list[Span]
    probabilities: list[float]


class SpanAccumulator(Accumulator):
    """Keeps the spans whose score is above 0, the probability 1/2, and lets go of all other scores."""

    want = ("logits",)

    def __init__(self, sentences: Sequence[Sentence], head: GlobalPointer, scores_names: bool = False) -> None:
        self._sentences = sentences
        self._labels = head.labels
        self._scores_names = scores_names
        self._windows: list[list[_Window]] = [[] for _ in sentences]

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[pairs, types]``."""
        assert batch.label_offsets is not None
        units, offsets, pairs = batch.columns[UNIT_COLUMN].values, batch.label_offsets, batch.pair_offsets
        for row, text in enumerate(batch.example_index.tolist()):
            of_row = units[offsets[row] : offsets[row + 1]].tolist()
            if of_row:
                window = self._window(of_row, outputs["logits"][pairs[row] : pairs[row + 1]])
                self._windows[text].append(window)

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, text, units and entities, and the gold entities as ``label`` where there are any."""
        return [entry(*pair) for pair in zip(self._sentences, self._decode(), strict=True)]

    def result(self) -> Evaluation:
        """See :func:`bertcore_tasks.ner.scoring.evaluate`."""
        return evaluate(self._sentences, self._decode(), None, self._labels, self._scores_names)

    def _window(self, units: Sequence[int], logits: NDArray[Any]) -> _Window:
        found, kinds = np.nonzero(logits > 0)
        starts, ends = _pairs(len(units))
        spans = [
            Span(units[start], units[end] + 1, self._labels[kind])
            for start, end, kind in zip(starts[found].tolist(), ends[found].tolist(), kinds.tolist(), strict=True)
        ]
        probabilities = 1 / (1 + np.exp(-logits[found, kinds].astype(np.float64)))
        return _Window((units[0], units[-1] + 1), spans, probabilities.tolist())

    def _decode(self) -> list[Prediction]:
        return [_merged(*pair) for pair in zip(self._sentences, self._windows, strict=True)]


def _merged(sentence: Sentence, windows: Sequence[_Window]) -> Prediction:
    """The spans of a text, each from the window where it has most context; that window may have found none there."""
    bounds = sorted(window.bounds for window in windows)
    found: dict[Span, float] = {}
    for window in windows:
        for span, probability in zip(window.spans, window.probabilities, strict=True):
            if window_of_span(bounds, len(sentence.units), span.start, span.end) == window.bounds:
                found[span] = probability
    spans = sorted(found, key=lambda span: (span.start, -span.end, span.type))
    return Prediction.of_spans(map(sentence.in_characters, spans), [found[span] for span in spans])


@lru_cache(maxsize=64)
def _pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of each pair of so many label positions, in the order of the outputs."""
    starts, ends = np.triu_indices(count)
    return starts, ends
