"""The best spans of a row, and of a question over all of its windows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spans:
    """Some spans of one row, best first; equal scores in the order of their tokens.

    Attributes:
        starts: int32 ``[spans]``, first token.
        ends: int32 ``[spans]``, last token.
        scores: float64 ``[spans]``, sum of the logits of start and end.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    scores: NDArray[np.float64]


def best_spans(
    start_logits: NDArray[np.float32],
    end_logits: NDArray[np.float32],
    may_start: NDArray[np.bool_],
    max_length: int,
    count: int,
) -> Spans:
    """The spans of highest score among all that are valid.

    All valid spans are weighed, not only those of the best starts and the best ends, as in run_squad.

    Args:
        start_logits: of the tokens of the context, ``[tokens]``.
        end_logits: likewise.
        may_start: whether a span may begin with the token.
        max_length: tokens of the longest span.
        count: of the spans returned, where there are so many.
    """
    tokens = len(start_logits)
    first = np.flatnonzero(may_start)
    width = min(max_length, tokens)
    if not len(first):
        nothing = np.zeros(0, dtype=np.int32)
        return Spans(nothing, nothing, np.zeros(0))
    # A row of scores for each token that may begin a span, a column for each length, here of a width of 3:
    #     start 0 + end 0, start 0 + end 1, start 0 + end 2
    #     start 1 + end 1, start 1 + end 2, start 1 + end 3      and minus infinity beyond the last token
    ends = np.full(tokens + width - 1, -np.inf)
    ends[:tokens] = end_logits
    scores = np.lib.stride_tricks.sliding_window_view(ends, width)[first] + start_logits[first, None]
    flat = scores.reshape(-1)
    count = min(count, len(flat))
    least = np.partition(flat, len(flat) - count)[len(flat) - count]
    # The first of equal scores, whatever the partition did with them.
    found = np.flatnonzero((flat >= least) & (flat > -np.inf))
    found = found[np.argsort(-flat[found], kind="stable")][:count]
    starts = first[found // width]
    return Spans(starts.astype(np.int32), (starts + found % width).astype(np.int32), flat[found])


@dataclass(frozen=True)
class Candidate:
    """A possible answer.

    Attributes:
        text: as it stands in the context.
        start: its first character in the context.
        end: one past its last.
        score: sum of the logits of start and end.
    """

    text: str
    start: int
    end: int
    score: float


def merge_candidates(
    context: str,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    scores: NDArray[np.float64],
    count: int,
) -> list[Candidate]:
    """The best answers of a question, each text once, from the spans of all its windows.

    Args:
        context: of the question.
        starts: first character of each span.
        ends: one past its last.
        scores: of the spans.
        count: of the answers returned.
    """
    candidates: list[Candidate] = []
    seen: set[str] = set()
    for index in np.lexsort((ends, starts, -scores)).tolist():
        start, end = int(starts[index]), int(ends[index])
        end = _with_combining_marks(context, end)
        text = context[start:end]
        if text not in seen:
            seen.add(text)
            candidates.append(Candidate(text, start, end, float(scores[index])))
            if len(candidates) == count:
                break
    return candidates


def probabilities(scores: Sequence[float]) -> list[float]:
    """The softmax of scores."""
    if not scores:
        return []
    values = np.exp(np.array(scores) - max(scores))
    return [float(value) for value in values / values.sum()]


def best_null_threshold(differences: NDArray[np.float64], gains: NDArray[np.float64]) -> float:
    """The threshold above which a question is said to have no answer, so that the mean score is highest.

    Args:
        differences: float64 ``[questions]``, score of no answer minus that of the best answer.
        gains: float64 ``[questions]``, score of the best answer minus the score of no answer, as the metric gives them.

    Returns:
        A number between two neighbouring differences.
    """
    order = np.argsort(differences, kind="stable")
    ordered = differences[order]
    total = np.concatenate([[0.0], np.cumsum(gains[order])])
    # Questions with equal differences stay together.
    between = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    best = int(np.argmax(np.where(between, total, -np.inf)))
    below = ordered[best - 1] if best else ordered[0] - 2
    above = ordered[best] if best < len(ordered) else ordered[-1] + 2
    return float((below + above) / 2)


def _with_combining_marks(context: str, end: int) -> int:
    """The end of a span with the accents that belong to its last character, which a tokenizer may have removed."""
    while 0 < end < len(context) and unicodedata.combining(context[end]):
        end += 1
    return end
