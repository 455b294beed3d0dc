"""A model whose tokenizer files disagree, through every command: transformers' ids before and after, and one note."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

TEXTS = ["the good <user> at <url>", "The Good Café"]
NOTE = "tokenizer.json says lowercase true, tokenizer_config.json says do_lower_case false"


@pytest.fixture(scope="module")
def model(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two added tokens with trained rows, a cased setting beside a lower-casing tokenizer.json."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("files") / "model"
    encoder = transformers.AutoModelForMaskedLM.from_pretrained(tiny_en)
    size = encoder.config.vocab_size
    encoder.resize_token_embeddings(size + 2)
    with torch.no_grad():
        encoder.get_input_embeddings().weight[size:] = 0.1
    encoder.save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json"):
        shutil.copy(tiny_en / name, folder)
    (folder / "added_tokens.json").write_text(json.dumps({"<user>": size, "<url>": size + 1}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "train.tsv"
    file.write_text("text\tlabel\n" + "".join(f"{text}\t{index}\n" for index, text in enumerate(TEXTS)))
    return file


def ids_of(folder: Path) -> list[list[int]]:
    import transformers

    found: list[list[int]] = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]
    return found


def test_every_command_gives_transformers_ids_and_says_what_disagrees(
    model: Path, table: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    expected = ids_of(model)
    assert {30522, 30523} <= set(expected[0])
    data = ("--task", "classification", "--model", model, "--train", table, "--dev", table)

    checked = bertcore_command("data", "check", *data)
    assert (checked.code, checked.out.count(NOTE)) == (0, 1)

    converted = bertcore_command("data", "convert", *data, "--to", "jsonl", "--output", tmp_path / "records")
    assert (converted.code, converted.out.count(NOTE)) == (0, 1)
    records = [json.loads(line) for line in (tmp_path / "records" / "train.jsonl").read_text().splitlines()]
    assert [record["input_ids"] for record in records] == expected

    run = tmp_path / "run"
    trained = bertcore_command("run", *data, "--backend", "torch", "--output", run, "--set", "train.max_steps=1")
    assert (trained.code, trained.out.count(NOTE)) == (0, 1), trained.err
    assert ids_of(run / "best") == ids_of(run / "checkpoint" / "model") == expected
    for file in ("vocab.txt", "added_tokens.json"):
        assert (run / "best" / file).read_bytes() == (model / file).read_bytes()

    # What is saved agrees with itself, so that nothing is left to be said.
    evaluated = bertcore_command("evaluate", run)
    assert (evaluated.code, NOTE in evaluated.out) == (0, False)
    predicted = bertcore_command("predict", run / "best", "--text", TEXTS[0])
    assert (predicted.code, NOTE in predicted.err) == (0, False)

    copied = bertcore_command("convert", model, tmp_path / "copied")
    assert (copied.code, copied.out.count(NOTE)) == (0, 1)
    assert ids_of(tmp_path / "copied") == expected
    assert bertcore_command("convert", run / "best", tmp_path / "deployed").code == 0
    assert ids_of(tmp_path / "deployed") == expected


def test_a_cased_model_that_is_lower_cased_is_said_by_predict_and_evaluate(
    model: Path, table: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    cased = tmp_path / "cased"
    shutil.copytree(model, cased)
    lines = (cased / "vocab.txt").read_text(encoding="utf-8").replace("[unused5]\n", "Good\n")
    (cased / "vocab.txt").write_text(lines, encoding="utf-8")
    (cased / "tokenizer.json").unlink()
    (cased / "tokenizer_config.json").unlink()
    run = tmp_path / "run"
    data = ("--task", "classification", "--model", cased, "--train", table, "--dev", table)
    trained = bertcore_command("run", *data, "--backend", "torch", "--output", run, "--set", "train.max_steps=1")
    assert trained.code == 0, trained.err
    words = "texts are lower-cased, and 1 of 30522 tokens of the vocabulary have capitals, first Good"
    assert words in trained.out
    assert words in bertcore_command("evaluate", run).out
    assert words in bertcore_command("predict", run, "--text", TEXTS[0]).err
    assert "Good" in (run / "best" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    other = bertcore_command("predict", run, "--text", TEXTS[0], "--set", "data.lowercase=false")
    assert (other.code, words in other.err) == (0, False)
