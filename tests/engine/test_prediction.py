"""Every example of a split is predicted exactly once, with all of its rows in one batch where they belong together."""

from __future__ import annotations

import numpy as np

from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.task import Encoding
from bertcore.data.encoder import EncodedSplit
from bertcore.engine.prediction import predict_split


class Recorder:
    """A session that gives nothing, and an accumulator that keeps what it is given."""

    want = ()
    compile_seconds = 0.0

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def predict(self, batch, want):
        return {}

    def add(self, batch, outputs):
        self.batches.append(batch)


def test_groups_stay_whole_and_are_what_a_batch_counts():
    sizes = [2, 4, 3, 1, 4, 2, 3]
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    rows = [[7] * (1 + number % 3) for number in range(len(groups))]
    columns = {"size": Column(np.array(sizes), "group")}
    batch = from_rows(rows, [[0] * len(row) for row in rows], columns, example_index=groups, groups=groups)
    examples = [Example(str(number), {"text": "x"}, 0) for number in range(len(sizes))]
    split = EncodedSplit(Split(examples, name="dev"), Encoding(batch, np.zeros(0, dtype=np.int64)))
    recorder = Recorder()
    timing = predict_split(recorder, split, recorder, batch_size=3)
    assert [batch.unit_count for batch in recorder.batches] == [3, 3, 1]
    found = [(example, size) for part in recorder.batches for example, size in zip(*_by_group(part), strict=True)]
    assert sorted(found) == list(enumerate(sizes))
    assert timing.examples_per_second > 0


def _by_group(batch: Batch) -> tuple[list[int], list[int]]:
    first = [int(np.argmax(batch.groups == group)) for group in range(batch.unit_count)]
    assert np.bincount(batch.groups).tolist() == batch.columns["size"].values.tolist()
    return batch.example_index[first].tolist(), batch.columns["size"].values.tolist()
