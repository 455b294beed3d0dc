"""Entities that nest are learned on torch: by a run that stops and goes on, and in all that is done with its model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nested_entities import SETTINGS, spans_of, write_nested
from safetensors.numpy import load_file

import bertcore
from bertcore.api import resume

from .conftest import cmeee_file

pytest.importorskip("torch")

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nested(tmp_path_factory.mktemp("nested"))


def run(model: Path, data: Path, output: Path, **settings: Any) -> Any:
    given = {**SETTINGS, "head.kind": "global_pointer", **{f"train.{name}": value for name, value in settings.items()}}
    return bertcore.run(task="ner", backend="torch", model=model, data=data, output=output, settings=given)


@pytest.fixture(scope="module")
def trained(chinese_l2: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(chinese_l2, data, tmp_path_factory.mktemp("runs") / "run")


def test_nested_entities_are_learned(trained: Any) -> None:
    """What tags could find at best, the outer ones, lies far below; the score is that of the written predictions."""
    evaluation = bertcore.evaluate(trained.folder).evaluation
    gold, found = (
        {(number, *span) for number, entry in enumerate(evaluation.predictions) for span in spans_of(entry, field)}
        for field in ("label", "entities")
    )
    inner = {(n, a, b, k) for n, a, b, k in gold if any(m == n and a == c and b < d for m, c, d, _ in gold)}
    assert len(inner) > 15
    best_of_tags = 2 * len(gold - inner) / (2 * len(gold) - len(inner))
    assert evaluation.metrics["f1"] == pytest.approx(2 * len(gold & found) / (len(gold) + len(found)))
    assert evaluation.metrics["f1"] > 0.95 > 0.9 > best_of_tags
    assert evaluation.metrics == pytest.approx(dict(trained.metrics))
    assert set(evaluation.metrics) == {"f1", "precision", "recall"}
    assert set(evaluation.baseline) == set(evaluation.metrics)


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    trained: Any, chinese_l2: Path, data: Path, tmp_path: Path
) -> None:
    stopped = run(chinese_l2, data, tmp_path / "stopped", stop_after=7)
    resumed = resume(stopped.folder)
    assert resumed.summary == trained.summary
    expected = load_file(trained.folder / "best" / "model.safetensors")
    for name, values in load_file(resumed.folder / "best" / "model.safetensors").items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_the_kind_of_head_cannot_change_on_the_way(
    chinese_l2: Path, data: Path, tmp_path: Path, bertcore_command: Command
) -> None:
    stopped = run(chinese_l2, data, tmp_path / "stopped", stop_after=1)
    result = bertcore_command("run", "--resume", stopped.folder, "--set", "head.kind=token_classification")
    assert result.code != 0
    assert "head.kind" in result.err


def test_a_check_of_the_data_counts_what_tags_cannot_hold(
    chinese_l2: Path, data: Path, bertcore_command: Command
) -> None:
    check = ("data", "check", "--task", "ner", "--data", data, "--model", chinese_l2)
    by_tags = bertcore_command(*check)
    assert "overlapping another one: not learned" in by_tags.out
    assert "head.kind=global_pointer learns such" in by_tags.out
    by_spans = bertcore_command(*check, "--set", "head.kind=global_pointer")
    assert by_spans.code == 0, by_spans.err
    assert "overlapping another one" not in by_spans.out


def test_new_texts_are_predicted_in_every_way(trained: Any, tmp_path: Path, bertcore_command: Command) -> None:
    text, expected = "我在北京大学看见上海", {(2, 4, "LOC"), (2, 6, "ORG"), (8, 10, "LOC")}
    (entry,) = bertcore.predict(trained.folder, [{"text": text}])
    assert spans_of(entry) == expected
    assert "tags" not in entry
    assert all(0.5 < entity["probability"] <= 1 for entity in entry["entities"])
    assert [entity["text"] for entity in entry["entities"]] == ["北京大学", "北京", "上海"]

    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps({"text": text}) + '\n{"tokens": ["北京", "大学"]}\n{"text": ""}\n', encoding="utf-8")
    said = bertcore_command("predict", trained.folder, "--text", text)
    assert spans_of(json.loads(said.out)) == expected
    from_file = bertcore_command("predict", trained.folder, "--input", file)
    first, words, empty = map(json.loads, from_file.out.splitlines())
    assert spans_of(first) == expected
    assert words["tokens"] == ["北京", "大学"]
    assert empty["entities"] == []
    table = bertcore_command("predict", trained.folder, "--input", file, "--output", tmp_path / "out.csv")
    assert table.code == 0, table.err
    columns = bertcore_command("predict", trained.folder, "--input", file, "--output", tmp_path / "out.bio")
    assert "holds tags of units, and these predictions are none" in columns.err


def test_the_folder_of_the_model_says_what_head_it_has(
    trained: Any, data: Path, tmp_path: Path, bertcore_command: Command
) -> None:
    """It is evaluated alone, converts to bert4torch's names and back, and transformers opens its encoder."""
    config = json.loads((trained.folder / "best" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForGlobalPointer"]
    assert (config["id2label"], config["head_size"], config["efficient"]) == ({"0": "LOC", "1": "ORG"}, 64, False)
    alone = bertcore.evaluate(trained.folder / "best", task="ner", backend="torch", data=data)
    assert alone.evaluation.metrics == pytest.approx(dict(trained.metrics))

    theirs, back = tmp_path / "model.pt", tmp_path / "back"
    for source, target, to in ((trained.folder / "best", theirs, "bert4torch"), (theirs, back, "huggingface")):
        beside = () if to == "bert4torch" else ("--config", trained.folder / "best" / "config.json")
        said = bertcore_command("convert", source, target, "--to", to, *beside)
        assert said.code == 0, said.err
    expected = load_file(trained.folder / "best" / "model.safetensors")
    found = load_file(back / "model.safetensors")
    assert {name for name in found if "pointer" in name} == {
        "global_pointer.dense.bias",
        "global_pointer.dense.weight",
    }
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)

    transformers = pytest.importorskip("transformers")
    encoder = transformers.AutoModel.from_pretrained(trained.folder / "best").state_dict()
    for name, values in encoder.items():
        if not name.startswith("pooler"):
            np.testing.assert_array_equal(values.numpy(), expected[f"bert.{name}"], err_msg=name)


def test_the_file_for_the_leaderboard_of_cmeee(chinese_l2: Path, tmp_path: Path, bertcore_command: Command) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        (folder / f"CMeEE-V2_{split}.json").write_text(cmeee_file(split), encoding="utf-8")
    settings = {**SETTINGS, "train.max_steps": 2, "head.kind": "efficient_global_pointer"}
    trained = bertcore.run(
        task="cmeee", backend="torch", model=chinese_l2, data=folder, output=tmp_path / "run", settings=settings
    )
    alone = bertcore.evaluate(trained.folder / "best", task="cmeee", backend="torch", data=folder)
    assert alone.evaluation.metrics == pytest.approx(dict(trained.metrics)), "the folder says that it scores spans"
    said = bertcore_command("submit", trained.folder, "--output", tmp_path / "submission")
    assert said.code == 0, said.err
    (file,) = (tmp_path / "submission").rglob("CMeEE-V2_test.json")
    written = json.loads(file.read_text(encoding="utf-8"))
    texts = [{"text": record["text"]} for record in json.loads(cmeee_file("test"))]
    predicted = bertcore.predict(trained.folder, texts)
    assert any(entry["entities"] for entry in predicted), "two steps leave some pairs above 0"
    assert written == [
        {
            "text": entry["text"],
            "entities": [
                {"start_idx": start, "end_idx": end, "type": kind, "entity": entry["text"][start:end]}
                for start, end, kind in ((one["start"], one["end"], one["type"]) for one in entry["entities"])
            ],
        }
        for entry in predicted
    ]
