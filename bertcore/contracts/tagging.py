"""Tag schemes of named entities: what a tag means, which tags may follow one another, and spans.

A tag is ``O``, or a position and a type: ``B-PER``. The schemes are

- ``BIO`` (IOB2): B begins an entity, I goes on with it;
- ``BIOES`` (IOBES): E ends an entity, S is an entity of one unit;
- ``BMES`` (BMEO): as BIOES, with M instead of I;
- ``BILOU`` (spaCy's BILUO): as BIOES, with L instead of E and U instead of S;
- ``IOB1`` (CoNLL-2003 as it was published): I begins an entity and goes on with it; B begins one that follows another
  of its type;
- ``IO``: I is inside of an entity; entities of one type that touch are one.

::

    unit    Ada    King   Lovelace  of  London
    BIO     B-PER  I-PER  I-PER     O   B-LOC
    BIOES   B-PER  I-PER  E-PER     O   S-LOC
    BMES    B-PER  M-PER  E-PER     O   S-LOC
    BILOU   B-PER  I-PER  L-PER     O   U-LOC
    IOB1    I-PER  I-PER  I-PER     O   I-LOC
    IO      I-PER  I-PER  I-PER     O   I-LOC
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = "O"

POSITIONS = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU", "IO": "I", "IOB1": "BI"}
"""Per scheme, the positions in the order of their ids."""

SCHEMES = tuple(POSITIONS)

# Per scheme: the positions that begin an entity, those that go on with one, and those that end one.
_BEGIN = {"BIO": "B", "BIOES": "BS", "BMES": "BS", "BILOU": "BU", "IO": "I", "IOB1": "BI"}
_INSIDE = {"BIO": "I", "BIOES": "IE", "BMES": "ME", "BILOU": "IL", "IO": "I", "IOB1": "I"}
_END = {"BIO": "BI", "BIOES": "ES", "BMES": "ES", "BILOU": "LU", "IO": "I", "IOB1": "BI"}

_OPEN_ENDED = ("BIO", "IO", "IOB1")
"""Schemes that do not mark the last unit of an entity."""


# What kamalkraj/BERT-NER, CLUENER's baselines and others put among the labels for tokens that are no units.
_MARK = re.compile(r"\[[A-Za-z]+\]|<[/A-Za-z]+>|X|CLS|SEP|PAD|START|END|STOP|UNK")


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
class TagProblem:
    """Where a sequence of tags breaks its scheme.

    Attributes:
        index: the unit whose tag is wrong.
        cause: what is wrong, in words.
    """

    index: int
    cause: str


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


@functools.lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """Position and type of a tag: ``B-PER`` is ``("B", "PER")``, ``O`` is ``("O", "")``."""
    position, _, kind = tag.partition("-")
    return position, kind


def scheme_tags(scheme: str, types: Sequence[str]) -> tuple[str, ...]:
    """All tags of a scheme in the order of their ids: ``O``, then type by type."""
    return (OUTSIDE, *(f"{position}-{kind}" for kind in types for position in POSITIONS[scheme]))


def entity_types(labels: Sequence[str]) -> tuple[str, ...]:
    """The types among these tags, in the order in which they first occur."""
    return tuple(dict.fromkeys(kind for _, kind in map(split_tag, labels) if kind))


def is_mark(label: str) -> bool:
    """Whether a label of a model trained elsewhere marks a special token, as ``[CLS]`` or ``X``, and no unit."""
    return _MARK.fullmatch(label) is not None


def find_scheme(labels: Sequence[str]) -> str:
    """The scheme with fewest positions that holds all of a model's tags; labels that are marks are passed over.

    Raises:
        ValueError: the labels are no tags of any scheme.
    """
    labels = [label for label in labels if not is_mark(label)]
    found = {split_tag(label)[0] for label in labels} - {OUTSIDE}
    # Fewest positions first: tags of BIO are tags of BIOES, too, whose E and S a model of BIO never learned.
    for scheme in sorted(SCHEMES, key=lambda scheme: len(POSITIONS[scheme])):
        if found <= set(POSITIONS[scheme]) and all(map(_is_tag, labels)):
            return scheme
    raise ValueError(f"{', '.join(labels)} are not the tags of one scheme among {', '.join(SCHEMES)}")


def check_tag(tag: str, scheme: str) -> str | None:
    """What is wrong with a tag by itself, in words; None for a tag of the scheme."""
    if not _is_tag(tag):
        return f"the tag {tag!r} is neither O nor a position and a type, as B-PER"
    position, _ = split_tag(tag)
    if tag != OUTSIDE and position not in POSITIONS[scheme]:
        return f"the tag {tag!r} is not one of {scheme}, whose positions are {', '.join(POSITIONS[scheme])}"
    return None


def find_problems(tags: Sequence[str], scheme: str) -> list[TagProblem]:
    """Every place at which the tags of a sequence break the scheme, in order."""
    problems: list[TagProblem] = []
    for index, (first, then) in enumerate(itertools.pairwise([OUTSIDE, *tags, OUTSIDE])):
        if _may_follow(scheme, first, then):
            continue
        position, kind = split_tag(then)
        if scheme == "IOB1":
            cause = f"the tag {then!r}, which in IOB1 stands behind another {kind} alone; in BIO it would be right"
            problems.append(TagProblem(index, cause))
        elif index < len(tags) and position in _INSIDE[scheme]:
            problems.append(TagProblem(index, f"the tag {then!r} without a B-{kind} before it"))
        else:
            # The entity of the tag before is still open; at the end of the sequence that tag itself is to be shown.
            needed = f"{_END[scheme][0]}-{split_tag(first)[1]}"
            behind = f"goes on with {then!r}" if index < len(tags) else "ends"
            problems.append(TagProblem(index - 1, f"the tag {first!r} needs {needed} after it, but the text {behind}"))
    return problems


def tags_to_spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """The entities that are well-formed in the scheme, in order; everything else is no entity.

    An entity begins and goes on as the scheme says, keeps its type, and in BIOES, BMES and BILOU ends as they want it.
    It is what seqeval counts in its strict mode with ``IOB2``, ``IOBES``, ``BILOU`` and ``IOB1``.
    """
    spans: list[Span] = []
    start, kind = -1, ""
    for index, (first, then) in enumerate(itertools.pairwise([OUTSIDE, *tags, OUTSIDE])):
        if start >= 0 and not _goes_on(scheme, first, then):
            if split_tag(first)[0] in _END[scheme]:
                spans.append(Span(start, index, kind))
            start = -1
        position, then_kind = split_tag(then)
        if start < 0 and position in _BEGIN[scheme] and (scheme != "IOB1" or _may_follow(scheme, first, then)):
            start, kind = index, then_kind
    return spans


def chunks(tags: Sequence[str]) -> list[Span]:
    """The entities as conlleval reads them: what is not O belongs to one, however it begins and ends.

    An entity begins with B, with S, behind O, behind the end of another, and where the type changes. The rules are
    those of conlleval.pl, to which seqeval (default mode) added S and the border between E and B; M is read as I, L as
    E and U as S.
    """
    spans: list[Span] = []
    start, kind, before = -1, "", OUTSIDE
    for index, tag in enumerate([*tags, OUTSIDE]):
        position, then_kind = split_tag(tag)
        begins = position in ("B", "S", "U") or before in ("E", "S", "L", "U", OUTSIDE) or then_kind != kind
        if start >= 0 and (begins or position == OUTSIDE):
            spans.append(Span(start, index, kind))
            start = -1
        if position != OUTSIDE and start < 0:
            start = index
        before, kind = position, then_kind
    return spans


def spans_to_tags(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sequence of ``length`` units. IO cannot tell touching entities of one type apart.

    Raises:
        ValueError: a span is empty, leaves the sequence or lies across another one.
    """
    tags = [OUTSIDE] * length
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is empty or leaves a sequence of {length} units")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} lies across another entity")
        tags[span.start : span.end] = _entity_tags(scheme, span.end - span.start, span.type)
        if scheme == "IOB1" and (span.start == 0 or split_tag(tags[span.start - 1])[1] != span.type):
            tags[span.start] = f"I-{span.type}"
    return tags


