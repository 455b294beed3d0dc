"""Records and MindSpore: its reader of TFRecords, its own MindRecord files, and a run on either."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.commands.convert_data import convert_data
from bertcore.config import gather_settings
from bertcore.contracts.dataset import Split
from bertcore.contracts.record_format import FeatureRecord
from bertcore.engine.preparation import open_data
from bertcore.engine.settings import resolve_run
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry
from bertcore.testing import RecordFormatConformance

pytestmark = pytest.mark.mindspore

pytest.importorskip("mindspore")

LENGTH = 48


def converted(data: Path, model: Path, format_name: str, folder: Path) -> Path:
    registry = Registry()
    options = {"task": "rte", "data.path": str(data), "model.path": str(model), "data.max_length": LENGTH}
    convert_data(
        resolve_run(gather_settings(environment={}, options=options), registry).config, registry, format_name, folder
    )
    return folder


def split_of(folder: Path, name: str = "dev") -> Split:
    registry = Registry()
    settings = gather_settings(environment={}, options={"task": "rte", "data.path": str(folder)})
    found = open_data(registry.task("rte"), resolve_run(settings, registry).config, registry).split(name)
    assert found.rows is not None
    return found


@pytest.fixture(scope="module")
def tfrecords(small_rte: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(small_rte, tiny_en, "tfrecord", tmp_path_factory.mktemp("tfrecord") / "rte")


@pytest.fixture(scope="module")
def mindrecords(small_rte: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return converted(small_rte, tiny_en, "mindrecord", tmp_path_factory.mktemp("mindrecord") / "rte")


def assert_rows(found: list[dict[str, Any]], folder: Path) -> None:
    """The rows that MindSpore's datasets give are those that we hold."""
    batch = split_of(folder).rows.batch
    padded = batch.padded(len(batch), LENGTH)
    assert len(found) == len(batch) == 30
    for row, values in enumerate(found):
        np.testing.assert_array_equal(values["input_ids"], padded.input_ids[row])
        np.testing.assert_array_equal(values["input_mask"], padded.attention_mask[row])
        np.testing.assert_array_equal(values["segment_ids"], padded.token_type_ids[row])
        assert values["label_ids"].tolist() == [batch.columns["labels"].values[row]]
        assert values["is_real_example"].tolist() == [1]


def test_tfrecords_are_read_by_mindspores_dataset(tfrecords: Path) -> None:
    from mindspore.dataset import TFRecordDataset

    dataset = TFRecordDataset(str(tfrecords / "dev.tf_record"), shuffle=False)
    assert_rows(list(dataset.create_dict_iterator(num_epochs=1, output_numpy=True)), tfrecords)


def test_mindrecords_are_read_by_mindspores_dataset(mindrecords: Path) -> None:
    from mindspore.dataset import MindDataset

    dataset = MindDataset(str(mindrecords / "dev.mindrecord"), shuffle=False)
    assert_rows(list(dataset.create_dict_iterator(num_epochs=1, output_numpy=True)), mindrecords)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_both_formats_hold_the_same(tfrecords: Path, mindrecords: Path, split: str) -> None:
    first, second = split_of(tfrecords, split), split_of(mindrecords, split)
    assert list(first) == list(second)
    for name in ("offsets", "input_ids", "token_type_ids", "example_index"):
        np.testing.assert_array_equal(getattr(first.rows.batch, name), getattr(second.rows.batch, name))
    labels = [found.rows.batch.columns["labels"].values for found in (first, second)]
    assert labels[0].dtype == labels[1].dtype == np.int32
    np.testing.assert_array_equal(*labels)


