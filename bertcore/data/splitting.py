"""Dividing examples into parts: one for evaluation, or folds, each with the same share of every label.

Examples of one group, as those of equal texts, stay together, so that no example is evaluated on a text that was
trained on. Where every group is one example, the folds have for each label the sizes that scikit-learn's
``StratifiedKFold`` gives.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Task

BINS = 10
"""Parts of equal size in which numbers are sorted, so that each side has small and large ones."""


def strata_of(task: Task, examples: Sequence[Example]) -> list[Hashable]:
    """What is to be spread evenly: the label of each example, the rarest of several, or how large a number is."""
    labels = [example.label for example in examples]
    if labels and all(isinstance(label, Real) and not isinstance(label, bool) for label in labels):
        # argsort of an argsort is the rank. Bins of equal counts, not of equal width: scores cluster.
        ranks = np.argsort(np.argsort(np.array(labels, dtype=np.float64), kind="stable"), kind="stable")
        return (ranks * min(BINS, len(labels)) // len(labels)).tolist()  # type: ignore[no-any-return]
    traits = [task.traits(example) for example in examples]
    counts = Counter(trait for of_example in traits for trait in of_example)
    # The rarest decides: a frequent label comes to both sides by itself, and a rare one only where it is dealt out.
    return [min(of_example, key=lambda trait: (counts[trait], trait), default=None) for of_example in traits]


def groups_of(task: Task, examples: Sequence[Example]) -> NDArray[np.int64]:
    """The number of each example's group, int64 ``[examples]``, from 0 in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(task.group(example), len(numbers)) for example in examples], dtype=np.int64)


def fold_numbers(strata: Sequence[Hashable], groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Gives each example the number of its fold, from 0.

    Args:
        strata: of each example; a group is spread by that of its first example.
        groups: of each example.
        folds: how many.
        seed: of the order in which examples of one stratum are dealt out.

    Returns:
        int64 ``[examples]``.
    """
    fold_of_group = np.zeros(int(groups.max(initial=-1)) + 1, dtype=np.int64)
    sizes = np.bincount(groups, minlength=len(fold_of_group))
    totals = [0] * folds
    for own_groups in _shuffled_groups(strata, groups, sizes, seed):
        counts = [0] * folds
        for group in own_groups:
            fold = min(range(folds), key=lambda number: (counts[number], totals[number], number))
            counts[fold] += int(sizes[group])
            totals[fold] += int(sizes[group])
            fold_of_group[group] = fold
    return fold_of_group[groups]


def part_of(strata: Sequence[Hashable], groups: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Chooses a part of the examples.

    Each stratum gives its share, as far as whole groups make it up, and keeps at least one example on the other side.

    Args:
        strata: of each example; a group is chosen by that of its first example.
        groups: of each example.
        fraction: of all examples, above 0 and below 1.
        seed: of the choice.

    Returns:
        bool ``[examples]``.
    """
    sizes = np.bincount(groups)
    by_stratum = _shuffled_groups(strata, groups, sizes, seed)
    totals = [int(sizes[own].sum()) for own in by_stratum]
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    for own_groups, wanted in zip(by_stratum, _shares(totals, fraction), strict=True):
        for group in own_groups:
            if sizes[group] <= wanted:
                chosen[group] = True
                wanted -= int(sizes[group])
    return chosen[groups]


def _shares(totals: Sequence[int], fraction: float) -> list[int]:
    """Largest remainders: whole numbers that sum to the fraction of all, none of them a stratum as a whole."""
    exact = [total * fraction for total in totals]
    shares = [min(math.floor(share), total - 1) for share, total in zip(exact, totals, strict=True)]
    missing = max(round(sum(exact)), 1) - sum(shares)
    for index in sorted(range(len(totals)), key=lambda index: shares[index] - exact[index]):
        if missing > 0 and shares[index] + 1 < totals[index]:
            shares[index] += 1
            missing -= 1
    return shares


def _shuffled_groups(
    strata: Sequence[Hashable], groups: NDArray[np.int64], sizes: NDArray[np.int64], seed: int
) -> list[NDArray[np.int64]]:
    """The groups of each stratum, strata in the order of first appearance, the largest groups first."""
    _, first_examples = np.unique(groups, return_index=True)
    by_stratum: dict[Hashable, list[int]] = {stratum: [] for stratum in strata}
    for group, example in enumerate(first_examples.tolist()):
        by_stratum[strata[example]].append(group)
    # As one packs boxes: what is large has to be placed first, and what is small then evens out the sides. The shuffle
    # decides among groups of one size, and these are most: nearly every group is one example.
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(np.array(own, dtype=np.int64)) for own in by_stratum.values() if own]
    return [own[np.argsort(-sizes[own], kind="stable")] for own in shuffled]
