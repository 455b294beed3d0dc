"""Entities and tags of every scheme, against seqeval (its mode is named) and against brute force."""

from __future__ import annotations

import functools
import itertools
import operator
import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from bertcore.contracts.tagging import (
    POSITIONS,
    SCHEMES,
    Span,
    check_tag,
    chunks,
    count_merged,
    entity_types,
    find_problems,
    find_scheme,
    legal_transitions,
    scheme_tags,
    spans_to_tags,
    split_tag,
    tags_to_spans,
    transition_scores,
)

TYPES = ("PER", "LOC.NAM", "organization-company")


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities that do not overlap, and the length of their text."""
    spans: list[Span] = []
    position = 0
    for gap, length, kind in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(TYPES)), max_size=8)
    ):
        spans.append(Span(position + gap, position + gap + length, kind))
        position += gap + length
    return spans, position + draw(st.integers(0, 2))


def tag_sequences(scheme: str, types: tuple[str, ...] = TYPES[:2]) -> st.SearchStrategy[list[str]]:
    """Any tags of a scheme, well-formed or not."""
    return st.lists(st.sampled_from(scheme_tags(scheme, types)), max_size=12)


schemes = st.sampled_from(SCHEMES)


@given(texts_with_spans(), schemes)
def test_entities_come_back_from_their_tags(text: tuple[list[Span], int], scheme: str) -> None:
    spans, length = text
    tags = spans_to_tags(spans, length, scheme)
    assert len(tags) == length
    assert set(tags) <= set(scheme_tags(scheme, TYPES))
    assert find_problems(tags, scheme) == []
    found = tags_to_spans(tags, scheme)
    assert len(found) == len(spans) - count_merged(spans, scheme)
    if scheme != "IO":
        assert found == chunks(tags) == spans


def rewritten(tags: list[str], source: str, target: str) -> list[str]:
    return spans_to_tags(tags_to_spans(tags, source), len(tags), target)


@given(texts_with_spans(), schemes, schemes)
def test_another_scheme_loses_what_io_cannot_tell_and_nothing_else(
    text: tuple[list[Span], int], source: str, target: str
) -> None:
    spans, length = text
    tags = spans_to_tags(spans, length, source)
    lost = count_merged(tags_to_spans(tags, source), target)
    found = rewritten(tags, source, target)
    assert len(tags_to_spans(found, target)) == len(tags_to_spans(tags, source)) - lost
    assert lost == 0 or target == "IO"
    assert (rewritten(found, target, source) == tags) == (lost == 0)


def test_other_schemes_by_hand() -> None:
    tags = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC", "I-LOC"]
    assert rewritten(tags, "BIO", "BIOES") == ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "I-LOC", "E-LOC"]
    assert rewritten(tags, "BIO", "BMES") == ["B-PER", "E-PER", "O", "S-LOC", "B-LOC", "M-LOC", "E-LOC"]
    assert rewritten(tags, "BIO", "BILOU") == ["B-PER", "L-PER", "O", "U-LOC", "B-LOC", "I-LOC", "L-LOC"]
    assert rewritten(tags, "BIO", "IOB1") == ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-LOC", "I-LOC"]
    assert rewritten(tags, "BIO", "IO") == ["I-PER", "I-PER", "O", "I-LOC", "I-LOC", "I-LOC", "I-LOC"]
    assert count_merged(tags_to_spans(tags, "BIO"), "IO") == 1


@given(schemes.flatmap(lambda scheme: st.tuples(st.just(scheme), tag_sequences(scheme))))
def test_tags_without_problems_are_those_of_their_entities(drawn: tuple[str, list[str]]) -> None:
    scheme, tags = drawn
    well_formed = spans_to_tags(tags_to_spans(tags, scheme), len(tags), scheme) == tags
    assert well_formed == (find_problems(tags, scheme) == [])


def brute_force(tags: list[str], scheme: str) -> list[Span]:
    """Entities by regular expressions over one letter per tag, type by type."""
    pattern = {
        "BIO": "BI*",
        "BIOES": "BI*E|S",
        "BMES": "BM*E|S",
        "BILOU": "BI*L|U",
        "IO": "I+",
        "IOB1": "I+|(?<=[IB])BI*",
    }[scheme]
    spans = []
    for kind in {tag[2:] for tag in tags} - {""}:
        letters = "".join(tag[0] if tag[2:] == kind else "-" for tag in tags)
        spans += [Span(match.start(), match.end(), kind) for match in re.finditer(pattern, letters)]
    return sorted(spans)


@given(schemes.flatmap(lambda scheme: st.tuples(st.just(scheme), tag_sequences(scheme))))
def test_strict_entities_are_those_of_brute_force(drawn: tuple[str, list[str]]) -> None:
    scheme, tags = drawn
    assert tags_to_spans(tags, scheme) == brute_force(tags, scheme)


SEQEVAL = {"BIO": IOB2, "BIOES": IOBES, "BMES": IOBES, "BILOU": BILOU}


@given(st.sampled_from(sorted(SEQEVAL)).flatmap(lambda s: st.tuples(st.just(s), tag_sequences(s))))
def test_strict_entities_are_those_of_seqeval_in_strict_mode(drawn: tuple[str, list[str]]) -> None:
    scheme, tags = drawn
    theirs = [re.sub("^M-", "I-", tag) for tag in tags]  # seqeval knows BMES as IOBES alone
    (entities,) = Entities([theirs], scheme=SEQEVAL[scheme]).entities
    assert tags_to_spans(tags, scheme) == [Span(entity.start, entity.end, entity.tag) for entity in entities]


@given(tag_sequences("IOB1"))
def test_well_formed_entities_of_iob1_are_those_of_seqeval_in_strict_mode(tags: list[str]) -> None:
    assume(not find_problems(tags, "IOB1"))
    (entities,) = Entities([tags], scheme=IOB1).entities
    assert tags_to_spans(tags, "IOB1") == [Span(entity.start, entity.end, entity.tag) for entity in entities]


LIKE_SEQEVAL = {"M": "I", "L": "E", "U": "S"}


@given(schemes.flatmap(tag_sequences))
def test_chunks_are_those_of_seqeval_in_default_mode(tags: list[str]) -> None:
    theirs = [LIKE_SEQEVAL.get(tag[0], tag[0]) + tag[1:] for tag in tags]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [Span(start, last + 1, kind) for kind, start, last in get_entities(theirs)]
    assert chunks(tags) == expected


def test_conlleval_reads_what_strict_scores_refuse() -> None:
    tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER"]
    assert tags_to_spans(tags, "BIO") == [Span(3, 4, "LOC")]
    assert chunks(tags) == [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(4, 5, "PER")]


@pytest.mark.parametrize(
    ("scheme", "tags", "index", "cause"),
    [
        ("BIO", "O I-PER", 1, "'I-PER' without a B-PER"),
        ("BIO", "B-LOC I-PER", 1, "'I-PER' without a B-PER"),
        ("BMES", "O E-PER", 1, "'E-PER' without a B-PER"),
        ("BMES", "B-PER M-PER O", 1, "'M-PER' needs E-PER after it, but the text goes on with 'O'"),
        ("BIOES", "O B-PER", 1, "'B-PER' needs E-PER after it, but the text ends"),
        ("BILOU", "B-PER U-LOC", 0, "'B-PER' needs L-PER after it, but the text goes on with 'U-LOC'"),
        ("BILOU", "O L-PER", 1, "'L-PER' without a B-PER"),
        ("IOB1", "O B-PER", 1, "'B-PER', which in IOB1 stands behind another PER alone"),
    ],
)
def test_problems_have_a_place_and_a_cause(scheme: str, tags: str, index: int, cause: str) -> None:
    (problem,) = find_problems(tags.split(), scheme)
    assert problem.index == index
    assert cause in problem.cause


def test_tags_outside_the_scheme() -> None:
    assert check_tag("O", "BIO") is check_tag("B-a-b", "BIO") is None
    assert "not one of BIO, whose positions are B, I" in str(check_tag("E-PER", "BIO"))
    for tag in ("", "B", "B-", "PER", "b-PER", "-PER", "B_PER", "o"):
        assert "neither O nor" in str(check_tag(tag, "BIO")), tag


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_complete_tags_is_found(scheme: str) -> None:
    labels = scheme_tags(scheme, TYPES)
    assert find_scheme(labels) == ("BIO" if scheme == "IOB1" else scheme)  # the same tags, which mean something else
    assert entity_types(labels) == TYPES
    assert len(labels) == 1 + len(TYPES) * len(POSITIONS[scheme])


def test_labels_that_are_no_tags_have_no_scheme() -> None:
    for labels in (["PER", "LOC"], ["O", "B-X", "M-X", "I-X"], ["B-X", "L-X", "S-X"], ["LABEL_0", "LABEL_1"]):
        with pytest.raises(ValueError, match="one scheme"):
            find_scheme(labels)


@pytest.mark.parametrize("spans", [[Span(0, 0, "A")], [Span(-1, 1, "A")], [Span(2, 4, "A")], [Span(0, 2, "A")] * 2])
def test_spans_must_lie_apart_and_inside(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match=r"empty|leaves|across"):
        spans_to_tags(spans, 3, "BIO")


# What a scheme allows, and how often it occurs


@pytest.mark.parametrize(
    ("scheme", "legal", "illegal"),
    [
        ("BIO", ["O B-PER I-PER I-PER O", "B-PER B-PER B-LOC I-LOC"], ["O I-PER", "B-PER I-LOC", "I-PER"]),
        ("BIOES", ["O S-PER B-LOC E-LOC", "B-PER I-PER E-PER"], ["B-PER O", "B-PER", "S-PER E-PER", "B-PER E-LOC"]),
        ("BMES", ["S-PER B-LOC M-LOC E-LOC O"], ["M-PER E-PER", "B-PER B-PER E-PER", "O E-LOC", "B-LOC M-LOC"]),
        ("BILOU", ["U-PER B-LOC I-LOC L-LOC O"], ["B-PER O", "U-PER L-PER", "I-PER L-PER", "B-PER L-LOC"]),
        ("IOB1", ["I-PER I-PER B-PER B-PER I-PER I-LOC"], ["B-PER", "O B-PER", "I-PER B-LOC"]),
        ("IO", ["I-PER I-LOC O I-PER"], []),
    ],
)
def test_the_scheme_says_what_may_follow(scheme: str, legal: list[str], illegal: list[str]) -> None:
    labels = scheme_tags(scheme, ("PER", "LOC"))
    allowed = legal_transitions(labels, scheme)

    def is_legal(text: str) -> bool:
        tags = [labels.index(tag) for tag in text.split()]
        inner = all(allowed.pairs[first, then] for first, then in itertools.pairwise(tags))
        return bool(allowed.start[tags[0]] and allowed.end[tags[-1]] and inner)

    assert [is_legal(text) for text in legal] == [True] * len(legal)
    assert [is_legal(text) for text in illegal] == [False] * len(illegal)


def test_without_a_scheme_everything_is_allowed() -> None:
    allowed = legal_transitions(["O", "I-PER"], "")
    assert allowed.start.all()
    assert allowed.pairs.all()
    assert allowed.end.all()
    with pytest.raises(ValueError, match="BIOLU"):
        legal_transitions(["O"], "BIOLU")


def test_every_scheme_allows_to_stay_outside() -> None:
    for scheme in SCHEMES:
        allowed = legal_transitions(scheme_tags(scheme, TYPES), scheme)
        assert allowed.start[0]
        assert allowed.pairs[0, 0]
        assert allowed.end[0]


def test_scores_are_logarithms_of_frequencies_that_stay_inside_of_rows() -> None:
    rows = [[0, 1, 1], [], [1, -100, 0, 1], [0]]
    offsets = np.cumsum([0, *map(len, rows)])
    scores = transition_scores(np.array(functools.reduce(operator.iadd, rows, []), dtype=np.int64), offsets, 2)
    np.testing.assert_allclose(np.exp(scores.start), [3 / 5, 2 / 5], rtol=1e-6)
    np.testing.assert_allclose(np.exp(scores.end), [2 / 5, 3 / 5], rtol=1e-6)
    np.testing.assert_allclose(np.exp(scores.pairs), [[1 / 4, 3 / 4], [1 / 3, 2 / 3]], rtol=1e-6)


def test_a_tag_has_a_position_and_a_type() -> None:
    assert split_tag("B-organization-company") == ("B", "organization-company")
    assert split_tag("O") == ("O", "")
