"""Scores of single classes and labels against scikit-learn, and what is said of a model that gives one answer only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from bertcore_tasks.classification import evaluate_labels
from bertcore_tasks.multi_label import evaluate_label_sets
from bertcore_tasks.regression import evaluate_numbers
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Evaluation

LABELS = ("a", "b", "c", "d")


def examples_with(labels: list[Any]) -> list[Example]:
    return [Example(str(number), {"text": "x"}, label) for number, label in enumerate(labels)]


def rows(per_class: dict[str, ClassScore]) -> list[list[float]]:
    return [[score.precision, score.recall, score.f1, score.support] for score in per_class.values()]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_each_class_is_scored_as_scikit_learn_does(pairs: list[tuple[int, int]]) -> None:
    gold, predicted = (np.array(values) for values in zip(*pairs, strict=True))
    evaluation = evaluate_labels(examples_with([LABELS[one] for one in gold]), LABELS, predicted, ("accuracy",))
    theirs = sklearn.metrics.precision_recall_fscore_support(gold, predicted, labels=range(4), zero_division=0)
    assert tuple(evaluation.per_class) == LABELS
    np.testing.assert_allclose(rows(dict(evaluation.per_class)), np.transpose(theirs), atol=1e-12)
    assert [score.predicted for score in evaluation.per_class.values()] == np.bincount(predicted, minlength=4).tolist()


@given(st.lists(st.tuples(*[st.booleans()] * 6), min_size=1, max_size=20))
def test_each_of_several_labels_is_scored_as_scikit_learn_does(drawn: list[tuple[bool, ...]]) -> None:
    table = np.array(drawn)
    gold, predicted = table[:, :3], table[:, 3:]
    names = [tuple(label for label, given in zip(LABELS[:3], row, strict=True) if given) for row in gold]
    evaluation = evaluate_label_sets(examples_with(names), LABELS[:3], predicted)
    theirs = sklearn.metrics.precision_recall_fscore_support(gold, predicted, average=None, zero_division=0)
    np.testing.assert_allclose(rows(dict(evaluation.per_class)), np.transpose(theirs), atol=1e-12)


def notes_of(gold: list[str], predicted: list[int]) -> tuple[str, ...]:
    return evaluate_labels(examples_with(list(gold)), LABELS, np.array(predicted), ("accuracy",)).notes


def test_one_class_for_all_examples_is_said() -> None:
    assert notes_of(["a", "b", "b"], [1, 1, 1]) == ("all 3 examples are predicted as 'b'",)
    assert notes_of(["a", "b", "b"], [1, 1, 0]) == ()
    assert notes_of(["b", "b", "b"], [1, 1, 1]) == (), "they are all alike"


def label_set_notes(gold: list[tuple[str, ...]], predicted: list[list[bool]]) -> tuple[str, ...]:
    return evaluate_label_sets(examples_with(gold), LABELS[:2], np.array(predicted)).notes


def test_one_set_of_labels_for_all_examples_is_said() -> None:
    assert label_set_notes([("a",), ()], [[True, True]] * 2) == ("all 2 examples get 'a', 'b'",)
    assert label_set_notes([("a",), ()], [[False, False]] * 2) == ("all 2 examples get no label",)
    assert label_set_notes([("a",), ()], [[True, False], [False, False]]) == ()
    assert label_set_notes([(), ()], [[True, False]] * 2) == (), "they are all alike"


def number_evaluation(predicted: list[float]) -> Evaluation:
    return evaluate_numbers(examples_with([0.0, 2.5, 5.0]), np.array(predicted), ("pearson",))


@pytest.mark.parametrize("predicted", [[2.5, 2.5, 2.5], [2.5, 2.501, 2.499]])
def test_one_number_for_all_examples_is_said(predicted: list[float]) -> None:
    assert number_evaluation(predicted).notes == ("all 3 examples get the same number, 2.5",)


def test_different_numbers_are_nothing_to_say() -> None:
    assert number_evaluation([2.4, 2.5, 2.6]).notes == ()
    assert number_evaluation([2.5, float("nan"), 2.5]).notes == ()
