"""A split: the sequence of its examples, a stream, a part of another split, and rows that lie there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.dataset import Dataset, Example, LeftOut, ReadyRows, Split
from bertcore.contracts.task import Encoding
from bertcore.errors import Origin, UsageError

FILES = (Path("train.tsv"),)


def examples(count: int) -> list[Example]:
    return [
        Example(f"e{place}", {"text": "x" * (place % 7)}, place % 3, Origin("train.tsv", place))
        for place in range(count)
    ]


@dataclass
class CountingEncoder:
    """Gives every example as many rows as its text has characters, and one more, and remembers what it was given."""

    tokenizer: Any = "tokenizer"
    head: Any = "head"
    max_length: int = 12
    given: list[tuple[int, Sequence[Path]]] = field(default_factory=list)

    def encode_examples(self, examples: Sequence[Example], files: Sequence[Path]) -> Encoding:
        self.given.append((len(examples), files))
        rows, of_rows, labels = [], [], []
        for place, example in enumerate(examples):
            for row in range(1 + len(example.texts["text"])):
                rows.append([int(example.identifier[1:]), row])
                of_rows.append(place)
                labels.append(-1 if example.label is None else example.label)
        batch = from_rows(rows, rows, {"labels": Column(np.array(labels, dtype=np.int32), "row")})
        batch = replace(batch, example_index=np.array(of_rows, dtype=np.int64))
        truncated = [place for place, example in enumerate(examples) if len(example.texts["text"]) > 4]
        return Encoding(batch, np.array(truncated, dtype=np.int64), ("a note",))


def rows_of(encoding: Encoding) -> tuple[Any, ...]:
    batch = encoding.batch
    columns = (batch.offsets, batch.input_ids, batch.example_index, batch.columns["labels"].values)
    return (*(values.tolist() for values in columns), encoding.truncated.tolist(), encoding.notes)


def stream_of(count: int) -> Split:
    return Split(stream=lambda: iter(examples(count)), name="train", files=FILES)


def test_a_split_is_the_sequence_of_its_examples() -> None:
    held = examples(9)
    split = Split(held)
    assert list(split) == held
    assert (len(split), split[4], split[-1], list(split[2:5])) == (9, held[4], held[8], held[2:5])
    assert held[3] in split
    assert not Split()
    assert not split.is_stream
    assert split.words == ""


@given(count=st.integers(0, 30), size=st.integers(1, 9))
def test_a_stream_comes_in_windows_and_is_opened_anew(count: int, size: int) -> None:
    split = stream_of(count)
    for _ in range(2):
        windows = [list(window) for window in split.windows(size)]
        assert windows == [examples(count)[start : start + size] for start in range(0, count, size)]
    assert all(not window.is_stream and window.files == () for window in split.windows(size))


def test_no_more_of_a_stream_is_read_than_the_windows_that_are_asked_for() -> None:
    read = []

    def endless() -> Iterator[Example]:
        while True:
            read.append(len(read))
            yield Example(str(len(read)), {"text": "x"})

    assert len(next(Split(stream=endless).windows(5))) == len(read) == 5


@pytest.mark.parametrize(
    "use",
    [
        len,
        list,
        bool,
        lambda split: split[0],
        lambda split: split.without_labels(),
        lambda split: split.encode(CountingEncoder()),
    ],
    ids=["len", "list", "bool", "index", "without labels", "encode"],
)
def test_a_stream_cannot_be_used_as_if_it_were_held(use: Any) -> None:
    with pytest.raises(UsageError, match="the split train is a stream, which can only be trained on") as caught:
        use(stream_of(3))
    assert caught.value.code == "split-endless"


def test_a_split_that_is_held_is_one_window() -> None:
    split = Split(examples(9), files=FILES)
    (window,) = split.windows(2)
    assert window is split


@given(count=st.integers(1, 30), data=st.data())
def test_the_rows_of_a_part_are_those_of_its_examples_alone(count: int, data: st.DataObject) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    whole = Split(examples(count), ("read",), files=FILES, name="train")
    part = whole.take(np.array(chosen, dtype=np.int64), "some of them")
    assert list(part) == [whole[place] for place in chosen]
    assert part.words == "some of them"
    assert part.notes == ("read",)
    encoder = CountingEncoder()
    encoding = part.encode(encoder)
    assert encoder.given == [(count, FILES)], "what is kept of an encoding is found by the files of the whole"
    assert rows_of(encoding) == rows_of(CountingEncoder().encode_examples(list(part), ()))


def test_without_labels_nothing_else_changes_and_the_rows_of_a_part_have_none() -> None:
    split = Split(examples(9), ("note",), (LeftOut("x", Origin("train.tsv", 99), "no label"),), files=FILES)
    bare = split.without_labels()
    assert [example.label for example in bare] == [None] * 9
    assert [replace(example, label=label.label) for example, label in zip(bare, split, strict=True)] == list(split)
    assert (bare.notes, bare.left_out, bare.files) == (split.notes, split.left_out, split.files)
    assert [example.label for example in split] == [place % 3 for place in range(9)]
    part = split.take(np.array([1, 4]), "two").without_labels()
    assert set(part.encode(CountingEncoder()).batch.columns["labels"].values.tolist()) == {-1}


class Recorded(ReadyRows):
    """Rows that say for what they were asked."""

    @property
    def batch(self) -> Batch:
        return CountingEncoder().encode_examples(examples(5), ()).batch

    def encoding(self, tokenizer: Any, head: Any, max_length: int) -> Encoding:
        return Encoding(self.batch, notes=(tokenizer, head, str(max_length)))


def test_rows_that_lie_there_are_not_encoded_and_a_part_takes_its_own_of_them() -> None:
    encoder = CountingEncoder()
    split = Split(examples(5), rows=Recorded())
    assert split.encode(encoder).notes == ("tokenizer", "head", "12")
    part = split.take(np.array([0, 3]), "two").encode(encoder)
    expected = CountingEncoder().encode_examples([split[0], split[3]], ())
    assert rows_of(part)[:4] == rows_of(expected)[:4]
    assert encoder.given == []


def test_a_dataset_gives_equal_splits_with_their_name_and_files() -> None:
    dataset = Dataset({"train": FILES}, lambda name: Split(examples(3), (f"{name} was read",)))
    first, second = dataset.split("train"), dataset.split("train")
    assert first == second
    assert (first.name, first.files, first.notes) == ("train", FILES, ("train was read",))
    assert first != Split(examples(2), first.notes, name="train", files=FILES)
    with pytest.raises(UsageError, match="there is no split 'dev'") as caught:
        dataset.split("dev")
    assert "train" in caught.value.remedy
