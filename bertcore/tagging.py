"""Tag schemes of named entities: what a tag means, which tags may follow one another, and spans.

A tag is ``O``, or a position and a type: ``B-PER``. The schemes are

- ``BIO`` (IOB2): B begins an entity, I goes on with it;
- ``BIOES`` (IOBES, BILOU under other letters): E ends an entity, S is an entity of one unit;
- ``BMES`` (BMEO): as BIOES, with M instead of I;
- ``IO``: I is inside of an entity; entities of one type that touch are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"

SCHEMES = ("BIO", "BIOES", "BMES", "IO")

# Per scheme: the positions that begin an entity, those that go on with one, and those that end one.
_BEGIN = {"BIO": "B", "BIOES": "BS", "BMES": "BS", "IO": "I"}
_INSIDE = {"BIO": "I", "BIOES": "IE", "BMES": "ME", "IO": "I"}
_END = {"BIO": "BI", "BIOES": "ES", "BMES": "ES", "IO": "I"}


@dataclass(frozen=True, order=True)
class Span:
    """An entity.

    Attributes:
        start: its first unit.
        end: the unit behind its last.
        type: as ``PER``.
    """

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class LegalTransitions:
    """What a scheme allows.

    Attributes:
        start: bool ``[tags]``, which may begin a sequence.
        pairs: bool ``[tags, tags]``, which may follow which: ``[from, to]``.
        end: bool ``[tags]``, which may end a sequence.
    """

    start: NDArray[np.bool_]
    pairs: NDArray[np.bool_]
    end: NDArray[np.bool_]


@dataclass(frozen=True)
class TransitionScores:
    """Scores of a CRF, as :class:`LegalTransitions`, float32."""

    start: NDArray[np.float32]
    pairs: NDArray[np.float32]
    end: NDArray[np.float32]


def split_tag(tag: str) -> tuple[str, str]:
    """Position and type of a tag: ``B-PER`` is ``("B", "PER")``, ``O`` is ``("O", "")``."""
    position, _, kind = tag.partition("-")
    return position, kind


def legal_transitions(labels: Sequence[str], scheme: str) -> LegalTransitions:
    """Returns what the scheme allows among these tags; everything where the scheme is "".

    Raises:
        ValueError: there is no such scheme.
    """
    size = len(labels)
    if not scheme:
        return LegalTransitions(np.ones(size, bool), np.ones((size, size), bool), np.ones(size, bool))
    if scheme not in SCHEMES:
        raise ValueError(f"there is no tag scheme {scheme!r}, only {', '.join(SCHEMES)}")
    # In front of a sequence and behind it stands what is no tag: it behaves as O.
    pairs = np.array([[_may_follow(scheme, first, then) for then in labels] for first in labels], dtype=bool)
    start = np.array([_may_follow(scheme, OUTSIDE, then) for then in labels], dtype=bool)
    end = np.array([_may_follow(scheme, first, OUTSIDE) for first in labels], dtype=bool)
    return LegalTransitions(start, pairs.reshape(size, size), end)


def transition_scores(labels: NDArray[np.int64], offsets: NDArray[np.int64], size: int) -> TransitionScores:
    """Logarithms of how often tags begin, follow one another and end in a training set, each seen once more.

    Args:
        labels: tag ids of all rows, one row after the other; a negative id is no tag and breaks the sequence.
        offsets: ``[rows + 1]``, where each row begins.
        size: number of tags.
    """
    start, end, pairs = np.ones(size), np.ones(size), np.ones((size, size))
    filled = np.flatnonzero(np.diff(offsets))
    first, last = labels[offsets[filled]], labels[offsets[filled + 1] - 1]
    np.add.at(start, first[first >= 0], 1)
    np.add.at(end, last[last >= 0], 1)
    inner = np.ones(max(len(labels) - 1, 0), dtype=bool)
    borders = offsets[1:-1] - 1
    inner[borders[(borders >= 0) & (borders < len(inner))]] = False
    inner &= (labels[:-1] >= 0) & (labels[1:] >= 0)
    np.add.at(pairs, (labels[:-1][inner], labels[1:][inner]), 1)
    return TransitionScores(
        np.log(start / start.sum()).astype(np.float32),
        np.log(pairs / pairs.sum(axis=1, keepdims=True)).astype(np.float32),
        np.log(end / end.sum()).astype(np.float32),
    )


def _may_follow(scheme: str, first: str, then: str) -> bool:
    """Whether ``then`` may stand behind ``first``."""
    (before, before_type), (after, after_type) = split_tag(first), split_tag(then)
    if scheme == "IO":
        return True
    open_entity = before != OUTSIDE and before not in _END[scheme]
    if after != OUTSIDE and after in _INSIDE[scheme]:
        goes_on = before != OUTSIDE and (open_entity or scheme == "BIO")
        return goes_on and before_type == after_type
    return not open_entity
