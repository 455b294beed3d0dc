"""Questions with choices are learned on torch, resumed, predicted and opened by transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from solvable_choices import SETTINGS, write_solvable

import bertcore
from bertcore.api import resume

from .conftest import write_c3

pytest.importorskip("torch")
Command = Callable[..., Any]


def run(model: Path, data: Path, output: Path, **settings: Any) -> Any:
    given = {**SETTINGS, **{f"train.{name}": value for name, value in settings.items()}}
    return bertcore.run(task="multiple_choice", backend="torch", model=model, data=data, output=output, settings=given)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_solvable(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(tiny_en: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tiny_en, data, tmp_path_factory.mktemp("runs") / "run")


def test_the_right_choice_is_learned(trained: Any, data: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    assert trained.metrics["accuracy"] > 0.9 > 0.5 > trained.baseline["accuracy"]
    lines = (trained.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    gold = [json.loads(line)["label"] for line in (data / "dev.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["label"] for entry in found] == gold
    assert trained.metrics["accuracy"] == metrics.accuracy_score(gold, [entry["prediction"] for entry in found])
    scored = bertcore.score(task="multiple_choice", data=data, predictions=trained.folder / "predictions.jsonl")
    assert scored.evaluation.metrics == dict(trained.metrics)
    alone = bertcore.evaluate(trained.folder / "best", task="multiple_choice", backend="torch", data=data)
    assert alone.evaluation.metrics == dict(trained.metrics)


def test_transformers_opens_the_folder_with_the_same_scores(trained: Any) -> None:
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    model = transformers.AutoModelForMultipleChoice.from_pretrained(trained.folder / "best").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(trained.folder / "best")
    assert type(model).__name__ == "BertForMultipleChoice"
    (entry,) = bertcore.predict(
        trained.folder, [{"context": "A bird sat there.", "question": "What?", "choices": ["fish", "bird", "red"]}]
    )
    inputs = tokenizer(["A bird sat there."] * 3, ["What? fish", "What? bird", "What? red"], return_tensors="pt")
    with torch.no_grad():
        logits = model(**{name: values[None] for name, values in inputs.items()}).logits[0]
    np.testing.assert_allclose(entry["probabilities"], logits.softmax(0).numpy(), atol=2e-6)


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    trained: Any, tiny_en: Path, data: Path, tmp_path: Path
) -> None:
    stopped = run(tiny_en, data, tmp_path / "stopped", stop_after=13)
    resumed = resume(stopped.folder, settings={"train.stop_after": None})
    assert resumed.summary == trained.summary
    expected = load_file(trained.folder / "best" / "model.safetensors")
    for name, values in load_file(resumed.folder / "best" / "model.safetensors").items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_questions_are_predicted_in_every_way(trained: Any, tmp_path: Path, bertcore_command: Command) -> None:
    texts = ["There was a dog.", "What was there?", "cat", "dog", "fish"]
    said = bertcore_command("predict", trained.folder, *(part for text in texts for part in ("--text", text)))
    first = json.loads(said.out)
    assert (first["prediction"], first["choice"]) == (1, "dog")
    file = tmp_path / "in.jsonl"
    lines = [
        {"context": texts[0], "question": texts[1], "choices": texts[2:]},
        {"sent1": texts[0], "sent2": texts[1], "ending0": "dog", "ending1": "cat"},
    ]
    file.write_text(json.dumps(lines[0]) + "\n", encoding="utf-8")
    assert json.loads(bertcore_command("predict", trained.folder, "--input", file).out) == first
    (other,) = bertcore.predict(trained.folder, [lines[1]])
    assert other["prediction"] == 0
    table = tmp_path / "in.csv"
    table.write_text("id,article,question,A,B,C\n7,There was a dog.,What was there?,cat,dog,\n", encoding="utf-8")
    written = bertcore_command("predict", trained.folder, "--input", table, "--output", tmp_path / "out.csv")
    assert written.code == 0, written.err
    assert "dog" in (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()[1]
    wrong = bertcore_command("predict", trained.folder, "--text", "alone")
    assert wrong.code != 0
    assert "choice" in wrong.err


def test_c3_is_submitted_as_clue_asks(chinese_l2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    settings = {"train.max_steps": 2, "train.batch_size": 2, "data.max_length": 48}
    trained = bertcore.run(
        task="c3", backend="torch", model=chinese_l2, data=write_c3(folder), output=tmp_path / "run", settings=settings
    )
    bertcore.submit([trained.folder], tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("c311_predict.json")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [0, 1, 10, 20]
    assert all(set(row) == {"id", "label"} and row["label"] in range(4) for row in rows)
