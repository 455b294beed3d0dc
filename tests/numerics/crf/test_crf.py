"""The conditional random field: the reference against all tag sequences one by one, finite differences and
pytorch-crf, and what runs on a CPU against the reference.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torchcrf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcore.contracts.parameters import fit_parameters
from bertcore.contracts.tagging import LegalTransitions, TransitionScores, legal_transitions
from bertcore.errors import ModelError
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import batched, compiled, host, reference
from bertcore.numerics.crf.reference import Scores
from bertcore.numerics.crf.values import RowLosses

if importlib.util.find_spec("bertcore_kernels") is not None:
    from bertcore_kernels import MissingKernelsError
    from bertcore_kernels.library import load, usable_levels

    LEVELS = usable_levels()
else:
    LEVELS = ()

BIO = ("O", "B-X", "I-X", "B-Y", "I-Y")
BMES = ("O", "B-X", "M-X", "E-X", "S-X", "B-Y", "M-Y", "E-Y", "S-Y")


@dataclass
class Implementation:
    """By numpy, or by the kernels for a level of the instruction set."""

    losses: Callable[..., RowLosses]
    decode: Callable[..., Any]


@pytest.fixture(scope="module", params=["numpy", *LEVELS])
def computed_by(request: pytest.FixtureRequest) -> Implementation:
    if request.param == "numpy":
        return Implementation(batched.losses, batched.decode)
    try:
        kernels = load(request.param)
    except MissingKernelsError as error:
        pytest.skip(str(error))
    return Implementation(partial(compiled.losses, kernels), partial(compiled.decode, kernels))


def random_scores(generator: np.random.Generator, size: int, scale: float = 1.0) -> Scores:
    shapes = ((size, size), (size,), (size,))
    return Scores(*((generator.normal(size=shape) * scale).astype(np.float32) for shape in shapes))


def as_float32(scores: Scores) -> TransitionScores:
    return TransitionScores(
        *(np.asarray(part, dtype=np.float32) for part in (scores.start, scores.transitions, scores.end))
    )


def every_sequence(size: int, positions: int, legal: LegalTransitions | None) -> list[tuple[int, ...]]:
    sequences = itertools.product(range(size), repeat=positions)
    return [tags for tags in sequences if reference.is_legal(tags, legal)]


CASES = [(3, 1, None), (4, 4, None), (2, 5, None), (3, 1, "BIO"), (3, 5, "BIO"), (4, 4, "BIO")]


@pytest.fixture(params=CASES, ids=[f"{size} tags, {steps} positions, {scheme}" for size, steps, scheme in CASES])
def small_case(request: pytest.FixtureRequest) -> tuple[Any, Scores, LegalTransitions | None]:
    size, positions, scheme = request.param
    generator = np.random.default_rng(size * positions)
    legal = legal_transitions(BIO[:size], scheme) if scheme else None
    return generator.normal(size=(positions, size)) * 2, random_scores(generator, size), legal


def test_partition_marginals_and_best_path_of_all_sequences(small_case: Any) -> None:
    emissions, scores, legal = small_case
    positions, size = emissions.shape
    sequences = every_sequence(size, positions, legal)
    assert sequences
    values = np.array([reference.path_score(emissions, tags, scores) for tags in sequences])
    total = np.log(np.exp(values).sum())
    assert reference.log_partition(emissions, scores, legal) == pytest.approx(total, rel=1e-12)
    probabilities = np.exp(values - total)
    unary, pairs = np.zeros((positions, size)), np.zeros((positions - 1, size, size))
    for tags, probability in zip(sequences, probabilities, strict=True):
        for position, tag in enumerate(tags):
            unary[position, tag] += probability
            if position:
                pairs[position - 1, tags[position - 1], tag] += probability
    found_unary, found_pairs = reference.marginals(emissions, scores, legal)
    np.testing.assert_allclose(found_unary, unary, atol=1e-12)
    np.testing.assert_allclose(found_pairs, pairs, atol=1e-12)
    best = sequences[int(values.argmax())]
    assert tuple(reference.viterbi(emissions, scores, legal)) == best


def test_the_loss_of_every_gold_sequence_is_the_negative_logarithm_of_its_probability(small_case: Any) -> None:
    """Also of illegal ones, which count beside the legal ones."""
    emissions, scores, legal = small_case
    positions, size = emissions.shape
    legal_values = [reference.path_score(emissions, tags, scores) for tags in every_sequence(size, positions, legal)]
    illegal = 0
    for tags in every_sequence(size, positions, None)[:: max(1, size**positions // 50)]:
        gold = reference.path_score(emissions, tags, scores)
        counted = legal_values
        if not reference.is_legal(tags, legal):
            counted, illegal = [*legal_values, gold], illegal + 1
        expected = np.log(np.exp(counted).sum()) - gold
        assert reference.loss(emissions, tags, scores, legal) == pytest.approx(expected, rel=1e-10)
    assert (illegal > 0) == (legal is not None)


@pytest.mark.parametrize("scheme", ["", "BIO"])
def test_gradients_equal_finite_differences(scheme: str) -> None:
    generator = np.random.default_rng(3)
    legal = legal_transitions(BIO, scheme) if scheme else None
    emissions = generator.normal(size=(6, 5))
    scores = Scores(*(np.asarray(part, np.float64) for part in random_scores(generator, 5)._parts()))
    for tags in ([1, 2, 0, 3, 4, 0], [0, 2, 2, 1, 4, 3], [4]):
        case = emissions[: len(tags)].copy()
        gradients = reference.gradients(case, tags, scores, legal)
        pieces = (
            (case, gradients.emissions),
            (scores.transitions, gradients.transitions),
            (scores.start, gradients.start),
            (scores.end, gradients.end),
        )
        for values, gradient in pieces:
            for index in np.ndindex(values.shape):
                kept, step = values[index], 1e-5
                values[index] = kept + step
                above = reference.loss(case, tags, scores, legal)
                values[index] = kept - step
                below = reference.loss(case, tags, scores, legal)
                values[index] = kept
                assert gradient[index] == pytest.approx((above - below) / (2 * step), abs=1e-8)


def pytorch_crf(scores: TransitionScores) -> torchcrf.CRF:
    oracle = torchcrf.CRF(len(scores.start), batch_first=True).double()
    with torch.no_grad():
        oracle.transitions.copy_(torch.from_numpy(scores.pairs))
        oracle.start_transitions.copy_(torch.from_numpy(scores.start))
        oracle.end_transitions.copy_(torch.from_numpy(scores.end))
    return oracle


@pytest.mark.parametrize("size", [2, 7, 31])
def test_losses_gradients_and_tags_equal_pytorch_crf(computed_by: Implementation, size: int) -> None:
    generator = np.random.default_rng(size)
    lengths = np.array([1, 9, 30, 2, 17, 30])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    inside = torch.from_numpy(np.arange(30) < lengths[:, None])
    emissions = generator.normal(size=(offsets[-1], size)).astype(np.float32) * 2
    tags = generator.integers(0, size, offsets[-1])
    scores = as_float32(random_scores(generator, size))
    oracle = pytorch_crf(scores)
    padded = torch.zeros(6, 30, size, dtype=torch.float64)
    padded[inside] = torch.from_numpy(emissions).double()
    padded_tags = torch.zeros(6, 30, dtype=torch.int64)
    padded_tags[inside] = torch.from_numpy(tags)
    padded.requires_grad_()
    expected = -oracle(padded, padded_tags, inside, reduction="none")
    expected.sum().backward()

    result = computed_by.losses(emissions, tags, offsets, scores)
    np.testing.assert_allclose(result.losses, expected.detach().numpy(), rtol=1e-5)
    pieces = (
        (result.emissions, padded.grad[inside]),
        (result.transitions.sum(0), oracle.transitions.grad),
        (result.start.sum(0), oracle.start_transitions.grad),
        (result.end.sum(0), oracle.end_transitions.grad),
    )
    for found, wanted in pieces:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
    decoded = computed_by.decode(emissions, offsets, scores)
    assert decoded.tolist() == list(itertools.chain(*oracle.decode(padded, inside)))


def assert_equals_reference(
    emissions: Any, tags: Any, lengths: Any, scores: Scores, legal: LegalTransitions | None, computed_by: Implementation
) -> RowLosses:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    result = computed_by.losses(emissions, tags, offsets, as_float32(scores), legal)
    decoded = computed_by.decode(emissions, offsets, as_float32(scores), legal)
    for row in range(len(lengths)):
        own = slice(offsets[row], offsets[row + 1])
        expected = reference.gradients(emissions[own], tags[own], scores, legal)
        loss = reference.loss(emissions[own], tags[own], scores, legal)
        assert result.losses[row] == pytest.approx(loss, rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(result.emissions[own], expected.emissions, atol=1e-5)
        np.testing.assert_allclose(result.transitions[row], expected.transitions, atol=1e-5)
        np.testing.assert_allclose(result.start[row], expected.start, atol=1e-5)
        np.testing.assert_allclose(result.end[row], expected.end, atol=1e-5)
        np.testing.assert_array_equal(decoded[own], reference.viterbi(emissions[own], scores, legal))
    for array in (result.losses, result.emissions, result.transitions, result.start, result.end):
        assert np.isfinite(array).all()
    return result


LENGTHS = [5, 0, 1, 40, 2, 0, 12]


@pytest.mark.parametrize("scheme", ["", "BMES"])
@pytest.mark.parametrize(("emission_scale", "score_scale"), [(3, 1), (1e4, 1), (1, 1e4), (1e4, 1e4), (300, 150)])
def test_any_scores_give_what_the_reference_gives(
    computed_by: Implementation, scheme: str, emission_scale: float, score_scale: float
) -> None:
    """With random gold tags, which a scheme mostly forbids, on rows of mixed lengths, some of them empty."""
    generator = np.random.default_rng(0)
    legal = legal_transitions(BMES, scheme) if scheme else None
    emissions = (generator.normal(size=(sum(LENGTHS), 9)) * emission_scale).astype(np.float32)
    tags = generator.integers(0, 9, sum(LENGTHS))
    scores = random_scores(generator, 9, score_scale)
    result = assert_equals_reference(emissions, tags, LENGTHS, scores, legal, computed_by)
    assert not result.losses[[1, 5]].any()


@pytest.mark.parametrize("wall", [-1e4, -np.inf])
@pytest.mark.parametrize("emission_scale", [1, 1e4])
def test_hard_constraints_as_scores(computed_by: Implementation, wall: float, emission_scale: float) -> None:
    """A wall in the transitions themselves: gold sequences go around it, run into it, and have no way around it."""
    generator = np.random.default_rng(1)
    legal = legal_transitions(BMES, "BMES")
    scores = random_scores(generator, 9)
    walled = Scores(
        np.where(legal.pairs, scores.transitions, wall),
        np.where(legal.start, scores.start, wall),
        np.where(legal.end, scores.end, wall),
    )
    emissions = (generator.normal(size=(15, 9)) * emission_scale).astype(np.float32)
    inside_the_walls = [0, 1, 2, 3, 4, 5, 7]
    random_tags = generator.integers(0, 9, 8)
    tags = np.concatenate([inside_the_walls, random_tags])
    assert_equals_reference(emissions, tags, [7, 8], walled, None, computed_by)
    closed = Scores(np.full((9, 9), wall), scores.start, scores.end)
    assert_equals_reference(emissions, tags, [7, 8], closed, None, computed_by)


def test_where_no_sequence_is_legal(computed_by: Implementation) -> None:
    """One position, and only tags of longer entities: nothing to learn, and a tag all the same."""
    labels = ("B-X", "M-X", "E-X")
    generator = np.random.default_rng(2)
    emissions = generator.normal(size=(4, 3)).astype(np.float32)
    tags, scores = np.array([0, 0, 0, 2]), random_scores(generator, 3)
    result = assert_equals_reference(emissions, tags, [1, 3], scores, legal_transitions(labels, "BMES"), computed_by)
    assert result.losses[0] == 0
    assert not result.emissions[0].any()
    assert result.losses[1] > 0


def test_a_state_that_leads_nowhere_takes_nothing(computed_by: Implementation) -> None:
    """Over 400 positions a tag that cannot end a sequence gathers all the weight; what counts must not underflow."""
    generator = np.random.default_rng(4)
    labels = ("O", "B-X", "M-X")
    emissions = generator.normal(size=(400, 3)).astype(np.float32)
    emissions[:, 2] += 40
    tags = np.zeros(400, dtype=np.int64)
    scores = random_scores(generator, 3)
    result = assert_equals_reference(emissions, tags, [400], scores, legal_transitions(labels, "BMES"), computed_by)
    # Only O can be: B would have to go on with M, and M without end.
    assert result.losses[0] == pytest.approx(0, abs=1e-5)


def test_one_tag_and_no_rows(computed_by: Implementation) -> None:
    generator = np.random.default_rng(5)
    ones = generator.normal(size=(3, 1)).astype(np.float32)
    result = assert_equals_reference(ones, np.zeros(3, int), [3], random_scores(generator, 1), None, computed_by)
    np.testing.assert_allclose(result.losses, 0, atol=1e-6)
    empty = np.zeros((0, 4), dtype=np.float32)
    for lengths in ([], [0], [0, 0]):
        assert_equals_reference(empty, np.zeros(0, dtype=int), lengths, random_scores(generator, 4), None, computed_by)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_handed_on(computed_by: Implementation, value: float) -> None:
    """So that a session notices; only in the row that has it."""
    generator = np.random.default_rng(6)
    emissions = generator.normal(size=(9, 4)).astype(np.float32)
    emissions[2, 1] = value
    tags, offsets = generator.integers(0, 4, 9), np.array([0, 4, 9])
    result = computed_by.losses(emissions, tags, offsets, as_float32(random_scores(generator, 4)))
    assert not np.isfinite(result.losses[0])
    assert np.isfinite(result.losses[1])


def test_a_tag_without_emissions_is_refused() -> None:
    scores = as_float32(random_scores(np.random.default_rng(7), 3))
    for tag in (-100, 3):
        with pytest.raises(ValueError, match="the tags lie from"):
            host.losses(np.zeros((1, 3), np.float32), np.array([tag]), np.array([0, 1]), scores)


def test_a_softmax_on_the_weights_of_a_crf_is_told_to_start_a_new_head() -> None:
    softmax, field = TokenClassification(BIO), TokenClassification(BIO, crf=True)
    weights = {name: np.zeros(spec.shape, np.float32) for name, spec in field.parameter_table(4).items()}
    with pytest.raises(ModelError, match=r"crf\.transitions: unexpected") as caught:
        fit_parameters(softmax.parameter_table(4), weights, encoder="bert.")
    assert "model.new_head=true" in caught.value.remedy


@st.composite
def fields(draw: st.DrawFn) -> tuple[Any, ...]:
    """Rows, some of them empty, of any number of tags, with scores of any size that a scheme or a wall may forbid."""
    size = draw(st.one_of(st.integers(1, 19), st.sampled_from([31, 32, 33])))
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    emissions = generator.normal(size=(sum(lengths), size)) * draw(st.sampled_from([1, 30, 1e4, 1e-40]))
    scores = random_scores(generator, size, draw(st.sampled_from([0, 1, 50, 1e4])))
    forbidden_by = draw(st.sampled_from(["nothing", "a wall", "a scheme"]))  # each counts as the floor, so not both
    if forbidden_by == "a wall":
        scores.transitions[generator.random((size, size)) < 0.3] = draw(st.sampled_from([-np.inf, -1e30, -1e9]))
    legal = None
    if forbidden_by == "a scheme":
        shares = (0.9, 0.7, 0.9)
        shapes = (size, (size, size), size)
        legal = LegalTransitions(
            *(generator.random(shape) < share for shape, share in zip(shapes, shares, strict=True))
        )
    return emissions.astype(np.float32), generator.integers(0, size, sum(lengths)), lengths, scores, legal


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=fields())
def test_any_field_gives_what_the_reference_gives(computed_by: Implementation, field: tuple[Any, ...]) -> None:
    emissions, tags, lengths, scores, legal = field
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    result = computed_by.losses(emissions, tags, offsets, as_float32(scores), legal)
    decoded = computed_by.decode(emissions, offsets, as_float32(scores), legal)
    # Where scores reach 1e9, those of float64 have a step of 1e-7 each, and losses one of float32.
    for row in range(len(lengths)):
        own = slice(offsets[row], offsets[row + 1])
        with np.errstate(invalid="ignore"):
            expected = reference.gradients(emissions[own], tags[own], scores, legal)
            loss = reference.loss(emissions[own], tags[own], scores, legal)
        assert result.losses[row] == pytest.approx(loss, rel=1e-5, abs=2e-5)
        np.testing.assert_allclose(result.emissions[own], expected.emissions, atol=2e-5)
        np.testing.assert_allclose(result.transitions[row], expected.transitions, atol=2e-5)
        np.testing.assert_allclose(result.start[row], expected.start, atol=2e-5)
        np.testing.assert_allclose(result.end[row], expected.end, atol=2e-5)
        np.testing.assert_array_equal(decoded[own], reference.viterbi(emissions[own], scores, legal))


@pytest.mark.skipif(not LEVELS, reason="needs the kernels")
def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from bertcore.contracts.tagging import TransitionScores\n"
        "from bertcore.numerics.crf import host\n"
        "from bertcore.numerics.kernels import find_kernels\n"
        "assert find_kernels()[0] is not None\n"
        "generator = np.random.default_rng(0)\n"
        "lengths = generator.integers(0, 60, 40)\n"
        "offsets = np.concatenate([[0], np.cumsum(lengths)])\n"
        "emissions = generator.normal(size=(offsets[-1], 13)).astype('f4')\n"
        "scores = TransitionScores(*(generator.normal(size=shape).astype('f4') for shape in (13, (13, 13), 13)))\n"
        "result = host.losses(emissions, generator.integers(0, 13, offsets[-1]), offsets, scores)\n"
        "arrays = [*vars(result).values(), host.decode(emissions, offsets, scores)]\n"
        "print(hashlib.sha256(b''.join(array.tobytes() for array in arrays)).hexdigest())\n"
    )
    printed = set()
    for threads in ("1", "2", "3", "4"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert process.returncode == 0, process.stderr
        printed.add(process.stdout)
    assert len(printed) == 1


def test_the_kernels_are_loaded_when_a_loss_is_computed_and_not_before() -> None:
    code = (
        "import sys, numpy as np\n"
        "import bertcore.contracts.head, bertcore.numerics.crf.reference\n"
        "from bertcore.numerics.crf import host\n"
        "from bertcore.contracts.tagging import TransitionScores\n"
        "assert 'bertcore_kernels' not in sys.modules\n"
        "BLOCK\n"
        "scores = TransitionScores(np.zeros(2, 'f4'), np.zeros((2, 2), 'f4'), np.zeros(2, 'f4'))\n"
        "print(host.decode(np.eye(2, dtype='f4'), np.array([0, 2]), scores), end=' ')\n"
        "print(bool(sys.modules.get('bertcore_kernels')))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for block, loaded in (("", str(bool(LEVELS))), ("sys.modules['bertcore_kernels'] = None", "False")):
        process = subprocess.run(
            [sys.executable, "-c", code.replace("BLOCK", block)], capture_output=True, text=True, env=environment
        )
        assert process.stdout.split() == ["[0", "1]", loaded], process.stderr
