"""``bertcore predict``: what goes in, what comes out, in which order, and the probabilities of transformers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

Predict = Callable[..., Any]

PAIRS = [
    ("A dog barks loudly in the yard.", "An animal makes a noise."),
    ("", ""),
    ('He said "no".', "He\tagreed."),
    ("word " * 600, "A long text."),
    ("Café 😀 \u2028 line", "NUL \0"),
    ("Short.", "The shortest of all."),
]


@pytest.fixture
def predict(bertcore_command: Callable[..., Any], finished_run: Path) -> Predict:
    def call(source: object, *arguments: object) -> Any:
        return bertcore_command("predict", finished_run, "--input", source, *arguments)

    return call


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    file = tmp_path / "in.jsonl"
    records = [{"sentence1": first, "sentence2": second} for first, second in PAIRS]
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def test_probabilities_and_order_are_those_of_transformers(
    predict: Predict, input_file: Path, finished_run: Path
) -> None:
    import torch
    import transformers

    outcome = predict(input_file)
    assert outcome.code == 0, outcome.err
    predictions = lines_of(outcome.out)
    assert [(entry["sentence1"], entry["sentence2"]) for entry in predictions] == PAIRS
    assert [entry["id"] for entry in predictions] == ["0", "1", "2", "3", "4", "5"]
    assert [entry.get("truncated") for entry in predictions] == [None, None, None, True, None, None]
    assert all("label" not in entry for entry in predictions)

    tokenizer = transformers.AutoTokenizer.from_pretrained(finished_run / "best")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(finished_run / "best").eval()
    inputs = tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits.softmax(dim=1).numpy()
    probabilities = [list(entry["probabilities"].values()) for entry in predictions]
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    names = [model.config.id2label[index] for index in expected.argmax(axis=1)]
    assert [entry["prediction"] for entry in predictions] == names


def test_output_goes_to_a_file(predict: Predict, input_file: Path, tmp_path: Path) -> None:
    shown = predict(input_file).out
    output = tmp_path / "new" / "out.jsonl"
    outcome = predict(input_file, "--output", output)
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[:2]] == ["task", "backend"]
    assert outcome.last_line == f"6 predictions written to {output}"
    assert output.read_text(encoding="utf-8") == shown


def test_standard_input(predict: Predict, input_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"\xef\xbb\xbf" + input_file.read_bytes().replace(b"\n", b"\r\n") + b"\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
    assert predict("-").out == predict(input_file).out


def test_standard_input_that_is_wrong_is_named_with_its_line(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    good = b'{"sentence1": "a", "sentence2": "b"}\n'
    for bad, words in (
        (b"caf\xe9\n", "standard input:2: byte 3 is not UTF-8"),
        (b"[1]\n", "standard input:2: a list instead of a JSON object"),
        (b'{"sentence1": "a"}\n', "standard input:2: the field 'sentence2' is missing"),
        (b'{"sentence1": "a", "sentence2": 7}\n', "standard input:2: the field 'sentence2' is no text"),
        (b'{"sentence1": "a", "sentence2": "\\ud800"}\n', "standard input:2: half a surrogate pair"),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(good + bad), encoding="utf-8"))
        outcome = predict("-")
        assert outcome.code == 4, outcome.err
        assert words in outcome.err
        assert outcome.out == ""


def test_tab_separated_input(predict: Predict, tmp_path: Path, rte_dir: Path) -> None:
    header, *rows = (rte_dir / "test.tsv").read_text(encoding="utf-8").splitlines()[:21]
    (tmp_path / "in.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    predictions = lines_of(predict(tmp_path / "in.tsv").out)
    assert [[entry["id"], entry["sentence1"], entry["sentence2"]] for entry in predictions] == [
        row.split("\t") for row in rows
    ]


def test_what_is_missing_is_named_with_its_line(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"sentence1": "a", "sentence2": "b"}\n\n{"sentence1": "a"}\n')
    outcome = predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    assert outcome.code == 4
    assert "in.jsonl:3: the field 'sentence2' is missing" in outcome.err
    assert "remedy: give sentence1 and sentence2 as texts" in outcome.err
    assert not (tmp_path / "out.jsonl").exists()

    (tmp_path / "in.tsv").write_text("sentence1\tother\na\tb\n")
    outcome = predict(tmp_path / "in.tsv")
    assert outcome.code == 4
    assert "in.tsv:2: the field 'sentence2' is missing" in outcome.err

    outcome = predict(tmp_path / "none.jsonl")
    assert outcome.code == 4
    assert "none.jsonl: No such file" in outcome.err

    (tmp_path / "in.csv").write_text('sentence1,sentence2\n"a, b",c\nd\n')
    assert "in.csv:3: 1 field instead of 2" in predict(tmp_path / "in.csv").err
    (tmp_path / "in.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml")
    outcome = predict(tmp_path / "in.xlsx")
    assert outcome.code == 4
    assert "in.xlsx: this is an Excel workbook" in outcome.err
    assert "remedy: save it as CSV UTF-8" in outcome.err


def test_no_input_gives_no_output(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")
    outcome = predict(tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    assert outcome.code == 0
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_a_model_folder_needs_a_task_and_a_backend(
    bertcore_command: Callable[..., Any], copied_run: Path, input_file: Path
) -> None:
    model = copied_run / "best"
    config = json.loads((model / "config.json").read_text())
    del config["bertcore"]  # as in a folder that another tool fine-tuned
    (model / "config.json").write_text(json.dumps(config))
    (model / "bertcore_manifest.json").unlink()
    outcome = bertcore_command("predict", model, "--input", input_file)
    assert outcome.code == 2
    assert "no task" in outcome.err
    outcome = bertcore_command("predict", model, "--input", input_file, "--task", "rte", "--backend", "torch")
    assert outcome.code == 0
    assert len(lines_of(outcome.out)) == len(PAIRS)


def test_a_model_without_a_fine_tuned_head_is_refused(
    bertcore_command: Callable[..., Any], tiny_en: Path, input_file: Path
) -> None:
    outcome = bertcore_command("predict", tiny_en, "--input", input_file, "--task", "rte", "--backend", "torch")
    assert outcome.code == 5
    assert "names no fine-tuned head" in outcome.err
