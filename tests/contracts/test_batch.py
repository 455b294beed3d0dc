"""Ragged batches against the same rows as plain Python lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.batch import Batch, Column, from_rows


@dataclass(frozen=True)
class Rows:
    """What a batch holds, as lists: one entry per row, and in it one per token or label position."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]]
    example_index: list[int]
    label_positions: list[list[int]]
    row_values: list[float]
    pair_values: list[tuple[int, int]]
    token_values: list[list[int]]
    label_values: list[list[int]]

    def select(self, rows: list[int]) -> Rows:
        return Rows(*([values[row] for row in rows] for values in vars(self).values()))

    def batch(self) -> Batch:
        columns = {
            "per row": Column(np.array(self.row_values, dtype=np.float32), "row"),
            "pair": Column(np.array(self.pair_values, dtype=np.int64).reshape(-1, 2), "row", ignore=-1),
            "per token": Column(np.array(list(chain(*self.token_values)), dtype=np.int32), "token"),
            "per label": Column(np.array(list(chain(*self.label_values)), dtype=np.int32), "label", ignore=-100),
        }
        return from_rows(self.input_ids, self.token_type_ids, columns, self.example_index, self.label_positions)


@st.composite
def some_rows(draw: st.DrawFn) -> Rows:
    lengths = draw(st.lists(st.integers(0, 6), max_size=6))
    values = st.integers(0, 99)

    def per(counts: list[int]) -> list[list[int]]:
        return [draw(st.lists(values, min_size=count, max_size=count)) for count in counts]

    positions = [sorted(draw(st.sets(st.integers(0, length - 1)))) if length else [] for length in lengths]
    return Rows(
        input_ids=per(lengths),
        token_type_ids=[[token % 2 for token in range(length)] for length in lengths],
        example_index=[draw(values) for _ in lengths],
        label_positions=positions,
        row_values=[float(draw(values)) for _ in lengths],
        pair_values=[(draw(values), draw(values)) for _ in lengths],
        token_values=per(lengths),
        label_values=per([len(entry) for entry in positions]),
    )


def assert_same(batch: Batch, rows: Rows) -> None:
    expected = rows.batch()
    for name in ("offsets", "input_ids", "token_type_ids", "example_index", "label_offsets", "label_positions"):
        found, wanted = getattr(batch, name), getattr(expected, name)
        assert found.dtype == wanted.dtype, name
        np.testing.assert_array_equal(found, wanted, err_msg=name)
    assert set(batch.columns) == set(expected.columns)
    for name, column in expected.columns.items():
        assert batch.columns[name].per == column.per
        assert batch.columns[name].ignore == column.ignore
        assert batch.columns[name].values.dtype == column.values.dtype
        np.testing.assert_array_equal(batch.columns[name].values, column.values, err_msg=name)


@given(some_rows())
def test_from_rows_lays_rows_end_to_end(rows):
    batch = rows.batch()
    assert len(batch) == len(rows.input_ids)
    assert batch.lengths.tolist() == [len(row) for row in rows.input_ids]
    assert [
        batch.input_ids[start:end].tolist() for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
    ] == rows.input_ids
    assert (batch.input_ids.dtype, batch.offsets.dtype, batch.example_index.dtype) == (np.int32, np.int64, np.int64)


@given(rows=some_rows(), data=st.data())
def test_select_takes_rows_in_any_order_and_as_often_as_asked(rows, data):
    count = len(rows.input_ids)
    chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=8)) if count else []
    for selection in (chosen, np.array(chosen, dtype=np.int64)):
        assert_same(rows.batch().select(selection), rows.select(chosen))


def test_select_of_a_batch_without_labels():
    batch = from_rows([[1, 2], [3]], [[0, 0], [0]]).select([1])
    assert batch.input_ids.tolist() == [3]
    assert batch.example_index.tolist() == [1]
    assert batch.label_offsets is None
    assert batch.label_positions is None


@given(some_rows())
def test_without_drops_the_named_columns_alone(rows):
    batch = rows.batch()
    kept = batch.without("per row", "per label", "no such column")
    assert set(kept.columns) == {"pair", "per token"}
    assert kept.input_ids is batch.input_ids
    assert kept.label_positions is batch.label_positions
    assert set(batch.columns) == {"pair", "per token", "per row", "per label"}


@given(rows=some_rows(), extra_rows=st.integers(0, 3), extra_tokens=st.integers(0, 3), padding=st.integers(0, 9))
def test_padded_fills_up_with_padding_and_masks_it(rows, extra_rows, extra_tokens, padding):
    batch = rows.batch()
    height = len(batch) + extra_rows
    length = max([len(row) for row in rows.input_ids], default=0) + extra_tokens
    padded = batch.padded(height, length, padding)
    ids = [row + [padding] * (length - len(row)) for row in rows.input_ids] + [[padding] * length] * extra_rows
    types = [row + [0] * (length - len(row)) for row in rows.token_type_ids] + [[0] * length] * extra_rows
    mask = [[1] * len(row) + [0] * (length - len(row)) for row in rows.input_ids] + [[0] * length] * extra_rows
    for found, expected, dtype in [
        (padded.input_ids, ids, np.int32),
        (padded.token_type_ids, types, np.int32),
        (padded.attention_mask, mask, np.bool_),
    ]:
        assert found.dtype == dtype
        assert found.shape == (height, length)
        np.testing.assert_array_equal(found, np.array(expected, dtype=dtype).reshape(height, length))