def test_files_of_another_program(tmp_path: Path) -> None:
    """Written by mindspore.mindrecord alone, with int32 fields."""
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(tmp_path / "eval.mindrecord"))
    tokens = {"type": "int32", "shape": [6]}
    names = ("input_ids", "input_mask", "segment_ids")
    writer.add_schema({**dict.fromkeys(names, tokens), "label_ids": {"type": "int32", "shape": [-1]}})
    rows = [([101, 7 + row, 102, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0] * 6, [row % 2]) for row in range(5)]
    for row in rows:
        keys = (*names, "label_ids")
        writer.write_raw_data([{key: np.array(value, np.int32) for key, value in zip(keys, row, strict=True)}])
    writer.commit()
    found = split_of(tmp_path)
    assert [example.label for example in found] == ["entailment", "not_entailment"] * 2 + ["entailment"]
    assert found.rows.batch.input_ids.tolist() == [token for row in rows for token in row[0][:3]]


class TestMindRecord(RecordFormatConformance):
    plugin = "bertcore_mindspore.plugin"


def test_a_file_without_records(tmp_path: Path) -> None:
    record_format = Registry().record_format("mindrecord")
    assert record_format.write(tmp_path / "b.mindrecord", iter([])) == 0
    assert list(record_format.read(tmp_path / "b.mindrecord")) == []


@pytest.mark.parametrize("damage", ["no index", "damaged index"])
def test_a_damaged_index_is_a_data_error(tmp_path: Path, damage: str) -> None:
    record_format = Registry().record_format("mindrecord")
    file = tmp_path / "dev.mindrecord"
    record_format.write(file, [FeatureRecord({"x": np.arange(3)})] * 4)
    index = tmp_path / "dev.mindrecord.db"
    if damage == "no index":
        index.unlink()
    else:
        index.write_bytes(b"nothing of SQLite" * 99)
    with pytest.raises(DataError) as caught:
        list(record_format.read(file))
    assert "dev.mindrecord" in caught.value.cause
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy


def test_an_index_that_lies_ends_another_process_and_not_this_one(tmp_path: Path) -> None:
    """MindSpore's own reader ends with a segmentation fault there."""
    records = [FeatureRecord({"input_ids": np.array([101, 7, 102]), "label_ids": np.array([1])}) for _ in range(3)]
    record_format = Registry().record_format("mindrecord")
    good, bad = tmp_path / "good.mindrecord", tmp_path / "bad.mindrecord"
    for file in (good, bad):
        record_format.write(file, records)
    with sqlite3.connect(tmp_path / "bad.mindrecord.db") as index:
        index.execute("UPDATE INDEXES SET PAGE_OFFSET_BLOB = -1")
    index.close()
    with pytest.raises(DataError, match=r"does not survive it \(signal 11\)"):
        list(record_format.read(bad))
    assert len(list(record_format.read(good))) == 3
    stopped = record_format.read(good)  # of which nobody wants the rest
    next(stopped)
    stopped.close()
    assert len(list(record_format.read(good))) == 3


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    from bertcore_mindspore import backend

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(backend, "version", missing)
    problem = Registry().record_format("mindrecord").problem()
    assert problem is not None
    assert "is not installed" in problem[0]
    assert problem[1] == "pip install 'bertcore-mindspore'"


def losses(folder: Path) -> list[float]:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [entry["loss"] for entry in entries if entry["kind"] == "train"]


def test_a_run_on_mindspore_reads_tfrecords(tfrecords: Path, small_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    """The same losses as torch on the text, and the same predictions."""
    pytest.importorskip("torch")
    results = {
        backend: bertcore.run(
            task="rte",
            backend=backend,
            model=tiny_en,
            data=data,
            output=tmp_path / backend,
            seed=3,
            settings={
                "data.max_length": LENGTH,
                "train.max_steps": 4,
                "train.batch_size": 8,
                "train.learning_rate": 5e-4,
                "train.dropout": False,
                "train.log_steps": 1,
            },
        )
        for backend, data in (("mindspore", tfrecords), ("torch", small_rte))
    }
    assert losses(tmp_path / "mindspore") == pytest.approx(losses(tmp_path / "torch"), rel=1e-4)
    predictions = [
        [json.loads(line)["prediction"] for line in (tmp_path / name / "predictions.jsonl").read_text().splitlines()]
        for name in results
    ]
    assert predictions[0] == predictions[1]
    assert len(predictions[0]) == 30
