"""A check names the bad lines of a file, and looks at the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from bertcore import check_data
from bertcore.errors import DataError, Origin


class File(NamedTuple):
    """A file with bad lines: behind a header come blocks, and the place of each bad one is named."""

    task: str
    name: str
    head: str
    good: str
    bad: dict[str, str]
    """Where a block is wrong (what follows the name of the file), to the block."""


SPANS = '{"text": "Ann sleeps", "label": {"name": {"Ann": [[0, 2]]}}}\n'
PAIR = '{"id": 0, "sentence1": "a", "sentence2": "b", "label": "1"}\n'
QUESTION = '{"question": "Who?", "context": "Ann", "answers": [{"text": "Ann", "answer_start": 0}]}\n'

FILES = [
    File(
        "sst2",
        "dev.tsv",
        "sentence\tlabel\n",
        "good\t1\n",
        {":3: 1 field": "ragged\n", ":4: unknown label": "x\t7\n", ":5: 3 fields": "a\tb\t1\n"},
    ),
    File(
        "stsb",
        "dev.tsv",
        "index\tsentence1\tsentence2\tscore\n",
        "0\ta\tb\t2.5\n",
        {":3: ": "1\ta\tb\thigh\n", ":4: ": "2\ta\tb\t7\n"},
    ),
    File(
        "afqmc",
        "dev.json",
        "",
        PAIR,
        {
            ":2: column": '{"sentence1": \n',
            ":3: the field 'sentence2'": '{"sentence1": "a", "label": "1"}\n',
            ":4: unknown label": PAIR.replace('"1"', '"2"'),
            ":5: the field 'label'": '{"sentence1": "a", "sentence2": "b"}\n',
        },
    ),
    File(
        "cluener",
        "dev.json",
        "",
        SPANS,
        {
            ":2: column": "{\n",
            ":3: label.name.Ann: the span": SPANS.replace("2", "20"),
            ":4: unknown type": SPANS.replace("name", "animal"),
        },
    ),
    File(
        "people_daily",
        "example.dev",
        "",
        "安 B-PER\n睡 O\n\n",
        {
            ":5: 1 column": "安 B-PER\n睡\n\n",
            ":7: ": "安 X-PER\n\n",
            ":9: ": "安 B-\n\n",
            ":11: the tag": "安 B-CAT\n\n",
        },
    ),
    File("classification", "dev.csv", "text,label\n", "a,x\n", {":3: the field 'label'": "b,\n", ":4: 1 field": "c\n"}),
    File(
        "regression",
        "dev.jsonl",
        "",
        '{"text": "a", "label": 1}\n',
        {":2: ": '{"text": "a", "label": "x"}\n', ":3: the field 'text'": '{"text": null, "label": 2}\n'},
    ),
    File(
        "ner",
        "dev.jsonl",
        "",
        SPANS,
        {":2: the field 'label'": '{"text": "a"}\n', ":3: the field 'text'": '{"label": {}}\n'},
    ),
    File("ner", "dev.bio", "", "Ann B-PER\n\n", {":3: ": "Ann X-PER\n\n", ":5: 1 column": "sleeps\n\n"}),
    File(
        "qa",
        "dev.jsonl",
        "",
        QUESTION,
        {":2: the field 'context'": '{"question": "Who?"}\n', ":3: answers[0]": QUESTION.replace('"text"', '"txt"')},
    ),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.task}-{file.name}")
def test_every_bad_line_is_named(file: File, tmp_path: Path) -> None:
    path = tmp_path / file.name
    path.write_text(file.head + file.good + "".join(file.bad.values()) + file.good, encoding="utf-8")
    report = check_data(task=file.task, data=path)
    (split,) = report.splits.values()
    assert split.examples == 2
    assert len(split.errors) == len(file.bad)
    for place in file.bad:
        assert any(error.cause.startswith(f"{path}{place}") and error.remedy for error in split.errors), place


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.task}-{file.name}")
def test_a_file_of_bad_lines_only(file: File, tmp_path: Path, tiny_en: Path) -> None:
    path = tmp_path / file.name
    path.write_text(file.head + "".join(file.bad.values()), encoding="utf-8")
    report = check_data(task=file.task, data=path, model=tiny_en)
    (split,) = report.splits.values()
    assert split.examples == 0
    assert len(split.errors) == len(file.bad)


def test_questions_of_a_squad_file(tmp_path: Path) -> None:
    """Named by question, paragraph or article, whichever is wrong."""
    good = {"id": "0", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
    paragraphs = [
        {"context": "Ann", "qas": [good, {**good, "id": "1", "answers": 7}, {"id": "2"}, {**good, "id": "3"}]},
        {"qas": [good]},
    ]
    path = tmp_path / "dev.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}, {"title": "none"}]}), encoding="utf-8")
    (split,) = check_data(task="squad", data=path).splits.values()
    assert split.examples == 2
    places = ("question 1: ", "question 2: ", "data[0].paragraphs[1]: ", "data[1]: ")
    assert len(split.errors) == len(places)
    for error, place in zip(split.errors, places, strict=True):
        assert error.cause.startswith(f"{path}: {place}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.task}-{file.name}")
def test_elsewhere_the_first_ends_reading(file: File, tmp_path: Path) -> None:
    """Also after a check: nothing is trained on, or scored by, a file with errors."""
    from bertcore import score

    path = tmp_path / file.name
    path.write_text(file.head + file.good + "".join(file.bad.values()), encoding="utf-8")
    check_data(task=file.task, data=path)
    with pytest.raises(DataError) as caught:
        score(task=file.task, data=path, predictions=path)
    assert any(caught.value.cause.startswith(f"{path}{place}") for place in file.bad)


def test_lines_that_are_no_text_or_quote_wrongly(tmp_path: Path) -> None:
    """Reading goes on behind them, and keeps its count of lines."""
    files = {
        "a.jsonl": (
            b'{"text":"a","label":"A"}\n{"text":"b"}\n{"text":"\xff","label":"A"}\n{"text":"c"}\n{"text":"e","label":"B"}\n',
            [2, 3, 4],
        ),
        "a.csv": (b'text,label\nx,\n"a"b,A\ny,\n\xff,A\n"two\nlines",A\nz,\nok,B\n', [2, 3, 4, 5, 8]),
        "a.tsv": (b"text\tlabel\nok\tA\nbad\tx\ty\n\xff\tA\nonly\nfour\tB\nmore\tB\textra\n", [3, 4, 5, 7]),
    }
    for name, (content, bad) in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        (split,) = check_data(task="classification", settings={"data.train": str(path)}).splits.values()
        assert [error.origin for error in split.errors] == [Origin(str(path), line) for line in bad]
        assert split.examples == 2


def test_a_header_that_is_no_text_ends_reading(tmp_path: Path) -> None:
    """The line behind it must not be taken for the header."""
    for name, separator in (("a.csv", b","), ("a.tsv", b"\t")):
        path = tmp_path / name
        path.write_bytes(separator.join((b"t\xffxt", b"label\na", b"A\nb", b"B\n")))
        (split,) = check_data(task="classification", settings={"data.train": str(path)}).splits.values()
        (error,) = split.errors
        assert error.cause.startswith(f"{path}:1: byte 1 is not UTF-8")


def test_each_split_has_the_errors_of_a_file_that_several_read(tmp_path: Path) -> None:
    """MSRA has no dev split: its test file stands for it, whose lines must then have tags."""
    (tmp_path / "msra_train_bio.txt").write_text("张 B-PER\n三 I-PER\n\n", encoding="utf-8")
    test = tmp_path / "msra_test_bio.txt"
    test.write_text("李 B-PER\n\n北\n\n上 X\n\n", encoding="utf-8")
    errors = check_data(task="msra", data=tmp_path).errors
    assert {name: [error.origin for error in found] for name, found in errors.items()} == {
        "dev": [Origin(str(test), 3), Origin(str(test), 5)],
        "test": [Origin(str(test), 5)],
    }
    lines = tmp_path / "a.jsonl"
    lines.write_text(QUESTION + "{\n", encoding="utf-8")
    settings = {"data.train": str(lines), "data.dev": str(lines)}
    assert set(check_data(task="qa", settings=settings).errors) == {"train", "dev"}


def test_labels_that_the_training_split_lacks(tmp_path: Path, tiny_en: Path) -> None:
    """Each is an error, as it is for training, with a model or without."""
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    dev.write_text("text,label\nx,A\ny,C\nz,D\nw,\nv,B\nu,C\n", encoding="utf-8")
    for model in (None, tiny_en):
        train.write_text("text,label\na,A\nb,B\n", encoding="utf-8")
        report = check_data(task="classification", data=tmp_path, model=model)
        assert [error.origin for error in report.errors["dev"]] == [Origin(str(dev), n) for n in (3, 4, 5, 7)]
        assert report.splits["dev"].examples == 2
        # Where a line of the training file cannot be read, its label is not known.
        train.write_text("text,label\na,A\nb,B\nc,C,more\n", encoding="utf-8")
        report = check_data(task="classification", data=tmp_path, model=model)
        assert [error.origin for error in report.errors["dev"]] == [Origin(str(dev), 5)]
