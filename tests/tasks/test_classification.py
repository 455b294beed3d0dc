"""Scores and predictions of a classification against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from bertcore_tasks.classification import ClassificationAccumulator, softmax
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.batch import from_rows
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Evaluation
from bertcore.errors import Origin

LABELS = ("negative", "neutral", "positive")


def judge(gold: list[int], logits: np.ndarray) -> Evaluation:
    examples = [
        Example(str(number), {"text": f"text {number}"}, LABELS[label], Origin("dev.tsv", number + 2))
        for number, label in enumerate(gold)
    ]
    accumulator = ClassificationAccumulator(examples, LABELS)
    rows = [[1]] * len(gold)
    batch = from_rows(rows, rows)
    order = np.random.default_rng(0).permutation(len(gold))  # rows come in any order
    for part in np.array_split(order, 3):
        accumulator.add(batch.select(part), {"logits": logits[part]})
    return accumulator.result()


@given(gold=st.lists(st.integers(0, 2), min_size=1, max_size=50), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_scores_equal_those_of_scikit_learn(gold: list[int], seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    dummy = pytest.importorskip("sklearn.dummy")
    logits = np.random.default_rng(seed).normal(0, 2, (len(gold), 3)).astype(np.float32)
    predicted = logits.argmax(axis=1)
    result = judge(gold, logits)
    accuracy = sklearn.accuracy_score(gold, predicted)
    assert result.metrics == {"accuracy": pytest.approx(accuracy)}
    correct = sklearn.accuracy_score(gold, predicted, normalize=False)
    assert result.summary == f"acc_num {correct:.0f}, total_num {len(gold)}, accuracy {accuracy:.6f}"
    majority = dummy.DummyClassifier(strategy="most_frequent").fit(gold, gold).score(gold, gold)
    assert result.baseline == {"accuracy": pytest.approx(majority)}
    assert result.confusion is not None
    assert result.confusion[0] == LABELS
    np.testing.assert_array_equal(result.confusion[1], sklearn.confusion_matrix(gold, predicted, labels=[0, 1, 2]))


def test_the_worst_errors_come_first_and_are_at_most_twenty() -> None:
    logits = np.zeros((40, 3), dtype=np.float32)
    logits[:, 1] = np.linspace(1, 5, 40)
    result = judge([0] * 30 + [1] * 10, logits)
    assert len(result.errors) == 20
    assert [error["id"] for error in result.errors[:3]] == ["29", "28", "27"]
    first = result.errors[0]
    expected = np.exp(logits[29]) / np.exp(logits[29]).sum()
    assert first == {
        "id": "29",
        "origin": "dev.tsv:31",
        "label": "negative",
        "prediction": "neutral",
        "probability": pytest.approx(expected[1], abs=1e-4),
        "text": "text 29",
    }


@given(
    logits=st.lists(
        st.lists(st.floats(-1000, 1000, width=32), min_size=3, max_size=3),
        max_size=10,
    )
)
@settings(deadline=None)
def test_softmax_equals_that_of_scipy(logits: list[list[float]]) -> None:
    special = pytest.importorskip("scipy.special")
    values = np.array(logits, dtype=np.float32).reshape(-1, 3)
    np.testing.assert_allclose(softmax(values), special.softmax(values.astype(np.float64), axis=-1), atol=1e-12)
