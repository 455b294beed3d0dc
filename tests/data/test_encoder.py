"""The cache of encoded splits: used when nothing has changed, never when something has, made anew when damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.dataset import Dataset, Example
from bertcore.contracts.evaluation import Accumulator, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding, Task
from bertcore.data import encoding_cache
from bertcore.data.encoder import Encoder
from bertcore.data.encoding_cache import cache_folder
from bertcore.heads import SequenceClassification
from bertcore.tokenization.tokenizer import Tokenizer

HEAD = SequenceClassification(("no", "yes"))
EXAMPLES = [
    Example("1", {"text": "one text, rather long"}, "yes", "dev.tsv:1"),
    Example("2", {"text": "two"}, "no", "dev.tsv:2"),
    Example("3", {"text": ""}, "yes", "dev.tsv:3"),
]


class CountingTask(Task):
    """Encodes with columns of every kind, and counts how often it was asked to."""

    name = "counting"
    description = "a task of the tests"
    metric = Metric("accuracy")

    def __init__(self) -> None:
        self.calls = 0

    def open(self, data: DataConfig) -> Dataset:
        raise NotImplementedError

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> Head:
        raise NotImplementedError

    def accumulator(self, examples: Sequence[Example], head: Head, data: DataConfig) -> Accumulator:
        raise NotImplementedError

    def parse_input(self, records, data):
        raise NotImplementedError

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Head, max_length: int, data: DataConfig
    ) -> Encoding:
        self.calls += 1
        rows = tokenizer.encode([example.texts["text"] for example in examples], None, max_length)
        count = len(examples)
        positions = [list(range(1, len(ids) - 1)) for ids in rows.input_ids]
        total, tokens = sum(map(len, positions)), sum(map(len, rows.input_ids))
        columns = {
            "labels": Column(np.arange(total, dtype=np.int32) % 2, "label", ignore=-100),
            "weights": Column(np.linspace(0, 1, count, dtype=np.float32), "row"),
            "several": Column(np.ones((count, 3), dtype=np.float32), "row", ignore=-1.5),
            "word": Column(np.arange(tokens, dtype=np.int64), "token"),
        }
        return Encoding(
            from_rows(rows.input_ids, rows.token_type_ids, columns, range(count), positions), rows.truncated
        )


class Split:
    """Everything that an encoder takes, with a change here and there."""

    def __init__(self, tokenizer: Tokenizer, file: Path) -> None:
        self.task = CountingTask()
        self.notes: list[str] = []
        self.examples, self.files = EXAMPLES, [file]
        self.encoder = Encoder(self.task, DataConfig(), tokenizer, HEAD, 8, self.notes.append)

    def encode(
        self, examples: Sequence[Example] | None = None, files: Sequence[Path] | None = None, **changes: Any
    ) -> Encoding:
        chosen = self.examples if examples is None else examples
        return replace(self.encoder, **changes).encode_examples(chosen, self.files if files is None else files)


@pytest.fixture
def split(tiny_en: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    monkeypatch.setenv("BERTCORE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "dev.tsv"
    file.write_text("the content of the file", encoding="utf-8")
    return Split(Tokenizer.load(tiny_en), file)


def cached_files() -> list[Path]:
    return sorted(cache_folder().iterdir()) if cache_folder().exists() else []


def assert_same(actual: Encoding, expected: Encoding) -> None:
    np.testing.assert_array_equal(actual.truncated, expected.truncated)
    found, wanted = actual.batch, expected.batch
    for name in (field for field in Batch.__dataclass_fields__ if isinstance(getattr(wanted, field), np.ndarray)):
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    assert set(found.columns) == set(wanted.columns)
    for name, column in wanted.columns.items():
        assert (found.columns[name].per, found.columns[name].ignore) == (column.per, column.ignore)
        assert found.columns[name].values.dtype == column.values.dtype
        np.testing.assert_array_equal(found.columns[name].values, column.values, err_msg=name)


def test_the_second_time_comes_from_the_cache(split):
    first = split.encode()
    assert len(first.truncated) == 0
    second = split.encode()
    assert split.task.calls == 1
    assert_same(second, first)
    assert second.batch.columns["labels"].ignore == -100
    assert len(cached_files()) == 1
    assert split.notes == []


def test_rows_of_the_cache_can_be_selected_and_changed(split):
    split.encode()
    batch = split.encode().batch
    assert batch.select([2, 0]).example_index.tolist() == [2, 0]
    batch.select([0]).input_ids[:] = 0


CHANGES: dict[str, Callable[[Split, Path], dict[str, object]]] = {
    "content of a file": lambda split, folder: (folder / "dev.tsv").write_text("other") and {},
    "name of a file": lambda split, folder: {"files": [(folder / "dev.tsv").rename(folder / "test.tsv")]},
    "fewer examples": lambda split, folder: {"examples": EXAMPLES[:2]},
    "no labels": lambda split, folder: {"examples": [replace(example, label=None) for example in EXAMPLES]},
    "other tokenizer": lambda split, folder: {"tokenizer": Tokenizer.load(split.model, lowercase=False)},
    "other labels": lambda split, folder: {"head": SequenceClassification(("yes", "no"))},
    "other length": lambda split, folder: {"max_length": 9},
    "other data option": lambda split, folder: {"options": DataConfig(max_length=7)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_encoded_anew(split, tiny_en, tmp_path, change):
    split.model = tiny_en
    split.encode()
    changes = CHANGES[change](split, tmp_path)
    split.encode(**changes)
    assert split.task.calls == 2
    split.encode(**changes)
    assert split.task.calls == 2
    assert len(cached_files()) == 2


def test_a_new_version_of_the_encoding_is_encoded_anew(split, monkeypatch):
    split.encode()
    monkeypatch.setattr(CountingTask, "encoding_version", 2)
    split.encode()
    assert split.task.calls == 2


def test_where_the_data_lies_and_how_it_is_streamed_changes_nothing(split, tmp_path):
    split.encode()
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "dev.tsv"
    copy.write_bytes((tmp_path / "dev.tsv").read_bytes())
    split.encode(files=[copy], options=DataConfig(path="elsewhere", stream_window=7))
    assert split.task.calls == 1


@pytest.mark.parametrize("changes", [{"options": DataConfig(cache=False)}, {"files": []}])
def test_the_cache_may_be_off(split, changes):
    for _ in range(2):
        split.encode(**changes)
    assert split.task.calls == 2
    assert cached_files() == []


@pytest.mark.parametrize("damage", ["empty", "half", "one byte short", "nonsense", "another tensor file"])
def test_a_damaged_file_is_made_anew_with_a_note(split, damage):
    expected = split.encode()
    (file,) = cached_files()
    content = file.read_bytes()
    if damage == "another tensor file":
        from bertcore.formats.safetensors_file import write_safetensors

        write_safetensors(file, {"something": np.zeros(3, dtype=np.float32)})
    else:
        short = {"empty": b"", "half": content[: len(content) // 2], "one byte short": content[:-1]}
        file.write_bytes(short.get(damage, b"nonsense" * 99))
    assert_same(split.encode(), expected)
    assert split.task.calls == 2
    assert len(split.notes) == 1
    assert file.name in split.notes[0]
    assert_same(split.encode(), expected)
    assert split.task.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(split, tmp_path, monkeypatch):
    expected = split.encode(options=DataConfig(cache=False))
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("BERTCORE_CACHE", str(tmp_path / "file"))
    assert_same(split.encode(), expected)
    assert len(split.notes) == 1
    assert "not cached" in split.notes[0]


def test_a_full_disk_leaves_nothing_in_the_cache(split, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(encoding_cache, "write_safetensors", full)
    split.encode()
    assert "No space left" in split.notes[0]
    assert cached_files() == []


def test_the_cache_is_in_the_users_cache_folder_unless_said_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("BERTCORE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bertcore"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "bertcore"
    monkeypatch.setenv("BERTCORE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
