"""The shape budget: every row has a place, nothing overlaps, and the budget holds; without MindSpore."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from bertcore_mindspore.shapes import Shape, choose_shapes, place, token_limit, with_room
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.bert_config import BertConfig

LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=60).map(lambda rows: np.array(rows, dtype=np.int64))
SHAPES = (Shape(48, 4), Shape(160, 2), Shape(512, 1))


@settings(max_examples=60, deadline=None)
@given(LENGTHS)
def test_every_row_has_one_place_and_rows_do_not_overlap(lengths: np.ndarray) -> None:
    placements = place(lengths, SHAPES)
    assert sorted(row for placement in placements for row in placement.rows) == list(range(len(lengths)))
    for placement in placements:
        assert placement.shape in SHAPES
        assert len(placement.rows) <= placement.shape.rows
        taken = np.zeros(placement.shape.tokens, dtype=np.int64)
        for row, start in zip(placement.rows, placement.starts, strict=True):
            last = start + lengths[row] - 1
            assert start // placement.shape.length == last // placement.shape.length, "a row lies in one bin"
            taken[start : last + 1] += 1
        assert taken.max() == 1


@settings(max_examples=25, deadline=None)
@given(LENGTHS, st.integers(1, 40), st.integers(1, 3), st.sampled_from([128, 500, 1024]))
def test_the_chosen_shapes_keep_the_budget_and_hold_every_row(
    lengths: np.ndarray, batch_size: int, budget: int, limit: int
) -> None:
    shapes = choose_shapes(lengths, batch_size, 512, limit, budget)
    assert 1 <= len(shapes) <= budget
    assert list(shapes) == sorted(shapes)
    assert lengths.max() <= shapes[-1].length <= 512
    assert all(shape.tokens <= limit or shape.bins == 1 for shape in shapes)
    assert shapes == choose_shapes(lengths, batch_size, 512, limit, budget), "the choice is deterministic"
    place(lengths, shapes)


def test_unknown_lengths_still_get_shapes() -> None:
    shapes = choose_shapes(np.zeros(0, dtype=np.int64), 32, 256, 1024, 2)
    assert shapes[-1].length == 256
    assert choose_shapes(np.zeros(0, dtype=np.int64), 32, 16, 1024, 2)[-1].length == 16


def test_a_row_that_fits_nowhere_is_refused_and_gets_one_further_shape() -> None:
    declared = (Shape(64, 4),)
    with pytest.raises(ValueError, match="65"):
        place(np.array([3, 65]), declared)
    further = with_room(declared, np.array([3, 65]), 512)
    assert further[:1] == declared
    assert further[-1] == Shape(512, 1)
    assert len(place(np.array([3, 65]), further)) == 1, "the short row joins the long one"


def test_what_fits_needs_no_further_shape() -> None:
    assert with_room(SHAPES, np.array([3, 512]), 512) == SHAPES
    assert with_room(SHAPES, np.array([3, 4, 5]), 512, np.array([0, 0, 1])) == SHAPES


GROUPED = st.lists(st.lists(st.integers(1, 512), min_size=1, max_size=6), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(GROUPED)
def test_the_rows_of_a_group_come_into_one_call(questions: list[list[int]]) -> None:
    lengths = np.array([length for choices in questions for length in choices])
    groups = np.array([number for number, choices in enumerate(questions) for _ in choices])
    shapes = with_room(SHAPES, lengths, 512, groups)
    assert shapes[:3] == SHAPES
    assert len(shapes) <= 4
    placements = place(lengths, shapes, groups)
    assert sorted(row for placement in placements for row in placement.rows) == list(range(len(lengths)))
    calls_of = [
        {number for number, call in enumerate(placements) for row in call.rows if groups[row] == group}
        for group in set(groups)
    ]
    assert all(len(calls) == 1 for calls in calls_of)
    for placement in placements:
        assert len(placement.rows) <= placement.shape.rows
        taken = np.zeros(placement.shape.tokens, dtype=np.int64)
        for row, start in zip(placement.rows, placement.starts, strict=True):
            taken[start : start + lengths[row]] += 1
            assert start // placement.shape.length == (start + lengths[row] - 1) // placement.shape.length
        assert taken.max() == 1


def test_a_group_that_fits_nowhere_is_refused_and_gets_one_further_shape() -> None:
    declared, lengths, groups = (Shape(64, 2),), np.array([60, 60, 60, 4]), np.array([0, 0, 0, 1])
    with pytest.raises(ValueError, match="3 rows"):
        place(lengths, declared, groups)
    further = with_room(declared, lengths, 64, groups)
    assert further == (Shape(64, 2), Shape(64, 4))
    assert [placement.shape.bins for placement in place(lengths, further, groups)] == [4], "the short one joins it"


def test_no_rows_need_no_call() -> None:
    assert place(np.zeros(0, dtype=np.int64), SHAPES) == []


def test_a_wider_and_deeper_encoder_gets_smaller_calls() -> None:
    small = BertConfig(30522, 384, 6, 12, 1536)
    large = BertConfig(30522, 1024, 24, 16, 4096)
    for fused in (False, True):
        limits = [
            token_limit(config, training=training, fused=fused)
            for config, training in ((large, True), (small, True), (small, False))
        ]
        assert limits[0] < limits[1] <= limits[2]


def test_most_positions_of_rte_are_real_tokens(rte_dir: Path) -> None:
    """Word counts stand in for tokens; padding each batch to its longest row fills about half of the positions."""
    with (rte_dir / "train.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    lengths = np.array([int(1.2 * len((row["sentence1"] + " " + row["sentence2"]).split())) + 3 for row in rows])
    shapes = choose_shapes(lengths, 32, 512, 542, 2)
    order = np.random.default_rng(1).permutation(len(lengths))
    positions = padded = 0
    for start in range(0, len(order), 32):
        batch = lengths[order[start : start + 32]]
        positions += sum(placement.shape.tokens for placement in place(batch, shapes))
        padded += len(batch) * int(batch.max())
    assert lengths.sum() / positions > 0.8
    assert lengths.sum() / padded < 0.6
