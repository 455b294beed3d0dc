"""How probable decoded tags are, against the sum over all tag sequences, one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.tagging import LegalTransitions, TransitionScores, legal_transitions
from bertcore.numerics.crf import path, reference
from bertcore.numerics.crf.path import path_log_probabilities
from bertcore.numerics.crf.reference import Scores

LABELS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def single(scores: Scores) -> TransitionScores:
    return TransitionScores(*(np.asarray(one, np.float32) for one in (scores.start, scores.transitions, scores.end)))


def of_stretch(
    emissions: np.ndarray, scores: Scores, legal: LegalTransitions | None, tags: tuple[int, ...], start: int, end: int
) -> float:
    """The part of all sequences' weight that has these tags from ``start`` to ``end``."""
    weights = {
        sequence: math.exp(reference.path_score(emissions, sequence, scores))
        for sequence in itertools.product(range(emissions.shape[1]), repeat=len(emissions))
        if reference.is_legal(sequence, legal)
    }
    agreeing = (weight for sequence, weight in weights.items() if sequence[start:end] == tags[start:end])
    return sum(agreeing) / sum(weights.values())


@settings(max_examples=40, deadline=None)  # enumerating takes long on a busy machine
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans())
def test_any_stretch_of_tags_is_as_probable_as_enumeration_says(
    seed: int, size: int, lengths: list[int], is_restricted: bool
) -> None:
    generator = np.random.default_rng(seed)
    scale = generator.choice([0.3, 2.0, 6.0])
    scores = Scores(
        *((generator.normal(size=shape) * scale).astype(np.float32) for shape in ((size, size), size, size))
    )
    legal = legal_transitions(LABELS[:size], "BIO") if is_restricted else None
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    emissions = (generator.normal(size=(offsets[-1], size)) * scale).astype(np.float32)
    rows = [emissions[first:behind] for first, behind in itertools.pairwise(offsets)]
    paths = [tuple(reference.viterbi(row, scores, legal).tolist()) for row in rows]
    found = path_log_probabilities(
        emissions, np.array(list(itertools.chain(*paths)), dtype=np.int32), offsets, single(scores), legal
    )
    for row, tags, first in zip(rows, paths, offsets[:-1], strict=True):
        for start, end in itertools.combinations(range(len(tags) + 1), 2):
            logs = found.alone[first + start], *found.onward[first + start + 1 : first + end]
            expected = of_stretch(row, scores, legal, tags, start, end)
            assert math.exp(sum(logs)) == pytest.approx(expected, rel=1e-9)


def test_tags_that_were_not_decoded_have_their_probability_too() -> None:
    generator = np.random.default_rng(3)
    scores = Scores(*(generator.normal(size=shape).astype(np.float32) for shape in ((3, 3), 3, 3)))
    emissions = generator.normal(size=(4, 3)).astype(np.float32)
    legal = legal_transitions(LABELS[:3], "BIO")
    for tags in itertools.product(range(3), repeat=4):
        found = path_log_probabilities(emissions, np.array(tags), np.array([0, 4]), single(scores), legal)
        with np.errstate(invalid="ignore"):
            probability = np.exp(found.alone[0] + found.onward[1:].sum())
        expected = of_stretch(emissions, scores, legal, tags, 0, 4)
        assert (probability if reference.is_legal(tags, legal) else 0.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spread", [1.0, 50.0, 3000.0])
def test_both_ways_to_compute_agree_with_the_reference_on_long_rows(
    spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emissions far beyond what exponentials hold, hard constraints, rows of all lengths and several chunks."""
    generator = np.random.default_rng(7)
    lengths = [200, 0, 1, 57, 3, 120]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    scores = Scores(*(generator.normal(size=shape).astype(np.float32) for shape in ((5, 5), 5, 5)))
    scores.transitions[1, 3] = -np.inf
    emissions = (generator.normal(size=(offsets[-1], 5)) * spread).astype(np.float32)
    legal = legal_transitions(LABELS, "BIO")
    rows = list(itertools.pairwise(offsets.tolist()))
    tags = np.concatenate([reference.viterbi(emissions[first:behind], scores, legal) for first, behind in rows])
    monkeypatch.setattr(path, "POSITIONS_AT_ONCE", 300)
    found = path_log_probabilities(emissions, tags, offsets, single(scores), legal)
    for first, behind in rows:
        if first == behind:
            continue
        unary, pairs = reference.marginals(emissions[first:behind], scores, legal)
        own = tags[first:behind]
        places = np.arange(len(own))
        alone = unary[places, own]
        np.testing.assert_allclose(np.exp(found.alone[first:behind]), alone, rtol=1e-7, atol=1e-12)
        onward = pairs[places[:-1], own[:-1], own[1:]] / alone[:-1]
        np.testing.assert_allclose(np.exp(found.onward[first + 1 : behind]), onward, rtol=1e-6, atol=1e-12)


def test_no_positions_and_no_numbers() -> None:
    scores = TransitionScores(*(np.zeros(shape, np.float32) for shape in (2, (2, 2), 2)))
    empty = path_log_probabilities(np.zeros((0, 2), np.float32), np.zeros(0, int), np.array([0, 0]), scores)
    assert len(empty.alone) == len(empty.onward) == 0
    diverged = path_log_probabilities(np.full((2, 2), np.nan, np.float32), np.zeros(2, int), np.array([0, 2]), scores)
    assert np.isnan(diverged.alone).all()
