"""``bertcore predict`` takes what people have, and gives it back with what was predicted."""

from __future__ import annotations

import csv
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertcore
from bertcore.cli.standard_input import LineParser, waiting_lines
from bertcore.engine.prediction_input import Inputs
from bertcore.engine.prediction_output import PredictionFile
from bertcore.errors import DataError, Origin, UsageError

pytest.importorskip("torch")

Command = Callable[..., Any]

TEXTS = ["The meal was wonderful.", "Never again.", 'He said "fine", and left.', "A, B and C"]


@pytest.fixture(scope="session")
def own_run(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of reviews, trained on columns of its own names."""
    folder = tmp_path_factory.mktemp("own")
    with open(folder / "train.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["review", "label"], *zip(TEXTS, ["good", "bad"] * 2, strict=True)])
    files = {"data.train": str(folder / "train.csv"), "data.dev": str(folder / "train.csv"), "data.text": "review"}
    options = {"train.max_steps": 2, "train.batch_size": 4, "train.learning_rate": 1e-3}
    return bertcore.run(
        task="classification", backend="torch", model=tiny_en, output=folder / "run", settings={**files, **options}
    ).folder


@pytest.fixture(scope="session")
def ner_run(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger of words."""
    folder = tmp_path_factory.mktemp("ner")
    (folder / "train.bio").write_text("John B-PER\nleft O\nParis B-LOC\n\nMary B-PER\nleft O\n")
    files = {"data.train": str(folder / "train.bio"), "data.dev": str(folder / "train.bio")}
    return bertcore.run(
        task="ner", backend="torch", model=tiny_en, output=folder / "run", settings={**files, "train.max_steps": 1}
    ).folder


@pytest.fixture(scope="session")
def expected(own_run: Path) -> dict[str, dict[str, float]]:
    """The probabilities that transformers gives for the texts."""
    import transformers

    classify = transformers.pipeline("text-classification", str(own_run / "best"), top_k=None)
    texts = [*TEXTS, ""]
    return {
        text: {entry["label"]: entry["score"] for entry in scores}
        for text, scores in zip(texts, classify(texts), strict=True)
    }


def answers(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def agree(entry: dict[str, Any], text: str, expected: dict[str, dict[str, float]]) -> bool:
    return entry["review"] == text and entry["probabilities"] == pytest.approx(expected[text], abs=1e-5)


# Texts on the command line


def test_a_text_on_the_command_line(bertcore_command: Command, own_run: Path, expected: Any) -> None:
    outcome = bertcore_command("predict", own_run, "--text", TEXTS[0])
    assert outcome.code == 0, outcome.err
    (entry,) = answers(outcome.out)
    assert agree(entry, TEXTS[0], expected)
    assert outcome.err == ""


def test_a_pair_on_the_command_line_is_that_of_a_file(bertcore_command: Command, finished_run: Path) -> None:
    pair = bertcore.predict(finished_run, [{"sentence1": "A cat sleeps.", "sentence2": "It sleeps."}])
    outcome = bertcore_command("predict", finished_run, "--text", "A cat sleeps.", "--text", "It sleeps.")
    assert answers(outcome.out) == pair
    for texts, words in ((["a"], "sentence2"), (["a", "b", "c"], "3 texts, and the model reads 2: sentence1 and")):
        outcome = bertcore_command("predict", finished_run, *(part for text in texts for part in ("--text", text)))
        assert outcome.code in (2, 4)
        assert words in outcome.err
        assert len(outcome.err.splitlines()) == 2


def test_texts_and_a_file_exclude_each_other(bertcore_command: Command, own_run: Path) -> None:
    outcome = bertcore_command("predict", own_run, "--text", "a", "--input", "b.csv")
    assert outcome.code == 2
    assert "--text and --input exclude each other" in outcome.err


# Files


def test_each_line_of_a_text_file_is_a_text(
    bertcore_command: Command, own_run: Path, tmp_path: Path, expected: Any
) -> None:
    lines = [TEXTS[0], "", TEXTS[3]]
    (tmp_path / "in.txt").write_bytes("\r\n".join([*lines, ""]).encode())
    entries = answers(bertcore_command("predict", own_run, "--input", tmp_path / "in.txt").out)
    assert [entry["id"] for entry in entries] == ["0", "1", "2"]
    assert all(agree(entry, line, expected) for entry, line in zip(entries, lines, strict=True))


def test_a_tab_parts_the_texts_of_a_pair(bertcore_command: Command, finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("A cat sleeps.\tIt sleeps.\n")
    (entry,) = answers(bertcore_command("predict", finished_run, "--input", tmp_path / "in.txt").out)
    assert (entry["sentence1"], entry["sentence2"]) == ("A cat sleeps.", "It sleeps.")
    (tmp_path / "in.txt").write_text("A cat sleeps.\tIt sleeps.\na\tb\tc\n")
    outcome = bertcore_command("predict", finished_run, "--input", tmp_path / "in.txt")
    assert outcome.code == 2
    assert "in.txt:2: 3 texts, and the model reads 2" in outcome.err


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table_keeps_its_columns_and_gains_the_predictions(
    bertcore_command: Command, own_run: Path, tmp_path: Path, expected: Any, suffix: str
) -> None:
    rows = [["number", "review", "prediction"], *([str(n), text, "mine"] for n, text in enumerate(TEXTS))]
    with open(tmp_path / "in.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    output = tmp_path / f"out{suffix}"
    outcome = bertcore_command("predict", own_run, "--input", tmp_path / "in.csv", "--output", output)
    assert outcome.code == 0, outcome.err
    quoting = {} if suffix == ".csv" else {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    header, *found = csv.reader(output.open(encoding="utf-8", newline=""), **quoting)
    assert header == ["number", "review", "prediction", "prediction_2", "probability_bad", "probability_good"]
    assert [row[:3] for row in found] == rows[1:]
    for row in found:
        wanted = expected[row[1]]
        assert [float(cell) for cell in row[4:]] == pytest.approx([wanted["bad"], wanted["good"]], abs=1e-5)
        assert row[3] == max(wanted, key=lambda label: wanted[label])


def test_text_stands_for_the_column_of_the_training_file(
    bertcore_command: Command, own_run: Path, tmp_path: Path, expected: Any
) -> None:
    (tmp_path / "in.csv").write_text(f"text,label\n{TEXTS[0]},good\n")
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": TEXTS[0]}) + "\n")
    for name in ("in.csv", "in.jsonl"):
        (entry,) = answers(bertcore_command("predict", own_run, "--input", tmp_path / name).out)
        assert agree(entry, TEXTS[0], expected)


def test_an_output_that_exists_is_kept_unless_it_is_to_be_replaced(
    bertcore_command: Command, own_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").write_text("precious")
    call = ["predict", own_run, "--text", "a", "--output", tmp_path / "out.csv"]
    outcome = bertcore_command(*call)
    assert outcome.code == 8
    assert outcome.err == (
        f"error: {tmp_path / 'out.csv'}: it exists\nremedy: choose another --output, or replace it with --force\n"
    )
    assert (tmp_path / "out.csv").read_text() == "precious"
    assert bertcore_command(*call, "--force").last_line == f"1 prediction written to {tmp_path / 'out.csv'}"
    assert (tmp_path / "out.csv").read_text().startswith("review,prediction,")


@pytest.mark.parametrize(("name", "words"), [("out.xlsx", "not written as .xlsx"), ("out.bio", "holds tags of units")])
def test_a_form_that_does_not_fit_is_refused(
    bertcore_command: Command, own_run: Path, tmp_path: Path, name: str, words: str
) -> None:
    outcome = bertcore_command("predict", own_run, "--text", "a", "--output", tmp_path / name)
    assert outcome.code == 2
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_a_tsv_cannot_hold_is_named(bertcore_command: Command, own_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"review": "a"}\n{"review": "two\\nlines"}\n')
    outcome = bertcore_command("predict", own_run, "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.tsv")
    assert outcome.code == 4
    assert "in.jsonl:2: the field 'review' holds a tab or a line end" in outcome.err
    assert not (tmp_path / "out.tsv").exists()


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("a,\"'\n\r\t; "))))
def test_whatever_a_table_holds_is_read_back_by_others(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    file = tmp_path_factory.mktemp("table") / "out.csv"
    inputs = Inputs.of([({"first": first, "second": second}, "x") for first, second in rows])
    predictions = [{"id": "0", "first": first, "prediction": second} for first, second in rows]
    PredictionFile(file, force=False).write(predictions, inputs, ("first",))
    with file.open(encoding="utf-8", newline="") as lines:
        read = list(csv.reader(lines, strict=True))
    if rows:
        assert read[0] == ["first", "second", "prediction"]
        for row, (first, second) in zip(read[1:], rows, strict=True):
            # What may be a formula has an apostrophe in front.
            apostrophe = "'" if first.lstrip()[:1] in [*"=+-@＝＋－＠"] and row[0] != first else ""
            assert row == [apostrophe + first, second, second]


# Entities


def test_columns_of_units_in_and_out(bertcore_command: Command, ner_run: Path, tmp_path: Path) -> None:
    sentences = [["John", "lives", "in", "Paris"], ["Mary", "left"]]
    wanted = [entry["tags"] for entry in bertcore.predict(ner_run, [{"tokens": tokens} for tokens in sentences])]
    tagged = "\n".join("".join(f"{token} O\n" for token in tokens) for tokens in sentences)
    bare = "\n".join("".join(f"{token}\n" for token in tokens) for tokens in sentences)
    for name, content in (("a.bio", tagged), ("b.txt", tagged), ("c.conll", bare)):
        (tmp_path / name).write_text(content)
        entries = answers(bertcore_command("predict", ner_run, "--input", tmp_path / name).out)
        assert [entry["tokens"] for entry in entries] == sentences
        assert [entry["tags"] for entry in entries] == wanted
        output = tmp_path / f"out-{name}"
        outcome = bertcore_command("predict", ner_run, "--input", tmp_path / name, "--output", output)
        assert outcome.code == 0, outcome.err
        blocks = [[line.split("\t") for line in block.splitlines()] for block in output.read_text().split("\n\n")]
        gold = [] if name == "c.conll" else ["O"]
        assert blocks == [
            [[token, *gold, tag] for token, tag in zip(tokens, tags, strict=True)]
            for tokens, tags in zip(sentences, wanted, strict=True)
        ]


def test_lines_of_text_are_no_columns(bertcore_command: Command, ner_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("John lives in Paris\nMary left I think\n")
    entries = answers(bertcore_command("predict", ner_run, "--input", tmp_path / "in.txt").out)
    assert [entry["text"] for entry in entries] == ["John lives in Paris", "Mary left I think"]
    (tmp_path / "zh.txt").write_text("他\n在\n\n我\n")
    entries = answers(bertcore_command("predict", ner_run, "--input", tmp_path / "zh.txt").out)
    assert [entry["tokens"] for entry in entries] == [["他", "在"], ["我"]]


# A conversation


class Partner:
    """Writes a line, and the next one when the last is answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path, lines: list[bytes], descriptors: Any) -> None:
        self.file, self.lines = file, lines
        self.read, self.written = descriptors
        self.answered: list[int] = []
        monkeypatch.setattr("sys.stdin", os.fdopen(self.read, encoding="utf-8"))
        monkeypatch.setattr("sys.stdout", file.open("w", encoding="utf-8"))
        self.thread = threading.Thread(target=self.talk, daemon=True)

    def talk(self) -> None:
        for number, line in enumerate(self.lines, 1):
            os.write(self.written, line)
            end = time.monotonic() + 60
            while time.monotonic() < end and len(self.file.read_text(encoding="utf-8").splitlines()) < number:
                time.sleep(0.01)
            self.answered.append(len(self.file.read_text(encoding="utf-8").splitlines()))
        os.close(self.written)


def test_a_conversation_is_answered_line_by_line(
    own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Any
) -> None:
    from bertcore.cli import main

    lines = [TEXTS[0], "", TEXTS[2]]
    partner = Partner(monkeypatch, tmp_path / "out", [line.encode() + b"\n" for line in lines], os.pipe())
    partner.thread.start()
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(own_run)])
    assert caught.value.code == 0
    partner.thread.join()
    assert partner.answered == [1, 2, 3]
    entries = answers((tmp_path / "out").read_text())
    assert [entry["id"] for entry in entries] == ["0", "1", "2"]
    assert all(agree(entry, line, expected) for entry, line in zip(entries, lines, strict=True))


def test_a_person_is_told_of_a_mistake_and_goes_on(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bertcore.cli import main

    master, slave = os.openpty()
    os.write(master, b"one text only\n\nA cat.\tAn animal.\n\x04")
    monkeypatch.setattr("sys.stdin", os.fdopen(slave, encoding="utf-8"))
    with pytest.raises(SystemExit) as caught:
        main(["predict", str(finished_run)])
    assert caught.value.code == 0
    said = capfd.readouterr()
    assert "type sentence1 and sentence2 with a tab between them and press Enter; Ctrl-D ends" in said.err
    assert "standard input:1: the field 'sentence2' is missing" in said.err
    (entry,) = answers(said.out)
    assert entry["sentence2"] == "An animal."


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=50), st.integers(1, 20))
def test_no_line_is_lost_however_the_pieces_come(lines: list[bytes], size: int) -> None:
    content = b"".join(line + b"\n" for line in lines)
    read, written = os.pipe()

    def write() -> None:
        for start in range(0, len(content), size):
            os.write(written, content[start : start + size])
        os.close(written)

    thread = threading.Thread(target=write)
    thread.start()
    with pytest.MonkeyPatch.context() as patch, os.fdopen(read, "rb") as source:
        patch.setattr("sys.stdin", source)
        assert [line for together in waiting_lines() for line in together] == lines
    thread.join()


def test_the_first_line_tells_json_from_text() -> None:
    parser = LineParser(("sentence",))
    assert parser.parse([b"\xef\xbb\xbf  ", b' {"sentence": "a"}']) == [
        ({"sentence": "a"}, Origin("standard input", 2))
    ]
    assert parser.parse([b"", b'{"sentence": "b"}\r']) == [({"sentence": "b"}, Origin("standard input", 4))]
    with pytest.raises(DataError, match="standard input:5: column 1 is no JSON"):
        parser.parse([b"plain"])
    parser = LineParser(("sentence",))
    assert parser.parse([b"a\tb", b"{"]) == [
        ({"sentence": "a\tb"}, Origin("standard input", 1)),
        ({"sentence": "{"}, Origin("standard input", 2)),
    ]
    with pytest.raises(DataError, match="standard input:3: byte 0 is not UTF-8"):
        parser.parse([b"\xff"])
    with pytest.raises(UsageError, match="standard input:1: 3 texts"):
        LineParser(("a", "b")).parse([b"1\t2\t3"])
