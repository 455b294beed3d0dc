from __future__ import annotations

import functools
import itertools
import operator

import numpy as np
import pytest

from bertcore.tagging import SCHEMES, legal_transitions, split_tag, transition_scores


def labels_of(scheme: str) -> list[str]:
    positions = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES", "IO": "I"}[scheme]
    return ["O", *(f"{position}-{kind}" for kind in ("PER", "LOC") for position in positions)]


@pytest.mark.parametrize(
    ("scheme", "legal", "illegal"),
    [
        ("BIO", ["O B-PER I-PER I-PER O", "B-PER B-PER B-LOC I-LOC"], ["O I-PER", "B-PER I-LOC", "I-PER"]),
        ("BIOES", ["O S-PER B-LOC E-LOC", "B-PER I-PER E-PER"], ["B-PER O", "B-PER", "S-PER E-PER", "B-PER E-LOC"]),
        ("BMES", ["S-PER B-LOC M-LOC E-LOC O"], ["M-PER E-PER", "B-PER B-PER E-PER", "O E-LOC", "B-LOC M-LOC"]),
        ("IO", ["I-PER I-LOC O I-PER"], []),
    ],
)
def test_the_scheme_says_what_may_follow(scheme: str, legal: list[str], illegal: list[str]) -> None:
    labels = labels_of(scheme)
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
    with pytest.raises(ValueError, match="BILOU"):
        legal_transitions(["O"], "BILOU")


def test_every_scheme_allows_to_stay_outside() -> None:
    for scheme in SCHEMES:
        allowed = legal_transitions(labels_of(scheme), scheme)
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
