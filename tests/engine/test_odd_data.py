"""Data as it comes: empty splits, texts without words, longer than the model, with odd characters; streams."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.api import RunResult, resume
from bertcore.config import DataConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.task import Task
from bertcore.errors import DataError, UsageError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.registry import Registry

pytest.importorskip("torch")

HEADER = "index\tsentence1\tsentence2\tlabel"
ODD_TEXTS = [
    ("", ""),
    ("", "only the second"),
    ("only the first", ""),
    ("   ", "\u3000 \u200b"),
    ('he said "no', "a \"quote\" is text, and 'so' is this"),
    ("emoji 😀👩‍👩‍👧 and é, é", "中文 and 日本語"),
    ("a NUL \0 and a bell \a", "form\ffeed, line\u2028separator, vertical\vtab"),
    ("word " * 700, "other " * 900),
    ("x" * 5000, "[CLS] [SEP] [MASK] [PAD] ##ing"),
]


def write(folder: Path, split: str, pairs: list[tuple[str, str]], *, end: str = "\n", start: str = "") -> None:
    lines = [HEADER] + [
        f"{number}\t{first}\t{second}\t{('entailment', 'not_entailment')[number % 2]}"
        for number, (first, second) in enumerate(pairs)
    ]
    (folder / f"{split}.tsv").write_bytes((start + "".join(line + end for line in lines)).encode())


@pytest.fixture
def train(tiny_en: Path, tmp_path: Path) -> Callable[..., RunResult]:
    def run(data: Path, **options: Any) -> RunResult:
        settings = {"train.max_steps": 2, "train.batch_size": 4}
        return bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=data,
            output=tmp_path / "run",
            settings={**settings, **{f"train.{key}": value for key, value in options.items()}},
        )

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("end", "start"), [("\n", ""), ("\r\n", ""), ("\n", "\ufeff")])
def test_odd_texts_are_trained_on_and_judged(
    train: Callable[..., RunResult], data: Path, end: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(data, "train", ODD_TEXTS, end=end, start=start)
    write(data, "dev", ODD_TEXTS, end=end, start=start)
    result = train(data)
    assert result.total == len(ODD_TEXTS)
    predictions = [
        json.loads(line) for line in (result.folder / "predictions.jsonl").read_text("utf-8").split("\n") if line
    ]
    assert [(entry["sentence1"], entry["sentence2"]) for entry in predictions] == ODD_TEXTS
    assert all(0 < entry["probabilities"]["entailment"] < 1 for entry in predictions)
    assert f"train {len(ODD_TEXTS)}, 1 truncated, dev {len(ODD_TEXTS)}, 1 truncated" in capsys.readouterr().out
    (result.folder / "report.md").read_text(encoding="utf-8")


def test_a_tab_inside_quotes_is_a_tab(train: Callable[..., RunResult], data: Path, tmp_path: Path) -> None:
    write(data, "train", [("a", "b")])
    write(data, "dev", [("a", "b"), ('the "quoted\ttab"', "b")])
    with pytest.raises(DataError, match=r"dev\.tsv:3: 5 fields instead of 4"):
        train(data)
    assert not (tmp_path / "run").exists()


def test_one_example(train: Callable[..., RunResult], data: Path) -> None:
    write(data, "train", [("a dog barks", "an animal")])
    write(data, "dev", [("a dog barks", "an animal")])
    result = train(data)
    assert result.total == 1
    assert result.summary in ("acc_num 1, total_num 1, accuracy 1.000000", "acc_num 0, total_num 1, accuracy 0.000000")


def test_an_empty_dev_split(train: Callable[..., RunResult], data: Path) -> None:
    write(data, "train", [("a dog barks", "an animal")] * 3)
    write(data, "dev", [])
    result = train(data)
    assert result.summary == "acc_num 0, total_num 0, accuracy nan"
    assert math.isnan(result.metrics["accuracy"])
    assert (result.folder / "predictions.jsonl").read_text() == ""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    # JSON has no word for what is no number; other programs read these files.
    json.loads((result.folder / "report.json").read_text(), parse_constant=refuse)
    for line in (result.folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    again = bertcore.evaluate(result.folder)
    assert again.summary == result.summary


def test_an_empty_training_split_is_refused(train: Callable[..., RunResult], data: Path, tmp_path: Path) -> None:
    write(data, "train", [])
    write(data, "dev", [("a", "b")])
    with pytest.raises(DataError, match=r"train\.tsv: no examples to train on"):
        train(data)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("missing", ["train", "dev"])
def test_a_missing_split_is_named(train: Callable[..., RunResult], data: Path, tmp_path: Path, missing: str) -> None:
    write(data, "dev" if missing == "train" else "train", [("a", "b")])
    with pytest.raises(DataError, match=f"no split {missing}"):
        train(data)
    assert not (tmp_path / "run").exists()


# Streams


class StreamedRte:
    """A plugin: RTE whose training split is declared as a stream."""

    opened = 0

    @staticmethod
    @bertcore.hookimpl
    def bertcore_register_tasks() -> list[Task]:
        rte = Registry().task("rte")

        class StreamedTask(type(rte)):  # type: ignore[misc]
            def open(self, data: DataConfig) -> Dataset:
                whole = rte.open(data)

                def read(split: str) -> Split:
                    if split != "train":
                        return whole.split(split)

                    def examples() -> Iterator[Example]:
                        StreamedRte.opened += 1
                        yield from whole.split("train")

                    return Split(stream=examples)

                return Dataset(whole.files, read, whole.labels)

        return [StreamedTask("streamed-rte", "RTE as a stream", rte.text_columns, rte.labels)]


@pytest.fixture
def train_stream(tiny_en: Path, small_rte: Path, tmp_path: Path) -> Callable[..., RunResult]:
    def run(name: str, registry: Registry, **options: Any) -> RunResult:
        return bertcore.run(
            task="streamed-rte",
            backend="torch",
            model=tiny_en,
            data=small_rte,
            output=tmp_path / name,
            registry=registry,
            settings={
                "train.batch_size": 8,
                "data.stream_window": 20,
                **{f"train.{key}": value for key, value in options.items()},
            },
        )

    return run


@pytest.fixture
def registry() -> Registry:
    plugins = installed_plugins()
    plugins.register(StreamedRte, "streamed-rte")
    return Registry(plugins)


def test_a_stream_is_trained_on(train_stream: Callable[..., RunResult], registry: Registry) -> None:
    # 72 examples in windows of 20 are 3 + 3 + 3 + 2 batches: 13 steps open the stream a second time.
    options = {"max_steps": 13, "evaluate_steps": 5}
    StreamedRte.opened = 0
    whole = train_stream("whole", registry, **options)
    assert whole.steps == 13
    assert whole.total == 30
    assert StreamedRte.opened == 3  # once to see how long the texts are
    stopped = train_stream("stopped", registry, **options, stop_after=12)
    resumed = resume(stopped.folder, registry=registry)
    assert resumed.summary == whole.summary
    for file in ("best/model.safetensors", "checkpoint/model/model.safetensors"):
        one, other = read_safetensors(whole.folder / file), read_safetensors(resumed.folder / file)
        assert {name: value.tobytes() for name, value in one.items()} == {
            name: value.tobytes() for name, value in other.items()
        }


def test_a_stream_needs_a_number_of_steps(
    train_stream: Callable[..., RunResult], registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"train\.max_steps"):
        train_stream("run", registry)
    assert not (tmp_path / "run").exists()


def test_a_stream_cannot_be_evaluated(train_stream: Callable[..., RunResult], registry: Registry) -> None:
    result = train_stream("run", registry, max_steps=1)
    with pytest.raises(UsageError, match="train is a stream"):
        bertcore.evaluate(result.folder, split="train", registry=registry)
