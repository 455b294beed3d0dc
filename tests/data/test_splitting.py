"""Parts and folds of examples: each label in each part as often as elsewhere, and equal texts on one side."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, train_test_split

from bertcore.contracts.dataset import Example
from bertcore.contracts.tagging import Span
from bertcore.data.splitting import fold_numbers, groups_of, part_of, strata_of
from bertcore.plugins.registry import Registry

LABELS = st.lists(st.sampled_from("aaabbcd"), min_size=2, max_size=80)
SEEDS = st.integers(0, 1000)


def alone(labels: list[str]) -> np.ndarray:
    return np.arange(len(labels))


@given(labels=LABELS, folds=st.integers(2, 6), seed=SEEDS)
def test_folds_have_the_sizes_of_scikit_learn_for_each_label(labels: list[str], folds: int, seed: int) -> None:
    # StratifiedKFold refuses folds when even the most frequent label has fewer examples.
    if folds > max(Counter(labels).values()):
        return
    numbers = fold_numbers(labels, alone(labels), folds, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            Counter(labels[index] for index in held_out)
            for _, held_out in StratifiedKFold(folds).split(np.zeros(len(labels)), labels)
        ]
    found = [Counter(labels[index] for index in np.flatnonzero(numbers == fold)) for fold in range(folds)]
    assert found == expected


@given(labels=LABELS, data=st.data(), folds=st.integers(2, 5), seed=SEEDS)
def test_a_group_is_in_one_fold_and_sides_are_reproducible(
    labels: list[str], data: st.DataObject, folds: int, seed: int
) -> None:
    keys = data.draw(st.lists(st.integers(0, 30), min_size=len(labels), max_size=len(labels)))
    groups = np.unique(keys, return_inverse=True)[1]
    numbers = fold_numbers(labels, groups, folds, seed)
    assert set(numbers.tolist()) <= set(range(folds))
    assert all(len(set(numbers[groups == group].tolist())) == 1 for group in set(groups.tolist()))
    assert (numbers == fold_numbers(labels, groups, folds, seed)).all()
    sizes = np.bincount(numbers, minlength=folds)
    # No fold is larger than another by more than a group and one example for each label.
    assert sizes.max() - sizes.min() <= np.bincount(groups).max() * len(set(labels)) + len(set(labels))
    chosen = part_of(labels, groups, 0.3, seed)
    assert all(len(set(chosen[groups == group].tolist())) == 1 for group in set(groups.tolist()))


@given(labels=LABELS, fraction=st.floats(0.05, 0.9), seed=SEEDS)
def test_a_part_has_its_share_of_each_label_and_never_all_of_one(labels: list[str], fraction: float, seed: int) -> None:
    chosen = part_of(labels, alone(labels), fraction, seed)
    counts, taken = Counter(labels), Counter(np.array(labels)[chosen].tolist())
    for label, count in counts.items():
        assert taken[label] <= count - 1
        assert taken[label] >= min(int(count * fraction), count - 1)
        assert taken[label] <= count * fraction + len(counts)


def test_a_part_is_as_large_as_scikit_learns() -> None:
    random = np.random.default_rng(3)
    labels = random.choice(list("abc"), size=500, p=[0.6, 0.3, 0.1]).tolist()
    chosen = part_of(labels, alone(labels), 0.15, seed=1)
    _, expected = train_test_split(labels, test_size=0.15, stratify=labels, random_state=0)
    assert chosen.sum() == len(expected)
    found, wanted = Counter(np.array(labels)[chosen].tolist()), Counter(expected)
    assert all(abs(found[label] - wanted[label]) <= 1 for label in wanted)


def test_another_seed_chooses_others() -> None:
    labels = ["a"] * 50 + ["b"] * 50
    parts = {tuple(np.flatnonzero(part_of(labels, alone(labels), 0.2, seed))) for seed in range(5)}
    assert len(parts) == 5
    assert {len(part) for part in parts} == {20}


def example(text: str, label: object) -> Example:
    return Example("1", {"text": text}, label)


def test_what_is_spread_is_the_label_the_rarest_of_several_the_size_of_a_number_or_the_types_of_entities() -> None:
    task = Registry().task
    classes = task("classification")
    assert strata_of(classes, [example("a", "x"), example("b", "y")]) == ["x", "y"]
    several = [example("a", ("often", "rare")), example("b", ("often",)), example("c", ()), example("d", ("often",))]
    assert strata_of(classes, several) == ["rare", "often", None, "often"]
    numbers = [example(str(value), float(value)) for value in np.random.default_rng(0).permutation(100)]
    strata = strata_of(task("regression"), numbers)
    assert Counter(strata) == dict.fromkeys(range(10), 10)
    assert all(stratum == int(one.label) // 10 for stratum, one in zip(strata, numbers, strict=True))
    spans = [
        example("Anna", (Span(0, 4, "PER"), Span(0, 2, "LOC"))),
        example("b", (Span(0, 1, "PER"),)),
        example("", ()),
    ]
    assert strata_of(task("ner"), spans) == ["LOC", "PER", None]


def test_equal_texts_are_a_group_and_questions_one_of_each_context() -> None:
    task = Registry().task
    assert groups_of(task("classification"), [example(text, "x") for text in ("a", "b", "a")]).tolist() == [0, 1, 0]
    questions = [Example(str(number), {"question": str(number), "context": "ab"[number % 2]}) for number in range(4)]
    assert groups_of(task("qa"), questions).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("size", [0, 1])
def test_few_examples(size: int) -> None:
    assert fold_numbers(["a"] * size, np.arange(size), 3, 0).tolist() == [0] * size
    assert not part_of(["a"] * size, np.arange(size), 0.5, 0).any()
