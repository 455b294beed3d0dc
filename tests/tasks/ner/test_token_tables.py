"""Tables with a row for each token, whose sentences a column numbers, as they lie on Kaggle and in notebooks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Dataset
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

ROWS = [
    ("Sentence: 1", "Caf\u00e9", "NNP", "B-org"),
    ("Sentence: 1", "\u00c9lys\u00e9e", "NNP", "I-org"),
    ("Sentence: 1", ",", ",", "O"),
    ("Sentence: 2", '"', "``", "O"),
    ("Sentence: 2", "London", "NNP", "B-geo"),
    ("Sentence: 3", "Paris", "NNP", "B-geo"),
]
HEADER = ("Sentence #", "Word", "POS", "Tag")
WORDS = [["Caf\u00e9", "\u00c9lys\u00e9e", ","], ['"', "London"], ["Paris"]]
ENTITIES = [[("Caf\u00e9 \u00c9lys\u00e9e", "org")], [("London", "geo")], [("Paris", "geo")]]


def opened(file: Path, **options: Any) -> Dataset:
    task = Registry().task("ner")
    return task.open(task.data_config(train=str(file), **options))


def found(dataset: Dataset, split: str = "train") -> tuple[list[list[str]], list[list[tuple[str, str]]]]:
    sentences: Any = dataset.split(split)
    entities = [[(sentence.surface(span), span.type) for span in sentence.label or ()] for sentence in sentences]
    return [sentence.words for sentence in sentences], entities


def table(rows: Sequence[Sequence[str]], separator: str = ",", header: Sequence[str] = HEADER) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator).writerows([header, *rows])
    return stream.getvalue()


def first_rows_only(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The number of the sentence stands in its first row alone."""
    return [["" if index and rows[index - 1][0] == row[0] else row[0], *row[1:]] for index, row in enumerate(rows)]


@pytest.mark.parametrize("numbered", ["every row", "the first row"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_column_numbers_the_sentences(tmp_path: Path, numbered: str, separator: str) -> None:
    file = tmp_path / "ner_dataset.csv"
    rows = ROWS if numbered == "every row" else first_rows_only(ROWS)
    file.write_bytes(table(rows, separator).encode("latin-1"))
    dataset = opened(file, encoding="latin-1")
    assert found(dataset) == (WORDS, ENTITIES)
    assert dataset.labels == ("O", "B-geo", "I-geo", "B-org", "I-org")
    assert [str(example.origin) for example in dataset.split("train")] == [f"{file}:{line}" for line in (2, 5, 7)]
    with pytest.raises(DataError, match=r"ner_dataset\.csv:2: byte \d+ is not UTF-8") as caught:
        opened(file)
    assert "--set data.encoding=cp1252" in caught.value.remedy


def test_other_names_of_the_columns_and_numbers_in_their_place(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text(table(ROWS, header=("sentence_id", "words", "pos", "labels")), encoding="utf-8")
    assert found(opened(file)) == (WORDS, ENTITIES)
    file.write_text(table(ROWS, header=("s", "form", "pos", "type")), encoding="utf-8")
    for options in ({"sentence": "s", "text": "form", "label": "type"}, {"sentence": "1", "text": "2", "label": "4"}):
        assert found(opened(file, **options)) == (WORDS, ENTITIES)
    with pytest.raises(DataError, match="no column of the word, as 'word', among 's', 'form'"):
        opened(file, sentence="s")
    with pytest.raises(DataError, match="no column 'number' among") as caught:
        opened(file, sentence="number", text="form", label="type")
    assert "--set data.sentence=NAME" in caught.value.remedy


def test_a_tsv_is_one_by_its_header(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text(table(ROWS, "\t"), encoding="utf-8")
    assert found(opened(file)) == (WORDS, ENTITIES)
    columns = tmp_path / "columns.tsv"
    columns.write_text("Caf\u00e9\tB-org\n,\tO\n\nParis\tB-geo\n", encoding="utf-8")
    assert found(opened(columns))[0] == [["Caf\u00e9", ","], ["Paris"]], "and any other is one of columns"


def test_without_numbers_an_empty_line_parts_sentences(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    for gap in ("", ","):
        lines = ["Word,Tag", "Caf\u00e9,B-org", "\u00c9lys\u00e9e,I-org", '",",O', gap, '"""",O', "London,B-geo", gap]
        file.write_text("\n".join([*lines, "Paris,B-geo", ""]), encoding="utf-8")
        assert found(opened(file)) == (WORDS, ENTITIES)


def test_a_test_file_needs_no_tags(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text(table(ROWS), encoding="utf-8")
    test.write_text(table([row[:2] for row in ROWS], header=HEADER[:2]), encoding="utf-8")
    dataset = opened(train, test=str(test))
    assert found(dataset, "test")[0] == WORDS
    assert {example.label for example in dataset.split("test")} == {None}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Sentence: 4,,NN,O", ":8: the field 'Word' holds no word"),
        ("Sentence: 4,word,NN,", ":8: the field 'Tag' is empty"),
        ("Sentence: 4,word", ":8: 2 fields instead of 4"),
        ("Sentence: 4,word,NN,B", ":8: "),
        ("Sentence: 4,word,NN,X-geo", ":8: "),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: str, words: str) -> None:
    file = tmp_path / "train.csv"
    file.write_text(table(ROWS) + row + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        opened(file)
    assert f"{file}{words}" in caught.value.cause
    assert caught.value.remedy


def test_a_table_that_nothing_parts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("Word,Tag\n" + "word,O\n" * 2000, encoding="utf-8")
    with pytest.raises(DataError, match="no column numbers the sentences, and no empty line parts them") as caught:
        opened(file)
    assert "--set data.sentence=NAME" in caught.value.remedy


def test_such_tables_are_predicted_too(tmp_path: Path) -> None:
    task = Registry().task("ner")
    file = tmp_path / "input.csv"
    file.write_text(table(first_rows_only(ROWS)), encoding="utf-8")
    read = task.read_input(file, task.data_config())
    assert read is not None
    assert [record["tokens"] for record, _ in read] == WORDS
    assert [record["tags"] for record, _ in read] == [["B-org", "I-org", "O"], ["O", "B-geo"], ["B-geo"]]
    assert [example.words for example in task.parse_input(read, task.data_config())] == WORDS  # type: ignore[attr-defined]
    file.write_text(table([row[:2] for row in ROWS], header=("s", "form")), encoding="utf-8")
    read = task.read_input(file, task.data_config(sentence="s", text="form"))
    assert read is not None
    assert [(record, str(origin)) for record, origin in read][2] == ({"tokens": ["Paris"]}, f"{file}:7")
    file.write_text("text\nParis sleeps.\n", encoding="utf-8")
    assert task.read_input(file, task.data_config()) is None, "texts are no tokens"
