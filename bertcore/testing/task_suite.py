"""Conformance of a task: the contract of :mod:`bertcore.contracts.task`, without any model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding, Task
from bertcore.errors import DataError, Origin, UsageError
from bertcore.testing.heads import reference_of
from bertcore.testing.plugin_under_test import FRAMEWORKS, character_tokenizer, imported_modules, load_plugin, only
from bertcore.testing.suite import Suite

LARGEST_WINDOW = 10_000
"""Examples of a stream that are looked at."""

LONG, SHORT = 4096, 16
"""Lengths at which nothing, and much, is cut."""

TEXTS = {
    "empty": "",
    "blank": " ",
    "NUL": "\x00",
    "tab": "a\tb",
    "quotes": "\"quoted\" 'text'",
    "emoji": "😀",
    "very long": "長い文" * 2000,
    "marks and separators": "e\u0301\u2028\u200d",
}


class Bench:
    """The task under test, with some of its examples encoded."""

    def __init__(
        self,
        plugin: str,
        name: str,
        data: Path | None,
        options: Mapping[str, Any],
        largest: int,
        folder: Path,
        head_options: Mapping[str, Any],
    ) -> None:
        registry = load_plugin(plugin)
        self.task: Task = registry.task(only(dict(registry.tasks), name, "task"))
        self.options = options
        self.data_folder = data or self.task.sample_folder()
        assert self.data_folder is not None, "the task brings no sample: name a folder with the attribute 'data'"
        self.data: DataConfig = self.data_config(self.data_folder)
        self.dataset: Dataset = self.task.open(self.data)
        self.head: Head = self.task.choose_head(self.dataset, self.data, self.task.head_config(**head_options))
        self.tokenizer = character_tokenizer(folder)
        split = self.dataset.split(self.task.evaluation_split)
        assert not split.is_stream, "the split that is evaluated must be held as a whole"
        self.examples: Sequence[Example] = split[:largest]

    def data_config(self, folder: Path) -> DataConfig:
        """The task's data options: a path, and what the test says."""
        data: DataConfig = self.task.data_config(path=str(folder), **self.options)
        return data

    def encode(self, examples: Sequence[Example], max_length: int = LONG) -> Encoding:
        """Encodes with the tokenizer of the tests."""
        return self.task.encode(examples, self.tokenizer, self.head, max_length, self.data)

    def evaluate(self, batches: Sequence[Batch], outputs: Sequence[Outputs]) -> Evaluation:
        """Feeds an accumulator."""
        accumulator = self.task.accumulator(self.examples, self.head, self.data)
        for batch, output in zip(batches, outputs, strict=True):
            accumulator.add(batch, output)
        return accumulator.result()


