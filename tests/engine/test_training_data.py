"""Which rows are trained on in which step: each once an epoch, and the same after a stop as without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.config import TrainConfig
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.data.plans import plan_training
from bertcore.engine.training_data import SizedTrainingData, StepRows, StreamedTrainingData
from bertcore.errors import DataError

deadline_free = settings(deadline=None, max_examples=60)


def rows_of(lengths: Sequence[int]) -> Batch:
    """Rows whose label is their own number."""
    tokens = [[7] * length for length in lengths]
    labels = Column(np.arange(len(lengths), dtype=np.int32), "row")
    return from_rows(tokens, [[0] * length for length in lengths], {"labels": labels})


def labels_of(step: StepRows) -> list[list[int]]:
    return [batch.columns["labels"].values.tolist() for batch in step.micro_batches]


def take(steps: Iterator[StepRows], count: int) -> list[tuple[list[list[int]], float, bool]]:
    return [(labels_of(step), step.epoch, step.last_of_epoch) for step in islice(steps, count)]


lengths_strategy = st.lists(st.integers(1, 40), min_size=1, max_size=60)
options_strategy = st.builds(
    TrainConfig,
    batch_size=st.integers(1, 9),
    accumulation=st.integers(1, 4),
    group_by_length=st.booleans(),
    epochs=st.floats(0.1, 4),
)


@given(lengths=lengths_strategy, options=options_strategy, seed=st.integers(0, 2**63 - 1), start=st.integers(0, 40))
@deadline_free
def test_a_split_goes_on_from_any_step(lengths: list[int], options: TrainConfig, seed: int, start: int) -> None:
    data = SizedTrainingData(rows_of(lengths), options)
    assert take(data.steps(seed, start), 12) == take(data.steps(seed, 0), start + 12)[start:]


@given(lengths=lengths_strategy, options=options_strategy, seed=st.integers(0, 2**63 - 1))
@deadline_free
def test_a_split_is_trained_on_once_an_epoch(lengths: list[int], options: TrainConfig, seed: int) -> None:
    data = SizedTrainingData(rows_of(lengths), options)
    for number in range(2):
        epoch = list(islice(data.steps(seed, number * data.steps_per_epoch), data.steps_per_epoch))
        batches = [labels for step in epoch for labels in labels_of(step)]
        assert sorted(label for batch in batches for label in batch) == list(range(len(lengths)))
        assert all(len(step.micro_batches) == options.accumulation for step in epoch[:-1])
        assert 1 <= len(epoch[-1].micro_batches) <= options.accumulation
        assert [step.last_of_epoch for step in epoch] == [False] * (len(epoch) - 1) + [True]
        assert epoch[-1].epoch == number + 1
        plan = plan_training(
            data.lengths, options.batch_size, seed=seed, epoch=number, group_by_length=options.group_by_length
        )
        assert batches == [rows.tolist() for rows in plan]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30), options=options_strategy)
@deadline_free
def test_rows_of_a_group_are_in_one_batch_whose_size_counts_groups(sizes: list[int], options: TrainConfig) -> None:
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    rows = from_rows(
        [[7] * (1 + group) for group in groups],
        [[0] * (1 + group) for group in groups],
        {"labels": Column(np.arange(len(sizes), dtype=np.int32), "group")},
        groups=groups,
    )
    data = SizedTrainingData(rows, options)
    batches = [batch for step in islice(data.steps(3, 0), data.steps_per_epoch) for batch in step.micro_batches]
    numbers = [batch.columns["labels"].values.tolist() for batch in batches]
    assert sorted(number for of_batch in numbers for number in of_batch) == list(range(len(sizes)))
    assert all(len(of_batch) <= options.batch_size for of_batch in numbers)
    for batch, of_batch in zip(batches, numbers, strict=True):
        assert (batch.lengths - 1).tolist() == [number for number in of_batch for _ in range(sizes[number])]
    assert data.lengths.tolist() == rows.lengths.tolist()


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"epochs": 3}, 3 * 8),
        ({"epochs": 0.5}, 4),
        ({"epochs": 0.01}, 1),
        ({"accumulation": 3}, 3 * 3),
        ({"max_steps": 5}, 5),
    ],
)
def test_number_of_steps(changes: dict[str, float], total: int) -> None:
    options = TrainConfig(batch_size=4, **changes)  # type: ignore[arg-type]
    assert SizedTrainingData(rows_of([3] * 31), options).total_steps == total


# Streams


def stream_of(count: int, window: int) -> Callable[[], Iterator[Batch]]:
    """Opens a stream of rows whose label is their own number, in windows."""
    lengths = [1 + number % 5 for number in range(count)]
    batch = rows_of(lengths) if lengths else None
    return lambda: (batch.select(range(first, min(first + window, count))) for first in range(0, count, window))


@given(
    count=st.integers(1, 40),
    window=st.integers(1, 50),
    batch_size=st.integers(1, 6),
    accumulation=st.integers(1, 3),
    start=st.integers(0, 30),
)
@deadline_free
def test_a_stream_goes_on_from_any_step(
    count: int, window: int, batch_size: int, accumulation: int, start: int
) -> None:
    options = TrainConfig(batch_size=batch_size, accumulation=accumulation, max_steps=100)
    data = StreamedTrainingData(stream_of(count, window), options)
    assert take(data.steps(5, start), 8) == take(data.steps(5, 0), start + 8)[start:]


@given(count=st.integers(1, 40), window=st.integers(1, 50), batch_size=st.integers(1, 6))
@deadline_free
def test_a_stream_is_trained_on_once_an_epoch(count: int, window: int, batch_size: int) -> None:
    data = StreamedTrainingData(stream_of(count, window), TrainConfig(batch_size=batch_size, max_steps=9))
    assert data.total_steps == 9
    steps = data.steps(5, 0)
    for epoch in range(2):
        labels: list[int] = []
        for step in steps:
            labels += [label for batch in labels_of(step) for label in batch]
            if step.last_of_epoch:
                assert step.epoch == epoch + 1
                break
        assert sorted(labels) == list(range(count))
        windows = [labels[first : first + window] for first in range(0, count, window)]
        assert all(max(part) - min(part) < window for part in windows)  # shuffled inside a window alone


def test_a_stream_without_examples_is_refused() -> None:
    with pytest.raises(DataError, match="without examples"):
        StreamedTrainingData(stream_of(0, 10), TrainConfig(max_steps=1))
