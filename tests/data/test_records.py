"""Folders of records: the same rows, losses and predictions as from the text, and every mistake in one line."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import bertcore
from bertcore import hookimpl
from bertcore.commands.convert_data import convert_data
from bertcore.config import DataConfig, gather_settings
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.dataset import Split
from bertcore.contracts.record_format import FeatureRecord, RecordFormat
from bertcore.data.encoder import Encoder
from bertcore.data.records.json_lines import JsonLinesFormat
from bertcore.data.records.layout import layout_of
from bertcore.data.records.reading import rows_of
from bertcore.data.records.tfrecord import TFRecordFormat
from bertcore.data.records.writing import records_of
from bertcore.engine.preparation import open_data
from bertcore.engine.settings import resolve_run
from bertcore.errors import BertcoreError, DataError, DeviceError, Origin, OutputError, UsageError
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.opening import open_model

tfrecord = pytest.importorskip("tfrecord")

FORMATS = [TFRecordFormat(), JsonLinesFormat()]
RTE_LABELS = ("entailment", "not_entailment")


def resolved(registry: Registry, task: str, data: Path, model: Path, **options: Any) -> Any:
    values = {"task": task, "data.path": str(data), "model.path": str(model), **options}
    return resolve_run(gather_settings(environment={}, options=values), registry).config


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def rte_records(small_rte: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small RTE as TFRecords of 48 tokens, some pairs truncated."""
    known = Registry()
    folder = tmp_path_factory.mktemp("records") / "rte"
    config = resolved(known, "rte", small_rte, tiny_en, **{"data.max_length": 48})
    convert_data(config, known, "tfrecord", folder)
    return folder


@pytest.fixture
def copied_records(rte_records: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rte_records, tmp_path / "records"))


def assert_same_batch(found: Batch, expected: Batch) -> None:
    for name in (field for field in Batch.__dataclass_fields__ if field not in ("columns", "ragged")):
        value, wanted = getattr(found, name), getattr(expected, name)
        assert (value is None) == (wanted is None), name
        if wanted is not None:
            assert value.dtype == wanted.dtype, name
            np.testing.assert_array_equal(value, wanted, err_msg=name)
    assert not found.ragged
    assert not expected.ragged
    assert set(found.columns) == set(expected.columns)
    for name, column in expected.columns.items():
        assert (found.columns[name].per, found.columns[name].ignore) == (column.per, column.ignore)
        assert found.columns[name].values.dtype == column.values.dtype
        np.testing.assert_array_equal(found.columns[name].values, column.values, err_msg=name)


# A batch becomes records and the same batch again


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Rows with columns of every kind, some without a label position."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=0, max_size=6))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = [seed.integers(0, 2**31, length).tolist() for length in lengths]
    types = [seed.integers(0, 2, length).tolist() for length in lengths]
    positions = [sorted(seed.choice(length, seed.integers(0, length + 1), replace=False)) for length in lengths]
    rows, tokens, labels = len(lengths), sum(lengths), sum(map(len, positions))
    columns = {
        "labels": Column(seed.integers(-100, 3, labels).astype(np.int32), "label", -100.0),
        "score": Column(seed.normal(size=labels), "label"),
        "weight": Column(seed.normal(size=(rows, 2)).astype(np.float32), "row", -1.5),
        "possible": Column(seed.random(rows) < 0.5, "row"),
        "character": Column(seed.integers(-(2**62), 2**62, tokens), "token"),
        "exact": Column(seed.normal(size=(tokens, 3)), "token"),
    }
    index = np.sort(seed.integers(0, rows, rows)) if rows else []
    return from_rows(ids, types, columns, index, positions)


@pytest.mark.parametrize("record_format", FORMATS, ids=lambda item: item.name)
@settings(max_examples=40, deadline=None)
@given(batch=batches(), padded=st.booleans())
def test_any_batch_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, record_format: RecordFormat, batch: Batch, padded: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / f"any{record_format.suffix}"
    head = TokenClassification(("a", "b", "c"))
    layout = layout_of(batch, len(batch))
    records = records_of(batch, layout, head, 9 if padded else None, pad_token_id=7)
    assert record_format.write(file, records) == len(batch)
    found = rows_of(record_format.read(file) if len(batch) else [], layout, file.name)
    assert_same_batch(found.batch, batch)


def test_more_rows_than_are_handled_at_a_time(tmp_path: Path) -> None:
    batch = from_rows([[1, row, 2] for row in range(1300)], [[0, 0, 1]] * 1300)
    layout = layout_of(batch, 1300)
    assert not layout.example_index
    file = tmp_path / "x.tf_record"
    TFRecordFormat().write(file, records_of(batch, layout, SequenceClassification(("a",)), 4, 0))
    found = rows_of(TFRecordFormat().read(file), layout, "x")
    assert_same_batch(found.batch, batch)
    assert found.numbers.tolist() == list(range(1, 1301))


# What is written, against google-research/bert's features as transformers' tokenizer makes them