class TaskConformance(Suite):
    """Subclass it in a test module of the plugin, and name the plugin as its entry point does.

    Attributes:
        plugin: value of the entry point, ``module`` or ``module:attribute``.
        task: name of the task, where the plugin registers several.
        data: folder of the data to test with; by default the sample that the task brings.
        data_options: further data options of the task, as ``{"multi_label": True}``.
        head_options: head options of the task, as ``{"crf": True}``.
        examples: largest number of examples to test with.
        best_score: the task's metric when every prediction is right.
        gaps: what the task does not do, by the name of a test (:mod:`bertcore.testing.gaps`).

    A task with a head of its own registers the head's reference first (:mod:`bertcore.testing.heads`).
    """

    plugin: ClassVar[str]
    task: ClassVar[str] = ""
    data: ClassVar[Path | None] = None
    data_options: ClassVar[Mapping[str, Any]] = {}
    head_options: ClassVar[Mapping[str, Any]] = {}
    examples: ClassVar[int] = 200
    best_score: ClassVar[float] = 1.0

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        """The task under test."""
        folder = tmp_path_factory.mktemp("tokenizer")
        return Bench(cls.plugin, cls.task, cls.data, cls.data_options, cls.examples, folder, cls.head_options)

    # What a task says about itself

    def test_static_facts(self, bench: Bench) -> None:
        """Name, description, metric and options are what listings and the engine expect."""
        task = bench.task
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", task.name)
        assert task.description
        assert "\n" not in task.description
        assert task.metric.name
        assert issubclass(task.data_config, DataConfig)
        assert issubclass(task.head_config, HeadConfig)
        options = (*task.data_config.model_fields.values(), *task.head_config.model_fields.values())
        assert all(option.description for option in options), "an option has no description"

    def test_a_task_needs_no_framework(self, bench: Bench) -> None:
        """Loading the plugin and calling its hooks imports none."""
        code = f"from bertcore.testing.plugin_under_test import load_plugin\nload_plugin({self.plugin!r})\n"
        assert imported_modules(code, FRAMEWORKS) == []

    # Data

    def test_splits_are_found(self, bench: Bench) -> None:
        """Each with its files and at least one example with a text; the evaluated one with labels."""
        assert bench.task.evaluation_split in bench.dataset.files
        for name, files in bench.dataset.files.items():
            assert files
            assert all(file.is_file() for file in files), name
            examples = next(bench.dataset.split(name).windows(LARGEST_WINDOW), Split())
            assert examples
            for example in examples:
                assert example.identifier
                assert example.texts
                assert all(isinstance(text, str) for text in example.texts.values())
        assert all(example.label is not None for example in bench.examples)

    def test_reading_is_deterministic(self, bench: Bench) -> None:
        """The same examples in the same order."""
        again = bench.task.open(bench.data_config(bench.data_folder or Path()))
        split = again.split(bench.task.evaluation_split)
        assert list(split[: len(bench.examples)]) == list(bench.examples)

    def test_reading_changes_nothing(self, bench: Bench) -> None:
        """A split that is read again is the same, with what is said of it; nothing is added to the dataset."""
        dataset = bench.task.open(bench.data_config(bench.data_folder or Path()))
        notes = dataset.notes
        for name in dataset.files:
            first, second = dataset.split(name), dataset.split(name)
            assert first == second
            assert all(isinstance(note, str) for note in (*first.notes, *notes))
            examples = next(first.windows(LARGEST_WINDOW), Split())
            places = {(example.identifier, example.origin) for example in examples}
            for one in first.left_out:
                assert one.origin
                assert one.reason
                assert (one.identifier, one.origin) not in places
        assert dataset.notes == notes
        assert isinstance(notes, tuple)

    def test_a_wrong_path_is_a_data_error(self, bench: Bench, tmp_path: Path) -> None:
        """A missing folder, an empty one and a file of something else: one line of cause that names it, one remedy."""
        nonsense = tmp_path / "nonsense"
        nonsense.mkdir()
        for file in bench.dataset.files[bench.task.evaluation_split]:
            (nonsense / file.name).write_bytes(b"\xff\xfe no \x00 data of any task\n" * 3)
        (tmp_path / "empty").mkdir()
        for folder in (tmp_path / "absent", tmp_path / "empty", nonsense):
            with pytest.raises(DataError) as caught:
                bench.task.open(bench.data_config(folder)).split(bench.task.evaluation_split)
            assert "\n" not in caught.value.cause + caught.value.remedy
            assert folder.name in caught.value.cause
            assert caught.value.remedy

    def test_an_unknown_split_is_a_usage_error(self, bench: Bench) -> None:
        """Which names those that there are."""
        with pytest.raises(UsageError) as caught:
            bench.dataset.split("no such split")
        assert bench.task.evaluation_split in str(caught.value)

    # Encoding

    @pytest.mark.parametrize("max_length", [SHORT, LONG])
    def test_every_example_is_encoded(self, bench: Bench, max_length: int) -> None:
        """In at least one row of at most the length allowed, with columns that fit the rows."""
        batch = bench.encode(bench.examples, max_length).batch
        assert set(batch.example_index.tolist()) == set(range(len(bench.examples)))
        assert int(batch.lengths.min()) >= 1
        assert int(batch.lengths.max()) <= max_length
        assert batch.input_ids.dtype == batch.token_type_ids.dtype == np.int32
        assert batch.offsets.dtype == batch.example_index.dtype == np.int64
        assert len(batch.input_ids) == len(batch.token_type_ids) == batch.offsets[-1]
        assert int(batch.input_ids.min()) >= 0
        assert int(batch.input_ids.max()) < bench.tokenizer.vocab_size
        assert set(batch.token_type_ids.tolist()) <= {0, 1}
        sizes = {"row": len(batch), "token": len(batch.input_ids)}
        for axis, offsets in batch.ragged.items():
            assert len(offsets) == len(batch) + 1, axis
            assert np.all(np.diff(offsets, prepend=0) >= 0), axis
            sizes[axis] = offsets[-1]
        if batch.label_positions is not None and batch.label_offsets is not None:
            sizes["label"] = len(batch.label_positions)
            assert batch.label_offsets[-1] == sizes["label"]
            lengths = np.repeat(batch.lengths, np.diff(batch.label_offsets))
            assert np.all((batch.label_positions >= 0) & (batch.label_positions < lengths))
            steps, rows = np.diff(batch.label_positions), np.repeat(np.arange(len(batch)), np.diff(batch.label_offsets))
            assert np.all(steps[np.diff(rows) == 0] > 0), "label positions of a row must rise"
        if batch.groups is not None:
            sizes["group"] = batch.unit_count
            assert batch.groups.dtype == np.int64
            assert np.all(np.bincount(batch.groups) > 0), "groups are numbered from 0 without a gap"
        for name, column in batch.columns.items():
            assert len(column.values) == sizes[column.per], name

    @pytest.mark.parametrize("max_length", [SHORT, LONG])
    def test_labels_fit_the_head(self, bench: Bench, max_length: int) -> None:
        """Every label is one that the head knows, or the declared value to ignore."""
        batch = bench.encode(bench.examples, max_length).batch
        assert bench.head.loss_count(batch) > 0
        reference_of(bench.head).assert_labels_fit(bench.head, batch)

    def test_encoding_is_deterministic(self, bench: Bench) -> None:
        """The same rows again, and the same whatever other examples are encoded with them."""
        whole = bench.encode(bench.examples).batch
        _assert_same_rows(bench.encode(bench.examples).batch, whole)
        half = len(bench.examples) // 2
        rows = np.flatnonzero(whole.example_index >= half)
        second = bench.encode(bench.examples[half:]).batch
        _assert_same_rows(replace(second, example_index=second.example_index + half), whole.select(rows))

    def test_truncated_examples_are_counted(self, bench: Bench) -> None:
        """Exactly those that lost something; none when everything fits."""
        full, cut = bench.encode(bench.examples, LONG), bench.encode(bench.examples, SHORT)
        assert full.truncated.tolist() == []
        count = len(bench.examples)
        assert set(cut.truncated.tolist()) <= set(range(count))
        if len(full.batch) == len(cut.batch) == count:  # one row for each: nothing is kept in a second window
            too_long = full.batch.example_index[full.batch.lengths > SHORT]
            assert sorted(cut.truncated.tolist()) == sorted(too_long.tolist())

    def test_labels_are_left_out_where_there_are_none(self, bench: Bench) -> None:
        """The same tokens, no column of labels, and predictions all the same."""
        examples = [replace(example, label=None) for example in bench.examples]
        batch = bench.encode(examples).batch
        labeled = bench.encode(bench.examples).batch
        assert bench.head.label_column not in batch.columns
        np.testing.assert_array_equal(batch.input_ids, labeled.input_ids)
        accumulator = bench.task.accumulator(examples, bench.head, bench.data)
        accumulator.add(batch, perfect_outputs(bench.head, labeled, accumulator.want))
        assert len(accumulator.predictions()) == len(examples)

    @pytest.mark.parametrize("text", list(TEXTS.values()), ids=list(TEXTS))
    def test_any_text_is_encoded(self, bench: Bench, text: str) -> None:
        """Empty, very long or strange: at least one row, within the length allowed."""
        example = bench.examples[0]
        records = [({**example.texts, name: text}, Origin("input")) for name in example.texts]
        examples = bench.task.parse_input(records, bench.data)
        batch = bench.encode(examples, SHORT).batch
        assert set(batch.example_index.tolist()) == set(range(len(examples)))
        assert int(batch.lengths.min()) >= 1
        assert int(batch.lengths.max()) <= SHORT

    # Scores

    def test_right_predictions_give_the_best_score(self, bench: Bench) -> None:
        """And wrong ones a worse one."""
        batch = bench.encode(bench.examples).batch
        want = bench.task.accumulator(bench.examples, bench.head, bench.data).want
        perfect = perfect_outputs(bench.head, batch, want)
        best = bench.evaluate([batch], [perfect])
        name = bench.task.metric.name
        assert best.metrics[name] == pytest.approx(self.best_score, abs=1e-6)
        assert best.total == len(bench.examples)
        assert best.summary
        assert "\n" not in best.summary
        assert not best.errors
        assert not best.notes
        for one, score in best.per_class.items():
            assert score.correct == score.predicted == score.support, one
        wrong = bench.evaluate([batch], [{key: -values for key, values in perfect.items()}])
        if "tags" not in perfect:  # minus a tag is no tag
            better, worse = (best, wrong) if bench.task.metric.greater_is_better else (wrong, best)
            assert better.metrics[name] > worse.metrics[name]

    def test_the_metrics_that_it_names_are_those_that_it_reports(self, bench: Bench) -> None:
        """So that each can be named before a training, to choose the best checkpoint."""
        batch = bench.encode(bench.examples).batch
        want = bench.task.accumulator(bench.examples, bench.head, bench.data).want
        result = bench.evaluate([batch], [_random_outputs(bench.head, batch, want)])
        named = {metric.name: metric for metric in bench.task.metrics(bench.examples, bench.head, bench.data)}
        assert named[bench.task.metric.name] == bench.task.metric
        assert set(named) == set(result.metrics)

    def test_the_order_of_rows_does_not_matter(self, bench: Bench) -> None:
        """Every example is judged once, and predictions stand in the order of the examples."""
        batch = bench.encode(bench.examples).batch
        want = bench.task.accumulator(bench.examples, bench.head, bench.data).want
        outputs = _random_outputs(bench.head, batch, want)
        expected = bench.evaluate([batch], [outputs])
        assert len(expected.predictions) == expected.total == len(bench.examples)
        assert json.loads(json.dumps(list(expected.predictions))) == list(expected.predictions), "must be JSON"
        order = np.random.default_rng(3).permutation(len(batch))
        for size in (1, 7, len(batch)):
            rows = [order[start : start + size] for start in range(0, len(order), size)]
            parts = [_select_outputs(bench.head, batch, outputs, chosen) for chosen in rows]
            shuffled = bench.evaluate([batch.select(chosen) for chosen in rows], parts)
            assert shuffled.metrics == pytest.approx(expected.metrics, rel=1e-12, nan_ok=True)
            assert shuffled.predictions == expected.predictions
            assert shuffled.summary == expected.summary

    def test_an_empty_split(self, bench: Bench) -> None:
        """No rows, no predictions, a total of zero, and no failure."""
        batch = bench.encode([]).batch
        assert len(batch) == 0
        accumulator = bench.task.accumulator([], bench.head, bench.data)
        assert accumulator.predictions() == []
        result = accumulator.result()
        assert result.total == 0
        assert bench.task.metric.name in result.metrics

    # Input of `bertcore predict`

    def test_input_of_predict(self, bench: Bench) -> None:
        """The fields of an example are those of a record; a label is not needed."""
        examples = list(bench.examples[:5])
        records = [(dict(example.texts), Origin("in.jsonl", number)) for number, example in enumerate(examples, 1)]
        parsed = bench.task.parse_input(records, bench.data)
        assert [dict(example.texts) for example in parsed] == [dict(example.texts) for example in examples]
        assert [example.label for example in parsed] == [None] * len(examples)
        assert [example.origin for example in parsed] == [origin for _, origin in records]

    def test_plain_texts_find_their_fields(self, bench: Bench) -> None:
        """Those that the task names, in the order in which the model reads them; it may leave the last one open."""
        count = len(bench.examples[0].texts)
        fields = bench.task.input_fields(bench.data)[:count]
        texts = [f"text {number}" for number in range(count)]
        (parsed,) = bench.task.parse_input([(dict(zip(fields, texts, strict=True)), Origin("input"))], bench.data)
        assert list(parsed.texts.values()) == texts

    def test_input_without_a_field_is_a_data_error(self, bench: Bench) -> None:
        """Which names the line."""
        with pytest.raises(DataError) as caught:
            bench.task.parse_input(
                [(dict(bench.examples[0].texts), Origin("in.jsonl", 1)), ({"nothing": 1}, Origin("in.jsonl", 2))],
                bench.data,
            )
        assert "in.jsonl:2" in caught.value.cause
        assert "\n" not in caught.value.cause + caught.value.remedy


