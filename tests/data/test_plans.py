"""Batch plans: every row once, pure functions of the seed, and short batches of like rows where asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertcore.data.plans import GROUPED_BATCHES, plan_prediction, plan_ranks, plan_training

LENGTHS = st.lists(st.integers(1, 512), max_size=300).map(lambda values: np.array(values, dtype=np.int64))
SIZES = st.integers(1, 40)
SEEDS = st.integers(0, 2**63 - 1)


def as_lists(plan: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in plan]


@given(lengths=LENGTHS, batch_size=SIZES, seed=SEEDS, epoch=st.integers(0, 99), grouped=st.booleans())
def test_training_takes_every_row_once(lengths, batch_size, seed, epoch, grouped):
    plan = plan_training(lengths, batch_size, seed=seed, epoch=epoch, group_by_length=grouped)
    assert sorted(np.concatenate([*plan, []]).tolist()) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in plan)
    assert len(plan) == -(-len(lengths) // batch_size), "no more batches than needed: at most one is smaller"
    again = plan_training(lengths, batch_size, seed=seed, epoch=epoch, group_by_length=grouped)
    assert as_lists(again) == as_lists(plan)


@given(lengths=LENGTHS, batch_size=SIZES)
def test_prediction_takes_every_row_once_and_the_longest_first(lengths, batch_size):
    plan = plan_prediction(lengths, batch_size)
    order = np.concatenate([*plan, np.zeros(0, dtype=np.int64)])
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert lengths[order].tolist() == sorted(lengths.tolist(), reverse=True)
    assert all(len(batch) == batch_size for batch in plan[:-1])


def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    lengths = np.arange(1, 101)
    for grouped in (False, True):
        plans = [
            as_lists(plan_training(lengths, 8, seed=seed, epoch=epoch, group_by_length=grouped))
            for seed in (0, 1, 2**62)
            for epoch in range(3)
        ]
        assert len({str(plan) for plan in plans}) == len(plans)


def test_the_order_does_not_depend_on_the_lengths_unless_grouped():
    short, long = np.full(50, 3), np.arange(50)
    assert as_lists(plan_training(short, 8, seed=1, epoch=2)) == as_lists(plan_training(long, 8, seed=1, epoch=2))


def test_the_order_is_that_of_every_release():
    """A resumed run continues the order of an earlier release: these numbers must not change."""
    plan = plan_training(np.full(10, 5), 4, seed=42, epoch=1)
    assert as_lists(plan) == [[7, 1, 4, 9], [8, 3, 5, 0], [2, 6]]


def test_rows_of_a_grouped_batch_are_alike_and_batches_are_not_sorted():
    lengths = np.random.default_rng(1).integers(1, 512, GROUPED_BATCHES * 16)
    plain = plan_training(lengths, 16, seed=3, epoch=0)
    grouped = plan_training(lengths, 16, seed=3, epoch=0, group_by_length=True)

    def padding(plan: list[np.ndarray]) -> int:
        return sum(int((lengths[batch].max() - lengths[batch]).sum()) for batch in plan)

    assert padding(grouped) < padding(plain) / 10
    longest = [int(lengths[batch].max()) for batch in grouped]
    assert longest != sorted(longest, reverse=True)


@given(
    st.lists(st.lists(st.integers(1, 512), min_size=0, max_size=40), min_size=1, max_size=9).filter(any),
    st.integers(1, 12),
)
def test_ranks_share_a_step_without_loss_and_evenly(step: list[list[int]], ranks: int) -> None:
    lengths = np.array([length for micro_batch in step for length in micro_batch], dtype=np.int64)
    numbers = iter(range(100, 100 + len(lengths)))
    micro_batches = [np.array([next(numbers) for _ in micro_batch], dtype=np.int64) for micro_batch in step]
    parts = plan_ranks(micro_batches, lengths, ranks)
    assert sorted(int(row) for part in parts for rows in part for row in rows) == [*range(100, 100 + len(lengths))]
    passes = {len(part) for part in parts}
    assert passes == {-(-len(step) // ranks)}
    tokens = [sum(int(lengths[row - 100]) for rows in part for row in rows) for part in parts]
    # The longest-first rule: no rank has more than the least one and one row besides.
    assert max(tokens) - min(tokens) <= lengths.max()