def count_merged(spans: Iterable[Span], scheme: str) -> int:
    """How many of these entities the scheme cannot tell from the one in front of them: in IO, those that touch it."""
    if scheme != "IO":
        return 0
    return sum(first.end == then.start and first.type == then.type for first, then in itertools.pairwise(sorted(spans)))


def legal_transitions(labels: Sequence[str], scheme: str) -> LegalTransitions:
    """Returns what the scheme allows among these tags, and marks nowhere; everything where the scheme is "".

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
    tags = np.array([not is_mark(label) for label in labels], dtype=bool)
    return LegalTransitions(start & tags, pairs.reshape(size, size) & tags & tags[:, None], end & tags)


def transition_scores(labels: NDArray[np.int64], offsets: NDArray[np.int64], size: int) -> TransitionScores:
    """Logarithms of how often tags begin, follow one another and end in a training set, each seen once more.

    Args:
        labels: tag ids of all rows, one row after the other; a negative id is no tag and breaks the sequence.
        offsets: ``[rows + 1]``, where each row begins.
        size: number of tags.
    """
    # Rows lie one behind the other, so that neighbours across a border are no pair; nor is what an ignored label parts:
    #
    #     labels   3   4   0 | 1  -1   2 | 5          pairs   3-4  4-0
    #
    # Counting begins at 1: what the data never shows is unlikely and not forbidden, which is for the scheme to say.
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


def _is_tag(tag: str) -> bool:
    position, kind = split_tag(tag)
    return tag == OUTSIDE or (len(position) == 1 and position in "BIMESLU" and bool(kind))


def _entity_tags(scheme: str, length: int, kind: str) -> list[str]:
    begin, inside, end = POSITIONS[scheme][0], POSITIONS[scheme][-1], ""
    if scheme not in _OPEN_ENDED:
        if length == 1:
            return [f"{POSITIONS[scheme][-1]}-{kind}"]
        inside, end = POSITIONS[scheme][1], POSITIONS[scheme][2]
    middle = length - 1 - len(end)
    return [f"{position}-{kind}" for position in begin + inside * middle + end]


def _goes_on(scheme: str, first: str, then: str) -> bool:
    """Whether an entity that is open in ``first`` holds ``then``, too."""
    (before, before_type), (after, after_type) = split_tag(first), split_tag(then)
    if after not in _INSIDE[scheme] or after_type != before_type:
        return False
    return scheme in _OPEN_ENDED or before not in _END[scheme]


@functools.lru_cache(maxsize=65536)
def _may_follow(scheme: str, first: str, then: str) -> bool:
    """Whether ``then`` may stand behind ``first``."""
    position, kind = split_tag(then)
    if scheme == "IO":
        return True
    if scheme == "IOB1":
        return position != "B" or split_tag(first)[1] == kind
    if position in _INSIDE[scheme]:
        return _goes_on(scheme, first, then)
    return first == OUTSIDE or split_tag(first)[0] in _END[scheme]