def perfect_outputs(head: Head, batch: Batch, want: Sequence[str]) -> Outputs:
    """The outputs of a model that is always right and sure."""
    outputs = reference_of(head).perfect_outputs(head, batch)
    missing = set(want) - set(outputs)
    assert not missing, f"the accumulator wants {missing}, which the head does not give"
    return {name: outputs[name] for name in want}


def _random_outputs(head: Head, batch: Batch, want: Sequence[str]) -> Outputs:
    generator = np.random.default_rng(1)
    outputs = perfect_outputs(head, batch, want)
    for name, values in outputs.items():
        if name != "tags":
            outputs[name] = values.astype(np.float32) + generator.normal(0, 15, values.shape).astype(np.float32)
    return outputs


def _select_outputs(head: Head, batch: Batch, outputs: Outputs, rows: NDArray[np.int64]) -> Outputs:
    """The outputs of some rows, as a session would give them for these rows alone."""
    offsets = {"row": np.arange(len(batch) + 1), "token": batch.offsets, "label": batch.label_offsets}
    if batch.label_offsets is not None:
        offsets["pair"] = batch.pair_offsets
    selected: Outputs = {}
    for name, values in outputs.items():
        start = offsets[head.outputs[name]]
        assert start is not None
        selected[name] = np.concatenate([values[start[row] : start[row + 1]] for row in rows])
    return selected


def _assert_same_rows(actual: Batch, expected: Batch) -> None:
    for name in ("offsets", "input_ids", "token_type_ids", "example_index", "label_offsets", "label_positions"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), err_msg=name)
    assert set(actual.ragged) == set(expected.ragged)
    for axis, of_axis in expected.ragged.items():
        np.testing.assert_array_equal(actual.ragged[axis], of_axis, err_msg=axis)
    assert set(actual.columns) == set(expected.columns)
    for name, column in expected.columns.items():
        found = actual.columns[name]
        assert (found.per, found.ignore) == (column.per, column.ignore)
        np.testing.assert_array_equal(found.values, column.values, err_msg=name)
        assert math.prod(found.values.shape) == math.prod(column.values.shape)