@pytest.mark.parametrize(("height", "length"), [(1, 9), (2, 2)])
def test_padded_refuses_what_does_not_fit(height, length):
    with pytest.raises(ValueError, match=f"2 rows of up to 3 tokens do not fit {height} x {length}"):
        from_rows([[1, 2, 3], [4]], [[0, 0, 0], [0]]).padded(height, length)


@st.composite
def some_questions(draw: st.DrawFn) -> list[list[list[int]]]:
    """Some questions, of each its choices, of each its tokens."""
    choice = st.lists(st.integers(0, 99), min_size=1, max_size=5)
    return draw(st.lists(st.lists(choice, min_size=1, max_size=4), max_size=5))


def batch_of(questions: list[list[list[int]]]) -> Batch:
    rows = list(chain(*questions))
    groups = [number for number, choices in enumerate(questions) for _ in choices]
    sizes = Column(np.array([len(choices) for choices in questions], dtype=np.int32), "group")
    return from_rows(rows, [[0] * len(row) for row in rows], {"sizes": sizes}, groups, groups=groups)


def rows_of(batch: Batch) -> list[list[int]]:
    return [part.tolist() for part in np.split(batch.input_ids, batch.offsets[1:-1])] if len(batch) else []


@given(questions=some_questions(), data=st.data())
def test_select_units_keeps_the_rows_of_a_group_together(questions, data):
    chosen = data.draw(st.permutations(range(len(questions))))[: data.draw(st.integers(0, len(questions)))]
    batch, expected = batch_of(questions).select_units(chosen), [questions[unit] for unit in chosen]
    assert rows_of(batch) == list(chain(*expected))
    assert batch.groups.tolist() == [number for number, choices in enumerate(expected) for _ in choices]
    assert batch.columns["sizes"].values.tolist() == [len(choices) for choices in expected]
    assert batch.unit_lengths.tolist() == [sum(map(len, choices)) for choices in expected]


@given(questions=some_questions(), data=st.data())
def test_select_carries_groups_to_rows_in_any_order(questions, data):
    """Backends sort rows by length, whichever group they belong to."""
    whole = batch_of(questions)
    order = data.draw(st.permutations(range(len(whole))))
    batch = whole.select(order)
    assert rows_of(batch) == [rows_of(whole)[row] for row in order]
    of_rows = batch.columns["sizes"].values[batch.groups] if len(batch) else np.zeros(0)
    assert of_rows.tolist() == [len(questions[whole.groups[row]]) for row in order]
    assert batch.groups.tolist() == [sorted(set(batch.groups)).index(group) for group in batch.groups]


def test_units_are_rows_where_there_are_no_groups():
    batch = from_rows([[1, 2], [3]], [[0, 0], [0]])
    assert batch.unit_lengths.tolist() == [2, 1]
    assert batch.select_units([1]).input_ids.tolist() == [3]


@given(
    spans=st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4), max_size=5), data=st.data()
)
def test_select_takes_a_ragged_axis_along(spans, data):
    offsets = np.cumsum([0, *map(len, spans)])
    column = Column(np.array(list(chain(*spans)), dtype=np.int32).reshape(-1, 2), "span")
    batch = replace(from_rows([[7]] * len(spans), [[0]] * len(spans), {"spans": column}), ragged={"span": offsets})
    chosen = data.draw(st.lists(st.integers(0, len(spans) - 1), max_size=8)) if spans else []
    part = batch.select(chosen)
    assert part.columns["spans"].values.tolist() == [list(span) for row in chosen for span in spans[row]]
    assert np.diff(part.ragged["span"]).tolist() == [len(spans[row]) for row in chosen]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.data())
def test_pairs_are_two_label_positions_of_a_row(counts: list[int], data: st.DataObject) -> None:
    """Start and end, the end not in front of the start, all of one start together; they go where their row goes."""
    rows = data.draw(st.lists(st.integers(0, len(counts) - 1)))
    pairs = [[(row, i, j) for i in range(count) for j in range(i, count)] for row, count in enumerate(counts)]
    values = np.array(list(chain(*pairs)), dtype=np.int64).reshape(-1, 3)
    tokens = [[0] * count for count in counts]
    batch = from_rows(tokens, tokens, {"of pairs": Column(values, "pair")}, label_positions=tokens)
    assert batch.pair_offsets.tolist() == [0, *np.cumsum([len(of_row) for of_row in pairs])]
    chosen = batch.select(rows)
    expected = list(chain(*(pairs[row] for row in rows)))
    assert list(map(tuple, chosen.columns["of pairs"].values.tolist())) == expected


def test_a_batch_without_label_positions_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="without label positions"):
        from_rows([[1]], [[0]]).pair_offsets  # noqa: B018
