"""The scores against scikit-learn and scipy, and where these have none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bertcore_tasks import metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

sklearn = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")

# Two lists of the same length, with few different values, so that ties and constant lists are common.
PAIRS = st.integers(1, 40).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 3), min_size=size, max_size=size)] * 2)
)
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 1.0, 2.5])
NUMBER_PAIRS = st.integers(1, 40).flatmap(
    lambda size: st.tuples(*[st.lists(NUMBERS, min_size=size, max_size=size)] * 2)
)
LABEL_SETS = st.tuples(st.integers(1, 20), st.integers(1, 4), st.integers(0, 2**32 - 1))
fast = settings(deadline=None, max_examples=60)


def arrays(pair: tuple[list[int], list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(pair[0], dtype=np.int64), np.array(pair[1], dtype=np.int64)


@fast
@given(PAIRS)
def test_scores_of_classes_equal_those_of_scikit_learn(pair: tuple[list[int], list[int]]) -> None:
    gold, predicted = arrays(pair)
    assert metrics.accuracy(gold, predicted) == pytest.approx(sklearn.accuracy_score(gold, predicted))
    assert metrics.matthews(gold, predicted) == pytest.approx(sklearn.matthews_corrcoef(gold, predicted), abs=1e-12)
    macro = sklearn.f1_score(gold, predicted, average="macro", zero_division=0)
    assert metrics.macro_f1(gold, predicted) == pytest.approx(macro)
    micro = sklearn.f1_score(gold, predicted, average="micro", zero_division=0)
    assert metrics.CLASSIFICATION["micro_f1"](gold, predicted) == pytest.approx(micro)
    gold, predicted = gold % 2, predicted % 2
    expected = sklearn.f1_score(gold, predicted, labels=[0, 1], zero_division=0)
    assert metrics.f1(gold, predicted) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0, 1])
def test_constant_predictions_have_no_correlation_and_no_failure(value: int) -> None:
    gold = np.array([0, 1, 1, 0, 1])
    constant = np.full(5, value)
    assert metrics.matthews(gold, constant) == 0.0
    assert metrics.matthews(constant, gold) == 0.0
    assert metrics.pearson(gold.astype(float), constant.astype(float)) == 0.0
    assert metrics.spearman(constant.astype(float), gold.astype(float)) == 0.0
    assert metrics.f1(gold, np.zeros(5, dtype=int)) == 0.0
    assert metrics.f1(np.zeros(5, dtype=int), np.zeros(5, dtype=int)) == 0.0


def test_matthews_of_a_split_as_large_as_qqp_does_not_overflow() -> None:
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 2, 400_000)
    predicted = np.where(generator.random(400_000) < 0.8, gold, 1 - gold)
    assert metrics.matthews(gold, predicted) == pytest.approx(sklearn.matthews_corrcoef(gold, predicted), abs=1e-9)


@fast
@given(NUMBER_PAIRS)
def test_correlations_and_distances_equal_those_of_scipy(pair: tuple[list[float], list[float]]) -> None:
    gold, predicted = np.array(pair[0]), np.array(pair[1])
    assert_allclose(metrics.mean_squared_error(gold, predicted), sklearn.mean_squared_error(gold, predicted))
    assert_allclose(metrics.mean_absolute_error(gold, predicted), sklearn.mean_absolute_error(gold, predicted))
    if len(gold) < 2 or min(np.ptp(gold), np.ptp(predicted)) == 0:
        assert metrics.pearson(gold, predicted) == metrics.spearman(gold, predicted) == 0.0
        return
    assert metrics.spearman(gold, predicted) == pytest.approx(stats.spearmanr(gold, predicted).statistic, abs=1e-9)
    if min(np.ptp(values) / np.abs(values).max() for values in (gold, predicted)) > 1e-6:
        assert metrics.pearson(gold, predicted) == pytest.approx(stats.pearsonr(gold, predicted).statistic, abs=1e-6)


def test_spearman_gives_equal_values_the_mean_of_their_ranks() -> None:
    gold = np.array([5.0, 3.8, 3.8, 0.0, 2.6, 3.8, 5.0, 1.0])
    predicted = np.array([4.0, 4.0, 1.0, 0.5, 0.5, 3.0, 2.0, 4.0])
    assert metrics.spearman(gold, predicted) == pytest.approx(stats.spearmanr(gold, predicted).statistic)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_correlations_of_very_small_and_large_numbers(scale: float) -> None:
    gold, predicted = np.array([1.0, 2.0, 4.0, 3.0]), np.array([2.0, 1.0, 5.0, 3.0])
    expected = stats.pearsonr(gold, predicted).statistic
    assert metrics.pearson(gold * scale, predicted * scale) == pytest.approx(expected)


def test_a_prediction_that_is_no_number_is_not_hidden() -> None:
    gold, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.0, math.nan, 3.0])
    assert all(math.isnan(score(gold, predicted)) for score in metrics.REGRESSION.values())


def test_no_examples_have_no_score() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert all(math.isnan(score(nothing, nothing)) for score in metrics.CLASSIFICATION.values())
    assert all(math.isnan(score(nothing.astype(float), nothing.astype(float))) for score in metrics.REGRESSION.values())


@fast
@given(LABEL_SETS)
def test_scores_of_label_sets_equal_those_of_scikit_learn(case: tuple[int, int, int]) -> None:
    examples, labels, seed = case
    generator = np.random.default_rng(seed)
    gold, predicted = generator.random((2, examples, labels)) < generator.random()
    two = [np.pad(values, ((0, 0), (0, 1))).astype(int) for values in (gold, predicted)]  # never a single column
    micro = sklearn.f1_score(*two, average="micro", zero_division=0)
    assert metrics.multi_label_micro_f1(gold, predicted) == pytest.approx(micro)
    macro = sklearn.f1_score(*two, average="macro", zero_division=0) * (labels + 1) / labels
    assert metrics.multi_label_macro_f1(gold, predicted) == pytest.approx(macro)


@fast
@given(LABEL_SETS, st.booleans())
def test_no_threshold_is_better_than_the_one_chosen(case: tuple[int, int, int], coarse: bool) -> None:
    examples, labels, seed = case
    generator = np.random.default_rng(seed)
    gold = generator.random((examples, labels)) < 0.4
    probabilities = generator.random((examples, labels))
    if coarse:  # ties
        probabilities = np.round(probabilities, 1)
    threshold = metrics.best_threshold(gold, probabilities)
    found = metrics.multi_label_micro_f1(gold, probabilities >= threshold)
    every = [0.0, 0.5, 2.0, *itertools.chain(*probabilities)]
    best = max(metrics.multi_label_micro_f1(gold, probabilities >= other) for other in every)
    assert found == pytest.approx(best)
    if metrics.multi_label_micro_f1(gold, probabilities >= 0.5) == best:
        assert threshold == 0.5, "what is usual stays, unless something is better"


def test_a_threshold_lies_between_what_it_tells_apart() -> None:
    gold = np.array([[True], [True], [False]])
    assert metrics.best_threshold(gold, np.array([[0.3], [0.2], [0.1]])) == pytest.approx(0.15)
    assert metrics.best_threshold(~gold & False, np.array([[0.3], [0.2], [0.1]])) == 0.5