def test_classification_features_are_those_of_run_classifier(rte_records: Path, small_rte: Path, tiny_en: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_en)
    lines = (small_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    description = dict.fromkeys(("input_ids", "input_mask", "segment_ids", "label_ids", "is_real_example"), "int")
    found = list(tfrecord.tfrecord_loader(str(rte_records / "dev.tf_record"), None))
    assert len(found) == len(lines) == 30
    for row, line in zip(found, lines, strict=True):
        _, first, second, label = line.split("\t")
        inputs = tokenizer(first, second, truncation=True, max_length=48, padding="max_length")
        assert set(row) == set(description)
        assert row["input_ids"].tolist() == inputs["input_ids"]
        assert row["input_mask"].tolist() == inputs["attention_mask"]
        assert row["segment_ids"].tolist() == inputs["token_type_ids"]
        assert row["label_ids"].tolist() == [RTE_LABELS.index(label)]
        assert row["is_real_example"].tolist() == [1]


def features_of(head: Any, columns: dict[str, Column], positions: list[list[int]] | None = None) -> dict[str, list]:
    batch = from_rows([[101, 5, 6, 102], [101, 7, 102]], [[0, 0, 1, 1], [0] * 3], columns, None, positions)
    records = list(records_of(batch, layout_of(batch, 2), head, 5, 0))
    return {name: np.array([record.features[name] for record in records]).tolist() for name in records[0].features}


def test_the_features_of_each_head() -> None:
    tokens = {
        "input_ids": [[101, 5, 6, 102, 0], [101, 7, 102, 0, 0]],
        "input_mask": [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]],
        "segment_ids": [[0, 0, 1, 1, 0], [0, 0, 0, 0, 0]],
    }
    real = {"is_real_example": [[1], [1]]}
    row = lambda *values: Column(np.array(values), "row")  # noqa: E731
    scores = Column(np.array([2.5, 1.25], dtype=np.float32), "row")
    assert features_of(Regression(), {"labels": scores}) == {**tokens, "label_ids": [[2.5], [1.25]], **real}
    several = SequenceClassification(("a", "b", "c"), multi_label=True)
    given = Column(np.array([[1, 0, 1], [0, 0, 0]], dtype=np.float32), "row")
    assert features_of(several, {"labels": given}) == {**tokens, "label_ids": [[1, 0, 1], [0, 0, 0]], **real}
    tags = Column(np.array([2, 1, 0], dtype=np.int32), "label")
    marked = {"label_ids": [[-100, 2, 1, -100, -100], [-100, 0, -100, -100, -100]]}
    mask = {"label_mask": [[0, 1, 1, 0, 0], [0, 1, 0, 0, 0]]}
    tagging = TokenClassification(("O", "B", "I"))
    assert features_of(tagging, {"labels": tags}, [[1, 2], [1]]) == {**tokens, **marked, **real, **mask}
    spans = {"start_positions": row(1, 0), "end_positions": row(2, 0)}
    assert features_of(SpanExtraction(), spans) == {
        **tokens,
        "start_positions": [[1], [0]],
        "end_positions": [[2], [0]],
        "unique_ids": [[1000000000], [1000000001]],
        "is_impossible": [[0], [1]],
    }


def test_unlabeled_rows_carry_the_first_label_as_in_run_classifier() -> None:
    assert features_of(SequenceClassification(("a", "b")), {})["label_ids"] == [[0], [0]]
    assert features_of(Regression(), {})["label_ids"] == [[0.0], [0.0]]
    assert features_of(SequenceClassification(("a", "b"), True), {})["label_ids"] == [[0, 0], [0, 0]]
    found = features_of(TokenClassification(("O", "B")), {}, [[1, 2], [1]])["label_ids"]
    assert found == [[-100, 0, 0, -100, -100], [-100, 0, -100, -100, -100]]
    assert "start_positions" not in features_of(SpanExtraction(), {})


# Real tasks: the same examples, rows, scores and predictions


def beginning(shared: Path, task: str, folder: Path) -> Path:
    """The beginning of a task's own files."""
    folder.mkdir()
    if task == "stsb":
        for name in ("train.tsv", "dev.tsv"):
            lines = (shared / "data" / "glue" / "STS-B" / name).read_text(encoding="utf-8").split("\n")
            (folder / name).write_text("\n".join(lines[:30]) + "\n", encoding="utf-8")
    elif task == "people_daily":
        for name in ("example.train", "example.dev"):
            sentences = (shared / "data" / "people_daily_ner" / name).read_text(encoding="utf-8").split("\n\n")
            (folder / name).write_text("\n\n".join(sentences[:30]) + "\n\n", encoding="utf-8")
    else:
        for source, name in (("train-v1.1.head.json", "train-v1.1.json"), ("dev-v1.1.json", "dev-v1.1.json")):
            content = json.loads((shared / "data" / "squad" / source).read_text(encoding="utf-8"))
            article = content["data"][0]
            data = [{**article, "paragraphs": article["paragraphs"][:3]}]
            (folder / name).write_text(json.dumps({**content, "data": data}), encoding="utf-8")
    return folder


def random_outputs(head: Any, batch: Batch) -> dict[str, Any]:
    seed = np.random.default_rng(5)
    sizes = {"row": len(batch), "token": len(batch.input_ids)}
    if batch.label_positions is not None:
        sizes["label"] = len(batch.label_positions)
    outputs: dict[str, Any] = {}
    for name, per in head.outputs.items():
        width = () if isinstance(head, SpanExtraction) else (head.output_size,)
        outputs[name] = seed.normal(size=(sizes[per], *width)).astype(np.float32)
    if "tags" in outputs:
        outputs["tags"] = outputs["logits"].argmax(axis=1).astype(np.int32)
    return outputs


@pytest.mark.parametrize("format_name", ["tfrecord", "jsonl"])
@pytest.mark.parametrize(("task_name", "length"), [("stsb", 24), ("people_daily", 24), ("squad", 96)])
def test_records_give_the_examples_rows_and_scores_of_the_text(
    registry: Registry, shared: Path, tiny_en: Path, tmp_path: Path, task_name: str, length: int, format_name: str
) -> None:
    raw = beginning(shared, task_name, tmp_path / "raw")
    before = resolved(registry, task_name, raw, tiny_en, **{"data.max_length": length})
    convert_data(before, registry, format_name, tmp_path / "records")
    after = resolved(registry, task_name, tmp_path / "records", tiny_en)
    assert after.data.max_length == length
    task, tokenizer = registry.task(task_name), open_model(str(tiny_en), registry, tensors=False).tokenizer(None)
    texts, records = open_data(task, before, registry), open_data(task, after, registry)
    assert set(records.files) == set(texts.files)
    assert (records.labels, records.discovered) == (texts.labels, texts.discovered)
    head = task.head(texts.labels, before.head)
    for split in texts.files:
        expected, found = texts.split(split), records.split(split)
        assert found.rows is not None
        assert list(found) == list(expected)
        assert [type(example) for example in found] == [type(example) for example in expected]
        wanted = replace(expected, files=()).encode(Encoder(task, before.data, tokenizer, head, length))
        encoding = found.encode(Encoder(task, after.data, tokenizer, head, length))
        assert_same_batch(encoding.batch, wanted.batch)
        assert encoding.truncated.tolist() == wanted.truncated.tolist()
        assert encoding.notes == wanted.notes
        evaluations = []
        for examples, batch, config in ((expected, wanted.batch, before), (found, encoding.batch, after)):
            accumulator = task.accumulator(examples, head, config.data)
            accumulator.add(batch, random_outputs(head, batch))
            evaluations.append(accumulator.result())
        assert evaluations[0].metrics == pytest.approx(evaluations[1].metrics, rel=0, abs=0, nan_ok=True)
        assert evaluations[0].predictions == evaluations[1].predictions
        assert evaluations[0].total == evaluations[1].total == len(expected)
        assert (found.notes, found.left_out) == (expected.notes, expected.left_out)
    assert records.notes == texts.notes
    if task_name != "stsb":
        assert len(encoding.batch) > len(expected), "some texts must have several windows"


