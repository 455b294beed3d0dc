"""The model folder alone is the model of the run: same length, same columns, same predictions, to the bit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore

pytest.importorskip("torch")

# Longer than what the model is trained with, and what is cut away tells the class.
REVIEWS = [(f"{'the film was shown on a rainy day ' * 4}and it was {word}", word) for word in ("good", "bad")] * 4


@pytest.fixture(scope="module")
def run_folder(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with columns of its own, at 16 tokens and with capitals kept."""
    folder = tmp_path_factory.mktemp("remembered")
    with (folder / "train.tsv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([("place", "opinion", "verdict"), *(("X", *row) for row in REVIEWS)])
    bertcore.run(
        task="classification",
        backend="torch",
        model=tiny_en,
        output=folder / "run",
        settings={
            "data.train": str(folder / "train.tsv"),
            "data.dev": str(folder / "train.tsv"),
            "data.text": "opinion",
            "data.label": "verdict",
            "data.max_length": 16,
            "data.lowercase": False,
            "train.max_steps": 2,
        },
    )
    return folder / "run"


@pytest.fixture(scope="module")
def texts(run_folder: Path) -> Path:
    file = run_folder.parent / "texts.csv"
    with file.open("w", encoding="utf-8", newline="") as output:
        csv.writer(output).writerows([("n", "opinion"), *((i, text) for i, (text, _) in enumerate(REVIEWS[:2]))])
    return file


def lines_of(outcome: Any) -> list[dict[str, Any]]:
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_best_alone_predicts_as_its_run_without_a_single_option(
    run_folder: Path, texts: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    expected = lines_of(bertcore_command("predict", run_folder, "--input", texts))
    assert all(line["truncated"] for line in expected)
    assert lines_of(bertcore_command("predict", run_folder / "best", "--input", texts)) == expected
    assert bertcore_command("convert", run_folder / "best", tmp_path / "converted").code == 0
    assert lines_of(bertcore_command("predict", tmp_path / "converted", "--input", texts)) == expected


def test_best_alone_is_evaluated_as_its_run(run_folder: Path, bertcore_command: Callable[..., Any]) -> None:
    expected = bertcore_command("evaluate", run_folder)
    outcome = bertcore_command("evaluate", run_folder / "best", "--set", f"data.dev={run_folder.parent / 'train.tsv'}")
    assert outcome.code == 0, outcome.err
    assert outcome.last_line == expected.last_line


def test_transformers_cuts_at_the_length_of_the_training_and_predicts_the_same(run_folder: Path, texts: Path) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(run_folder / "best")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(run_folder / "best").eval()
    inputs = tokenizer([text for text, _ in REVIEWS[:2]], truncation=True, return_tensors="pt")
    assert inputs["input_ids"].shape == (2, 16)
    expected = model(**inputs).logits.softmax(-1).detach().numpy()
    predictions = bertcore.predict(run_folder / "best", [{"opinion": text} for text, _ in REVIEWS[:2]])
    found = [[line["probabilities"][name] for name in model.config.label2id] for line in predictions]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_remembered_outlives_transformers_and_gives_way_to_options(
    run_folder: Path, texts: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(run_folder / "best")
    model.save_pretrained(tmp_path / "again")
    transformers.AutoTokenizer.from_pretrained(run_folder / "best").save_pretrained(tmp_path / "again")
    expected = lines_of(bertcore_command("predict", run_folder, "--input", texts))
    assert lines_of(bertcore_command("predict", tmp_path / "again", "--input", texts)) == expected
    longer = lines_of(bertcore_command("predict", tmp_path / "again", "--input", texts, "--set", "data.max_length=64"))
    assert not any("truncated" in line for line in longer)
    assert longer != expected


def test_only_what_makes_the_model_is_remembered(run_folder: Path) -> None:
    entry = json.loads((run_folder / "best" / "config.json").read_text())["bertcore"]
    assert set(entry) == {"task", "backend", "data"}
    data = {"max_length": 16, "lowercase": False, "text": "opinion", "label": "verdict"}
    assert data.items() <= entry["data"].items()
    assert str(run_folder.parent) not in json.dumps(entry)


def test_a_stranger_s_config_names_no_files(
    run_folder: Path, texts: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    bertcore_command("convert", run_folder / "best", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["bertcore"] |= {"run": {"output": str(tmp_path / "out")}, "train": {"epochs": 9}, "backend": "unheard"}
    config["bertcore"]["data"] |= {"dev": "/etc/passwd", "path": "/etc"}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    outcome = bertcore_command("evaluate", tmp_path / "model", "--backend", "torch")
    assert outcome.code == 2
    assert "passwd" not in outcome.err
    assert len(lines_of(bertcore_command("predict", tmp_path / "model", "--backend", "torch", "--input", texts))) == 2


def test_an_unknown_option_is_named_with_its_file(
    run_folder: Path, texts: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    bertcore_command("convert", run_folder / "best", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["bertcore"]["data"]["of_later"] = True
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    outcome = bertcore_command("predict", tmp_path / "model", "--input", texts)
    assert outcome.code == 3
    assert f"{tmp_path / 'model' / 'config.json'}: bertcore: unknown key 'data.of_later'" in outcome.err