TRAINING = {"train.max_steps": 4, "train.batch_size": 8, "train.learning_rate": 5e-4, "train.log_steps": 1}


def losses_of(folder: Path) -> list[float]:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [entry["loss"] for entry in entries if entry["kind"] == "train"]


@pytest.fixture(scope="module")
def run_on(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Trains on torch for a few steps."""
    pytest.importorskip("torch")
    parent = tmp_path_factory.mktemp("runs")

    def run(name: str, data: Path, **options: Any) -> Any:
        return bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=data,
            output=parent / name,
            seed=3,
            settings={**TRAINING, **options},
        )

    return run


@pytest.fixture(scope="module")
def run_on_text(run_on: Callable[..., Any], small_rte: Path) -> Any:
    return run_on("text", small_rte, **{"data.max_length": 48})


def assert_same_run(found: Any, expected: Any) -> None:
    assert losses_of(found.folder) == losses_of(expected.folder)
    assert found.summary == expected.summary
    for name in ("best/model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (found.folder / name).read_bytes() == (expected.folder / name).read_bytes()


def test_a_run_on_records_is_the_run_on_the_text(
    run_on: Callable[..., Any], run_on_text: Any, rte_records: Path
) -> None:
    found = run_on("records", rte_records)
    assert len(losses_of(found.folder)) == 4
    assert_same_run(found, run_on_text)
    assert (found.folder / "predictions.jsonl").read_bytes() == (run_on_text.folder / "predictions.jsonl").read_bytes()
    evaluation = bertcore.evaluate(run_on_text.folder, data=rte_records)
    assert evaluation.summary == run_on_text.summary


# Files of another program


@pytest.fixture
def foreign(small_rte: Path, tiny_en: Path, tmp_path: Path) -> Path:
    """RTE as run_classifier.py writes it, by the tfrecord package's writer and transformers' tokenizer."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_en)
    folder = tmp_path / "foreign"
    folder.mkdir()
    for split, name in (("train", "train.tf_record"), ("dev", "eval.tf_record"), ("dev", "predict.tf_record")):
        rows = []
        for line in (small_rte / f"{split}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            _, first, second, label = line.split("\t")
            inputs = tokenizer(first, second, truncation=True, max_length=48, padding="max_length")
            label_id = 0 if name == "predict.tf_record" else RTE_LABELS.index(label)
            rows.append((inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"], label_id, 1))
        # It fills the last batch for a TPU with rows that are none.
        rows += [([0] * 48, [0] * 48, [0] * 48, 0, 0)] * 2
        write_foreign(folder / name, rows)
    return folder


def write_foreign(file: Path, rows: list[Any], **changes: Any) -> None:
    writer = tfrecord.TFRecordWriter(str(file))
    for ids, mask, segments, label_id, real in rows:
        features: dict[str, Any] = {
            "input_ids": (ids, "int"),
            "input_mask": (mask, "int"),
            "segment_ids": (segments, "int"),
            "label_ids": (label_id, "int"),
            "is_real_example": (real, "int"),
        }
        features |= changes
        writer.write({name: feature for name, feature in features.items() if feature is not None})
    writer.close()


def test_files_of_another_program_are_trained_and_evaluated_on(
    run_on: Callable[..., Any], run_on_text: Any, foreign: Path
) -> None:
    found = run_on("foreign", foreign, **{"data.max_length": 48})
    assert_same_run(found, run_on_text)
    rows = [json.loads(line) for line in (found.folder / "predictions.jsonl").read_text().splitlines()]
    wanted = [json.loads(line) for line in (run_on_text.folder / "predictions.jsonl").read_text().splitlines()]
    for row, other in zip(rows, wanted, strict=True):
        assert (row["label"], row["prediction"]) == (other["label"], other["prediction"])
        assert "sentence1" not in row
    log = (found.folder / "run.log").read_text(encoding="utf-8")
    assert "the tokenizer of these records is not known" in log
    assert "eval.tf_record: 2 records with is_real_example 0 left out" in log


def test_names_of_files_and_splits(registry: Registry, foreign: Path, tiny_en: Path) -> None:
    task = registry.task("rte")
    config = resolved(registry, "rte", foreign, tiny_en)
    dataset = open_data(task, config, registry)
    assert set(dataset.files) == {"train", "dev", "test"}
    assert {example.label for example in dataset.split("dev")} == set(RTE_LABELS)
    assert {example.label for example in dataset.split("test")} == {None}, "predict.tf_record has no true labels"
    assert dataset.split("train")[2].origin == Origin(str(foreign / "train.tf_record"), part="record 3")
    # The parts of a file that was written in several.
    content = (foreign / "train.tf_record").read_bytes()
    (foreign / "train.tf_record").unlink()
    for part in range(2):
        (foreign / f"train.tf_record-{part:05d}-of-00002").write_bytes(content)
    assert len(open_data(task, config, registry).split("train")) == 2 * 72


# The names of the files; the file that is named, what is said of it, and the remedy.
CLAIMS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "a missing part": (
        ("train.tf_record-00000-of-00002",),
        "train.tf_record-00001-of-00002",
        "no such file, and 1 of 2 parts are there",
        "get the parts that are missing",
    ),
    "a missing first part": (
        ("train-00001-of-00003.tfrecord", "train-00002-of-00003.tfrecord"),
        "train-00000-of-00003.tfrecord",
        "no such file, and 2 of 3 parts are there",
        "get the parts that are missing",
    ),
    "a part twice": (
        ("train-00000-of-00002.tfrecord", "train.tf_record-00000-of-00002"),
        "train-00000-of-00002.tfrecord",
        "train.tf_record-00000-of-00002 claims the split 'train' too",
        "keep the parts of one set",
    ),
    "parts of sets of different size": (
        ("train.tf_record-00000-of-00002", "train.tf_record-00001-of-00003"),
        "train.tf_record-00000-of-00002",
        "train.tf_record-00001-of-00003 claims the split 'train' too",
        "keep the parts of one set",
    ),
    "a number beyond the set": (
        ("train.tf_record-00000-of-00002", "train.tf_record-00007-of-00002"),
        "train.tf_record-00007-of-00002",
        "there is no part 7 of 2",
        "give it the number of its part",
    ),
    "a set of no parts": (
        ("train.tf_record-00000-of-00000",),
        "train.tf_record-00000-of-00000",
        "there is no part 0 of 0",
        "remove the file",
    ),
    "a whole file beside a set": (
        ("train.tf_record", "train.tf_record-00000-of-00001"),
        "train.tf_record",
        "train.tf_record-00000-of-00001 claims the split 'train' too",
        "remove one of the two",
    ),
    "two suffixes": (
        ("train.tf_record", "train.tfrecord"),
        "train.tf_record",
        "train.tfrecord claims the split 'train' too",
        "remove one of the two",
    ),
    "two names of the evaluated split": (
        ("dev.tf_record", "eval.tf_record"),
        "dev.tf_record",
        "eval.tf_record claims the split 'dev' too",
        "remove one of the two",
    ),
    "two names of the test split": (
        ("predict.tf_record", "test.tf_record"),
        "predict.tf_record",
        "test.tf_record claims the split 'test' too",
        "remove one of the two",
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_split_is_one_file_or_one_whole_set_of_parts(
    registry: Registry, tiny_en: Path, tmp_path: Path, claim: str
) -> None:
    names, file, problem, remedy = CLAIMS[claim]
    for name in names:
        write_foreign(tmp_path / name, [ROW])
    error = mistake_of(registry, tmp_path, tiny_en)
    assert isinstance(error, DataError)
    assert error.cause.startswith(f"{tmp_path / file}: {problem}")
    assert remedy in error.remedy


def test_parts_are_read_in_the_order_of_their_numbers(registry: Registry, tiny_en: Path, tmp_path: Path) -> None:
    for number in (2, 0, 1):
        _, *rest = ROW
        write_foreign(tmp_path / f"dev-{number:05d}-of-00003.tfrecord", [([101, 50 + number, 8, 102, 0], *rest)])
    found = open_data(registry.task("rte"), resolved(registry, "rte", tmp_path, tiny_en), registry).split("dev")
    assert found.rows is not None
    assert found.rows.batch.input_ids.reshape(3, 4)[:, 1].tolist() == [50, 51, 52]


def test_labels_may_stand_beside_the_records(registry: Registry, foreign: Path, tiny_en: Path) -> None:
    """For a task that finds its labels in its data."""
    task = registry.task("classification")
    config = resolved(registry, "classification", foreign, tiny_en)
    with pytest.raises(DataError) as caught:
        open_data(task, config, registry)
    assert "nothing says what the labels of the records are called" in caught.value.cause
    assert '{"labels"' in caught.value.remedy
    (foreign / "records.json").write_text('{"labels": ["yes", "no"]}', encoding="utf-8")
    dataset = open_data(task, config, registry)
    assert dataset.labels == ("yes", "no")
    assert {example.label for example in dataset.split("dev")} == {"yes", "no"}


def test_a_regression_is_read_from_floats_and_from_whole_numbers(
    registry: Registry, foreign: Path, tiny_en: Path
) -> None:
    for name, feature in (("eval", ([2.75], "float")), ("train", ([4], "int"))):
        rows = [([101, 7, 102, 0], [1, 1, 1, 0], [0] * 4, 0, 1)]
        write_foreign(foreign / f"{name}.tf_record", rows, label_ids=feature)
    dataset = open_data(registry.task("stsb"), resolved(registry, "stsb", foreign, tiny_en), registry)
    assert [example.label for example in dataset.split("dev")] == [2.75]
    assert [example.label for example in dataset.split("train")] == [4.0]


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_finite_number_is_named_by_its_record(
    registry: Registry, tiny_en: Path, tmp_path: Path, score: float
) -> None:
    file = tmp_path / "train.tf_record"
    write_foreign(file, [ROW] * 2, label_ids=([2.5], "float"))
    good = file.read_bytes()
    write_foreign(file, [ROW], label_ids=([score], "float"))
    file.write_bytes(good + file.read_bytes())
    dataset = open_data(registry.task("stsb"), resolved(registry, "stsb", tmp_path, tiny_en), registry)
    with pytest.raises(DataError) as caught:
        dataset.split("train")
    assert caught.value.cause == f"{file}: record 3: label_ids holds NaN or infinity"
    assert "a finite number" in caught.value.remedy


def test_a_score_of_a_converted_folder_that_is_no_number_is_named_by_its_record(
    registry: Registry, shared: Path, tiny_en: Path, tmp_path: Path
) -> None:
    raw = beginning(shared, "stsb", tmp_path / "raw")
    config = resolved(registry, "stsb", raw, tiny_en, **{"data.max_length": 48})
    convert_data(config, registry, "jsonl", tmp_path / "records")
    file = tmp_path / "records" / "dev.jsonl"
    rows = list(lines_of(file))
    rows[4]["label_ids"] = [np.nan]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    error = mistake_of(registry, tmp_path / "records", tiny_en, "stsb")
    assert error.cause == f"{file}: record 5: label_ids holds NaN or infinity"


def test_a_record_that_does_not_say_whether_it_is_real_is_a_row(
    registry: Registry, tiny_en: Path, tmp_path: Path
) -> None:
    file = tmp_path / "dev.tf_record"
    write_foreign(file, [ROW], is_real_example=None)
    without = file.read_bytes()
    write_foreign(file, [ROW], is_real_example=(0, "int"))
    padding = file.read_bytes()
    write_foreign(file, [ROW])
    file.write_bytes(without + padding + file.read_bytes() + without)
    found = open_data(registry.task("rte"), resolved(registry, "rte", tmp_path, tiny_en), registry).split("dev")
    assert found.rows is not None
    assert [example.origin.part for example in found] == [f"record {number}" for number in (1, 3, 4)]
    assert found.notes == (f"{file.name}: 1 records with is_real_example 0 left out",)


@pytest.mark.parametrize("task_name", ["classification", "rte"])
def test_labels_of_one_name_are_refused(registry: Registry, foreign: Path, tiny_en: Path, task_name: str) -> None:
    (foreign / "records.json").write_text('{"labels": ["x", "y", "x"]}', encoding="utf-8")
    error = mistake_of(registry, foreign, tiny_en, task_name)
    assert isinstance(error, DataError)
    assert error.cause == f"{foreign / 'records.json'}: labels: two labels are named 'x'"
    assert error.remedy == "give every label a name of its own, in the order of the ids"


@pytest.mark.parametrize("task_name", ["squad", "people_daily"])
def test_what_cannot_be_scored_without_texts_is_refused(
    registry: Registry, foreign: Path, tiny_en: Path, task_name: str
) -> None:
    (foreign / "records.json").write_text('{"labels": ["O", "B-PER", "I-PER"]}', encoding="utf-8")
    with pytest.raises(DataError, match="cannot be scored without") as caught:
        open_data(registry.task(task_name), resolved(registry, task_name, foreign, tiny_en), registry)
    assert "bertcore data convert" in caught.value.remedy


ROW = ([101, 7, 8, 102, 0], [1, 1, 1, 1, 0], [0, 0, 1, 1, 0], 1, 1)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": (
        dict.fromkeys(("input_ids", "input_mask", "segment_ids", "label_ids", "is_real_example")),
        "no feature 'input_ids' among none",
    ),
    "no label": ({"label_ids": None}, "no feature 'label_ids' among input_ids"),
    "no mask": ({"input_mask": None}, "no feature 'input_mask'"),
    "floats": ({"label_ids": ([1.0], "float")}, "label_ids holds floats instead of int64"),
    "float tokens": ({"input_ids": ([1.0] * 5, "float")}, "input_ids holds floats instead of int64"),
    "bytes": ({"segment_ids": ([b"0"] * 5, "byte")}, "segment_ids holds bytes instead of int64"),
    "two labels": ({"label_ids": ([0, 1], "int")}, "label_ids does not hold 1 value"),
    "unknown label": ({"label_ids": ([2], "int")}, "label_ids is 2, and there are the labels entailment, not_ent"),
    "negative label": ({"label_ids": ([-1], "int")}, "label_ids is -1"),
    "a huge label": ({"label_ids": ([2**40], "int")}, "label_ids holds a value that is no int32"),
    "lengths": ({"segment_ids": ([0, 0], "int")}, "segment_ids and input_ids differ in length"),
    "a hole": ({"input_mask": ([1, 0, 1, 1, 0], "int")}, "input_mask is not ones followed by zeros"),
    "another mask": ({"input_mask": ([1, 1, 2, 0, 0], "int")}, "input_mask holds a value other than 0 and 1"),
    "a mask of no ones": ({"input_mask": ([2, 2, 2, 2, 0], "int")}, "input_mask holds a value other than 0 and 1"),
    "no token": ({"input_mask": ([0] * 5, "int")}, "input_mask has no token"),
    "a negative token": ({"input_ids": ([101, -1, 8, 102, 0], "int")}, "input_ids holds a value that is no id"),
    "a huge token": ({"input_ids": ([101, 2**31, 8, 102, 0], "int")}, "input_ids holds a value that is no id"),
    "vocabulary": ({"input_ids": ([101, 30522, 8, 102, 0], "int")}, "the token 30522 is beyond the model's 30522"),
    "segments": ({"segment_ids": ([0, 0, 2, 2, 0], "int")}, "the segment 2 is beyond the model's 2 segments"),
    "too long": ({name: ([1] * 600, "int") for name in ("input_ids", "input_mask", "segment_ids")}, "600 tokens, and"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_record_is_named(registry: Registry, tiny_en: Path, tmp_path: Path, mistake: str) -> None:
    changes, problem = WRONG[mistake]
    (tmp_path / "foreign").mkdir()
    file = tmp_path / "foreign" / "dev.tf_record"
    write_foreign(file, [ROW] * 2)
    good = file.read_bytes()
    write_foreign(file, [ROW], **changes)
    file.write_bytes(good + file.read_bytes() + good)
    error = mistake_of(registry, file.parent, tiny_en)
    assert isinstance(error, DataError)
    assert error.cause.startswith(f"{file}: record 3: ")
    assert problem in error.cause


# Records that do not fit what reads them


def read_all(registry: Registry, folder: Path, model: Path, task: str, **options: Any) -> None:
    """Reads all splits as a run does."""
    config = resolved(registry, task, folder, model, **options)
    dataset = open_data(registry.task(task), config, registry)
    source = open_model(str(model), registry, tensors=False)
    head = registry.task(task).head(dataset.labels, config.head)
    for split in dataset.files:
        found = dataset.split(split)
        assert found.rows is not None
        found.rows.encoding(source.tokenizer(config.data.lowercase), head, config.data.max_length or 512)


def mistake_of(registry: Registry, folder: Path, model: Path, task: str = "rte", **options: Any) -> BertcoreError:
    with pytest.raises(BertcoreError) as caught:
        read_all(registry, folder, model, task, **options)
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    return caught.value


def change_description(folder: Path, **changes: Any) -> None:
    file = folder / "records.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_records_of_another_task(registry: Registry, rte_records: Path, tiny_en: Path) -> None:
    error = mistake_of(registry, rte_records, tiny_en, task="mrpc")
    assert "these are records of the task rte, not of mrpc" in error.cause
    assert "--task rte" in error.remedy


def test_records_of_another_tokenizer(
    registry: Registry, copied_records: Path, rte_records: Path, chinese_l12: Path, tiny_en: Path
) -> None:
    assert "another tokenizer than the model's" in mistake_of(registry, rte_records, chinese_l12).cause
    error = mistake_of(registry, rte_records, tiny_en, **{"data.lowercase": False})
    assert "data.lowercase = null, and this is false" in error.cause


def test_rows_that_are_too_long(registry: Registry, rte_records: Path, tiny_en: Path) -> None:
    error = mistake_of(registry, rte_records, tiny_en, **{"data.max_length": 40})
    assert "train.tf_record: record " in error.cause
    assert "tokens, and at most 40 are allowed" in error.cause
    assert "data.max_length=40" in error.remedy


def test_a_model_with_other_labels(
    registry: Registry, copied_records: Path, tiny_en: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_description(copied_records, head_labels=["not_entailment", "entailment"])
    assert "the labels of the records are not_ent" in mistake_of(registry, copied_records, tiny_en).cause
    change_description(copied_records, head="regression")
    assert "the head regression, and this is sequence_class" in mistake_of(registry, copied_records, tiny_en).cause


def test_options_of_the_records_are_taken_over(registry: Registry, shared: Path, tiny_en: Path, tmp_path: Path) -> None:
    """And another value than theirs is refused."""
    raw = beginning(shared, "people_daily", tmp_path / "raw")
    config = resolved(registry, "people_daily", raw, tiny_en, **{"data.max_length": 24, "data.overlap": 4})
    convert_data(config, registry, "tfrecord", tmp_path / "records")
    settings = gather_settings(environment={}, options={"task": "people_daily", "data.path": str(tmp_path / "records")})
    resolution = resolve_run(settings, registry)
    assert resolution.config.data.overlap == 4
    assert resolution.origins["data.overlap"] == str(tmp_path / "records" / "records.json")
    error = mistake_of(registry, tmp_path / "records", tiny_en, "people_daily", **{"data.overlap": 5})
    assert "data.overlap = 4, and this is 5" in error.cause


def change_column(folder: Path, **changes: Any) -> None:
    """Of the labels of the dev split."""
    splits = json.loads((folder / "records.json").read_text(encoding="utf-8"))["splits"]
    splits["dev"]["columns"][0] |= changes
    change_description(folder, splits=splits)


def change_file(folder: Path, name: str) -> None:
    """Of the records of the dev split."""
    splits = json.loads((folder / "records.json").read_text(encoding="utf-8"))["splits"]
    splits["dev"]["file"] = name
    change_description(folder, splits=splits)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (lambda folder: (folder / "records.json").write_text("{"), "records.json: Expecting"),
    "another version": (lambda folder: change_description(folder, version=2), "version 2 is not known"),
    "an unknown field": (lambda folder: change_description(folder, colour=1), "records.json: colour: "),
    "a wrong field": (lambda folder: change_description(folder, labels=3), "records.json: labels: "),
    "a label twice": (lambda folder: change_description(folder, labels=["x", "x"]), "labels: two labels are named 'x'"),
    "a label of the head twice": (
        lambda folder: change_description(folder, head_labels=["O", "B", "O"]),
        "records.json: head_labels: two labels are named 'O'",
    ),
    "a list": (lambda folder: (folder / "records.json").write_text("[]"), "records.json: the file: "),
    "endless nesting": (
        lambda folder: (folder / "records.json").write_text("[" * 100_000),
        "100 deep",
    ),
    "a wrong place": (lambda folder: change_column(folder, per="page"), "records.json: splits.dev.columns.0.per: "),
    "no type": (lambda folder: change_column(folder, dtype="papyrus"), "'papyrus' is no type of numbers"),
    "texts": (lambda folder: change_column(folder, dtype="S8"), "'S8' is no type of numbers"),
    "a shape that no array has": (lambda folder: change_column(folder, shape=[2**40, 2**40]), "so many numbers"),
    "too many dimensions": (lambda folder: change_column(folder, shape=[1] * 40), "40 dimensions"),
    "a file as no system has": (lambda folder: change_file(folder, "x" * 300), "no such file, though records.json"),
    "a file of no name": (lambda folder: change_file(folder, "a\0b"), "no such file, though records.json"),
    "a wrong shape": (lambda folder: change_column(folder, shape=[-1]), "splits.dev.columns.0.shape.0: "),
    "labels without positions": (lambda folder: change_column(folder, per="label"), "and label_positions is false"),
    "another encoding": (lambda folder: change_description(folder, encoding_version=99), "makes other rows today"),
    "an unknown format": (lambda folder: change_description(folder, format="papyrus"), "no plugin reads records"),
    "no records": (lambda folder: (folder / "dev.tf_record").unlink(), "dev.tf_record: no such file"),
    "no examples": (lambda folder: (folder / "dev.examples.jsonl").unlink(), "dev.examples.jsonl: no such file"),
    "empty records": (lambda folder: (folder / "dev.tf_record").write_bytes(b""), "dev.tf_record: the file is empty"),
    "fewer examples": (
        lambda folder: (folder / "dev.examples.jsonl").write_text('{"identifier": "1", "texts": {}}\n'),
        "1 examples, and records.json says 30",
    ),
    "an odd example": (
        lambda folder: (folder / "dev.examples.jsonl").write_text('{"id": 1}\n'),
        "dev.examples.jsonl:1: no example of the task rte",
    ),
    "a strange class": (
        lambda folder: (folder / "dev.examples.jsonl").write_text('{"$class": "subprocess:Popen", "args": "ls"}\n'),
        "is no class of the task's own package",
    ),
    "a class that is no name": (
        lambda folder: (folder / "dev.examples.jsonl").write_text('{"$class": 5}\n'),
        "dev.examples.jsonl:1: no example of the task rte",
    ),
    "fewer records": (
        lambda folder: shutil.copy(folder / "dev.tf_record", folder / "train.tf_record"),
        "train.tf_record: 30 records, and records.json says 72",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder(registry: Registry, copied_records: Path, tiny_en: Path, damage: str) -> None:
    change, problem = DAMAGE[damage]
    change(copied_records)
    assert problem in mistake_of(registry, copied_records, tiny_en).cause


@pytest.mark.parametrize(("task_name", "number", "label"), [("rte", 3, 2), ("people_daily", 3, -1)])
def test_a_label_that_is_none_is_named_by_its_record(
    registry: Registry,
    shared: Path,
    small_rte: Path,
    tiny_en: Path,
    tmp_path: Path,
    task_name: str,
    number: int,
    label: int,
) -> None:
    """In a format without checksums."""
    raw = small_rte if task_name == "rte" else beginning(shared, task_name, tmp_path / "raw")
    config = resolved(registry, task_name, raw, tiny_en, **{"data.max_length": 64})
    convert_data(config, registry, "jsonl", tmp_path / "records")
    read_all(registry, tmp_path / "records", tiny_en, task_name)
    file = tmp_path / "records" / "dev.jsonl"
    rows = list(lines_of(file))
    labels = rows[number - 1]["label_ids"]
    labels[-2 if len(labels) > 1 else 0] = label
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    error = mistake_of(registry, tmp_path / "records", tiny_en, task_name)
    assert f"dev.jsonl: record {number}: the label {label} is none of " in error.cause


@pytest.mark.parametrize(("name", "position"), [("start_positions", -2), ("end_positions", 64)])
def test_an_answer_outside_its_row_is_named_by_its_record(
    registry: Registry, shared: Path, tiny_en: Path, tmp_path: Path, name: str, position: int
) -> None:
    config = resolved(
        registry, "squad", beginning(shared, "squad", tmp_path / "raw"), tiny_en, **{"data.max_length": 64}
    )
    convert_data(config, registry, "jsonl", tmp_path / "records")
    read_all(registry, tmp_path / "records", tiny_en, "squad")
    file = tmp_path / "records" / "train.jsonl"
    rows = list(lines_of(file))
    rows[3][name] = [position]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    error = mistake_of(registry, tmp_path / "records", tiny_en, "squad")
    length = sum(rows[3]["input_mask"])
    assert error.cause == f"{file}: record 4: {name} is {position}, and the row has {length} tokens"


def test_segments_are_those_that_the_tokenizer_gives(tiny_en: Path, bpe_tokenizer: Path, tmp_path: Path) -> None:
    """Two for BERT's and, though it gives one, RoBERTa's; three where a tokenizer has one of its own for [CLS]."""
    assert Tokenizer.load(tiny_en).segment_count == 2
    assert Tokenizer.load(bpe_tokenizer).segment_count == 2
    inner = tokenizers.Tokenizer.from_file(str(tiny_en / "tokenizer.json"))
    template = "[CLS]:2 $A:0 [SEP]:0", "[CLS]:2 $A:0 [SEP]:0 $B:1 [SEP]:1"
    special = [(token, inner.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    inner.post_processor = tokenizers.processors.TemplateProcessing(*template, special)
    inner.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.load(tmp_path).segment_count == 3


def test_a_flipped_bit_is_found_by_a_run(registry: Registry, copied_records: Path, tiny_en: Path) -> None:
    content = bytearray((copied_records / "dev.tf_record").read_bytes())
    content[len(content) // 2] ^= 1
    (copied_records / "dev.tf_record").write_bytes(content)
    assert "is damaged (wrong checksum)" in mistake_of(registry, copied_records, tiny_en).cause


# Formats of plugins


def test_each_format_is_switched_off_by_its_own_name(registry: Registry) -> None:
    for name in ("tfrecord", "jsonl"):
        assert set(registry.record_formats) - set(Registry(blocked=[name]).record_formats) == {name}


class Punched(RecordFormat):
    """A format that cannot be used here."""

    name = "punched"
    description = "cards"
    suffix = ".cards"
    recognized = (".cards",)

    def problem(self) -> tuple[str, str] | None:
        return "no reader of cards is installed", "buy one"

    def write(self, file, records):
        raise NotImplementedError

    def read(self, file):
        raise NotImplementedError


@pytest.fixture
def with_cards() -> Registry:
    class Plugin:
        @hookimpl
        def bertcore_register_record_formats(self) -> list[RecordFormat]:
            return [Punched()]

    plugins = installed_plugins()
    plugins.register(Plugin(), "cards")
    return Registry(plugins)


def test_a_format_that_cannot_be_used_says_what_to_install(
    with_cards: Registry, small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    config = resolved(with_cards, "rte", small_rte, tiny_en)
    with pytest.raises(DeviceError, match="no reader of cards is installed") as caught:
        convert_data(config, with_cards, "punched", tmp_path / "out")
    assert caught.value.remedy == "buy one"
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "dev.cards").write_bytes(b"")
    with pytest.raises(DeviceError, match="no reader of cards is installed"):
        open_data(with_cards.task("rte"), resolved(with_cards, "rte", tmp_path / "cards", tiny_en), with_cards)
    (tmp_path / "cards" / "dev.tf_record").write_bytes(b"")
    with pytest.raises(DataError, match="records of one format are needed, and there are punched, tfrecord"):
        open_data(with_cards.task("rte"), resolved(with_cards, "rte", tmp_path / "cards", tiny_en), with_cards)


def test_an_unknown_format(registry: Registry, small_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no record format 'tfrecords'") as caught:
        convert_data(resolved(registry, "rte", small_rte, tiny_en), registry, "tfrecords", tmp_path / "out")
    assert "tfrecord" in caught.value.remedy


# Whole or not at all


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["full disk", "Ctrl-C"],
)
def test_a_stopped_conversion_leaves_nothing(
    registry: Registry,
    small_rte: Path,
    tiny_en: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    from bertcore.data.records import tfrecord as module

    write, written = module.write_record, []

    def fail(file: Any, data: bytes) -> None:
        if len(written) == 80:  # in the middle of the second split
            raise failure
        written.append(data)
        write(file, data)

    monkeypatch.setattr(module, "write_record", fail)
    with pytest.raises(raised) as caught:
        convert_data(resolved(registry, "rte", small_rte, tiny_en), registry, "tfrecord", tmp_path / "a" / "out")
    if raised is OutputError:
        assert "no space left on device" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(
    registry: Registry, small_rte: Path, tiny_en: Path, rte_records: Path
) -> None:
    before = {file.name: file.read_bytes() for file in rte_records.iterdir()}
    with pytest.raises(OutputError, match="holds something already"):
        convert_data(resolved(registry, "rte", small_rte, tiny_en), registry, "jsonl", rte_records)
    assert {file.name: file.read_bytes() for file in rte_records.iterdir()} == before


def test_a_stream_is_written_window_by_window(
    registry: Registry, small_rte: Path, tiny_en: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = registry.task("rte")
    whole = resolved(registry, "rte", small_rte, tiny_en, **{"data.max_length": 48})
    examples = open_data(task, whole, registry).split("train")
    tokenizer = open_model(str(tiny_en), registry, tensors=False).tokenizer(None)
    encoder = Encoder(task, whole.data, tokenizer, task.head(RTE_LABELS, whole.head), 48)
    expected = replace(examples, files=()).encode(encoder)
    opened, held, encode = type(task).open, [], type(task).encode

    def stream(self: Any, data: DataConfig) -> Any:
        dataset = opened(self, data)

        def read(split: str) -> Any:
            found = dataset.read(split)
            return Split(stream=lambda: iter(found)) if split == "train" else found

        return replace(dataset, read=read)

    def counted(self: Any, examples: Any, *arguments: Any) -> Any:
        held.append(len(examples))
        return encode(self, examples, *arguments)

    monkeypatch.setattr(type(task), "open", stream)
    monkeypatch.setattr(type(task), "encode", counted)
    config = resolved(registry, "rte", small_rte, tiny_en, **{"data.max_length": 48, "data.stream_window": 20})
    made = convert_data(config, registry, "tfrecord", tmp_path / "out")
    assert held[:4] == [20, 20, 20, 12]
    assert (made.splits["train"].examples, made.splits["train"].records) == (72, 72)
    found = open_data(task, resolved(registry, "rte", tmp_path / "out", tiny_en), registry).split("train")
    assert found.rows is not None
    assert list(found) == list(examples)
    assert_same_batch(found.rows.batch, expected.batch)


def test_an_empty_split(registry: Registry, copied_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    header = (copied_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()[0]
    (copied_rte / "dev.tsv").write_text(header + "\n", encoding="utf-8")
    convert_data(resolved(registry, "rte", copied_rte, tiny_en), registry, "tfrecord", tmp_path / "out")
    dataset = open_data(registry.task("rte"), resolved(registry, "rte", tmp_path / "out", tiny_en), registry)
    found = dataset.split("dev")
    assert found.rows is not None
    assert len(found) == len(found.rows.batch) == 0


# JSON lines, to look into


def lines_of(file: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())


def test_json_lines_show_tokens_offsets_and_labels(
    registry: Registry, small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_en)
    config = resolved(registry, "rte", small_rte, tiny_en, **{"data.max_length": 40})
    convert_data(config, registry, "jsonl", tmp_path / "out")
    lines = (small_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    for row, line in zip(lines_of(tmp_path / "out" / "dev.jsonl"), lines, strict=True):
        identifier, first, second, label = line.split("\t")
        inputs = tokenizer(first, second, truncation=True, max_length=40, return_offsets_mapping=True)
        assert (row["example"], row["labels"], row["input_ids"]) == (identifier, label, inputs["input_ids"])
        assert row["tokens"] == tokenizer.convert_ids_to_tokens(inputs["input_ids"])
        offsets = zip(inputs["offset_mapping"], inputs.sequence_ids(), strict=True)
        assert row["offsets"] == [
            None if text is None else [("sentence1", "sentence2")[text], *span] for span, text in offsets
        ]


def test_json_lines_of_windows_and_tags(registry: Registry, shared: Path, tiny_en: Path, tmp_path: Path) -> None:
    """Every token stands where its offsets say, and every tag of the text is shown at its character."""
    raw = beginning(shared, "people_daily", tmp_path / "raw")
    config = resolved(registry, "people_daily", raw, tiny_en, **{"data.max_length": 24, "data.overlap": 4})
    convert_data(config, registry, "jsonl", tmp_path / "out")
    gold: list[list[str]] = [
        [line.split()[1] for line in sentence.splitlines()]
        for sentence in (raw / "example.dev").read_text(encoding="utf-8").strip().split("\n\n")
    ]
    texts = {row["identifier"]: row["texts"]["text"] for row in lines_of(tmp_path / "out" / "dev.examples.jsonl")}
    seen: dict[str, set[int]] = {identifier: set() for identifier in texts}
    for row in lines_of(tmp_path / "out" / "dev.jsonl"):
        text = texts[row["example"]]
        tags = gold[list(texts).index(row["example"])]
        for token, place, tag in zip(row["tokens"][1:-1], row["offsets"][1:-1], row["labels"][1:-1], strict=True):
            field, start, end = place
            assert field == "text"
            assert token in (text[start:end].lower(), "[UNK]")
            inside = tags[start].partition("-")[2] == tag.partition("-")[2]
            assert inside, "a window may begin an entity anew, but not change its type"
            seen[row["example"]].add(start)
    assert {identifier: len(found) for identifier, found in seen.items()} == {
        identifier: len(text) for identifier, text in texts.items()
    }


def test_records_are_converted_into_records(
    registry: Registry, rte_records: Path, tiny_en: Path, tmp_path: Path
) -> None:
    """Of another format and back: the same file."""
    for source, format_name, folder in ((rte_records, "jsonl", "a"), (tmp_path / "a", "tfrecord", "b")):
        convert_data(resolved(registry, "rte", source, tiny_en), registry, format_name, tmp_path / folder)
    for name in ("train.tf_record", "dev.tf_record", "dev.examples.jsonl", "records.json"):
        assert (tmp_path / "b" / name).read_bytes() == (rte_records / name).read_bytes()


def test_a_json_line_that_is_no_record(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"input_ids": [1]}\n{"input_ids": [99999999999999999999]}\n', encoding="utf-8")
    with pytest.raises(DataError, match="record 2: input_ids holds a number beyond 64 bits"):
        list(JsonLinesFormat().read(file))
    file.write_text('{"input_ids": [1], "tokens": ["a"], "labels": null}\n', encoding="utf-8")
    (record,) = JsonLinesFormat().read(file)
    assert isinstance(record, FeatureRecord)
    assert list(record.features) == ["input_ids"]


@pytest.mark.parametrize("groups", [[0, 0], None])
def test_what_records_have_no_feature_for_is_refused(groups: list[int] | None) -> None:
    per = "span" if groups is None else "group"
    batch = from_rows([[1], [2]], [[0], [0]], {"labels": Column(np.zeros(1, dtype=np.int32), per)}, groups=groups)
    with pytest.raises(UsageError, match="not written to records") as caught:
        layout_of(batch, 2)
    assert caught.value.code == "not-offered"
