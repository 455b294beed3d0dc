"""Column files as they are found in the world, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.ner.units import Sentence

from bertcore.contracts.dataset import Dataset
from bertcore.contracts.tagging import Span
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

GOOD = "北 B-LOC\n京 I-LOC\n\n好 O\n"


def opened(folder: Path, content: str | bytes = GOOD, name: str = "train.bio", **options: Any) -> Dataset:
    """The task `ner` on one file."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    task = Registry().task("ner")
    return task.open(task.data_config(path=str(folder), **options))


def train(dataset: Dataset) -> list[Sentence]:
    return list(dataset.split("train"))


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace(" ", "\t").encode(),
        GOOD.replace(" ", "   ").encode(),
        GOOD.replace("\n\n", "\n \t \n\n\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        ("\n\n" + GOOD + "\n\n\n").encode(),
        ("-DOCSTART- -X- O\n\n" + GOOD).encode(),
        GOOD.replace("O\n", "O \n").replace("I-LOC\n", "I-LOC\t\n").encode(),
        GOOD.replace(" ", " NN x ").encode(),
    ],
    ids=["plain", "CRLF", "BOM", "tabs", "spaces", "blanks", "no end", "ends", "DOCSTART", "trailing", "four columns"],
)
def test_the_same_sentences_in_any_spelling(tmp_path: Path, content: bytes) -> None:
    first, second = train(opened(tmp_path, content))
    assert (first.text, first.label) == ("北京", (Span(0, 2, "LOC"),))
    assert (second.text, second.label) == ("好", ())


def test_spaces_and_separators_can_be_units(tmp_path: Path) -> None:
    (sentence,) = train(opened(tmp_path, "甲 B-X\n　 I-X\n  I-X\n\u2028\tO\n#\tO\n"))
    assert sentence.text == "甲\u3000 \u2028#"
    assert sentence.label == (Span(0, 3, "X"),)
    assert list(sentence.units.starts) == [0, 1, 2, 3, 4]


def test_words_are_joined_to_a_text_that_offsets_count_in(tmp_path: Path) -> None:
    content = "EU B-ORG\nrejects O\nBoeing B-X\n737 I-X\n在 O\n北京 B-LOC\n. O\n"
    (sentence,) = train(opened(tmp_path, content))
    assert sentence.text == "EU rejects Boeing 737在北京."
    assert [sentence.surface(span) for span in sentence.label] == ["EU", "Boeing 737", "北京"]


def test_columns_by_number_and_by_name(tmp_path: Path) -> None:
    content = "id\ttag\tword\n1\tB-X\t北\n2\tI-X\t京\n"
    for options in ({"text": "word", "label": "tag"}, {"text": "word", "label": "2"}):
        (sentence,) = train(opened(tmp_path, content, **options))
        assert (sentence.text, sentence.label) == ("北京", (Span(0, 2, "X"),))
    without = content.partition("\n")[2]
    (sentence,) = train(opened(tmp_path, without, text="3", label="2"))
    assert (sentence.text, sentence.label) == ("北京", (Span(0, 2, "X"),))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.bio", "甲 B-X\n乙 I-X\n丙 B-X\n"),
        ("train.bmes", "甲 B-X\n乙 E-X\n丙 S-X\n"),
        ("train.bioes", "甲 B-X\n乙 E-X\n丙 S-X\n"),
    ],
)
def test_the_suffix_tells_the_scheme(tmp_path: Path, name: str, content: str) -> None:
    dataset = opened(tmp_path, content, name)
    assert train(dataset)[0].label == (Span(0, 2, "X"), Span(2, 3, "X"))
    assert dataset.discovered
    positions = {"train.bio": "BI", "train.bmes": "BMES", "train.bioes": "BIES"}[name]
    assert dataset.labels == ("O", *(f"{position}-X" for position in positions))


def test_labels_are_complete_and_sorted(tmp_path: Path) -> None:
    dataset = opened(tmp_path, "甲 S-Z\n乙 S-A\n", "train.txt", scheme="BMES")
    assert dataset.labels == ("O", "B-A", "M-A", "E-A", "S-A", "B-Z", "M-Z", "E-Z", "S-Z")


@pytest.mark.parametrize(
    ("content", "line", "cause", "remedy"),
    [
        ("甲 O\n乙 I-X\n", 2, "the tag 'I-X' without a B-X before it", "data.repair=true"),
        ("甲 B-X\n乙 I-Y\n", 2, "the tag 'I-Y' without a B-Y before it", "data.repair=true"),
        ("甲 B-X\n乙 E-X\n", 2, "the tag 'E-X' is not one of BIO", "data.scheme=BIOES"),
        ("甲 B-X\n乙 M-X\n丙 E-X\n", 2, "the tag 'M-X' is not one of BIO", "data.scheme=BMES"),
        ("甲 B_X\n", 1, "the tag 'B_X' is neither O nor", "correct the tag"),
        ("token ner\n甲 B-X\n", 1, "the tag 'ner' is neither O nor", "names the columns: --set data.label=ner"),
        ("甲 O\n乙 PERS\n", 2, "the tag 'PERS' is neither O nor", "make it I-PERS, and --set data.scheme=IO"),
        ("甲 B-X\n乙 0\n", 2, "the tag '0' is neither O nor", "write the letter O"),
        ("甲 O\n当/o 希望工程/nt\n", 2, "the tag '希望工程/nt' is neither O nor", "MSRA's first form"),
        ("甲 B-X\n\n乙\n", 3, "1 column instead of at least 2", "its tag"),
        ("甲 B-X\n O\n", 2, "no character in front of the tag", "delete the line"),
        (GOOD.encode("gb18030"), 1, "is not UTF-8", "data.encoding=gb18030"),
        ("甲" * 2000 + " O\n", 1, "a unit of 2000 characters", "one character or word a line"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: str | bytes, line: int, cause: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(tmp_path, content)
    assert f"train.bio:{line}: " in caught.value.cause
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.cause + caught.value.remedy


def test_an_entity_that_bmes_does_not_end(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.bmes:2: the tag 'M-X' needs E-X after it, but the text ends"):
        opened(tmp_path, "甲 B-X\n乙 M-X\n\n丙 O\n", "train.bmes")


def test_files_without_entities_or_sentences(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no entity in 1 texts"):
        opened(tmp_path, "甲 O\n")
    with pytest.raises(DataError, match=r"train.bio: no sentence"):
        opened(tmp_path, "\n \n")


def test_repaired_tags_are_read_as_conlleval_does_and_counted(tmp_path: Path) -> None:
    dataset = opened(tmp_path, "甲 I-X\n乙 I-X\n丙 I-Y\n\n丁 B-X\n", repair=True)
    assert train(dataset)[0].label == (Span(0, 2, "X"), Span(2, 3, "Y"))
    (note,) = dataset.split("train").notes
    assert note == "train.bio: 2 tags in 1 sentence that BIO forbids, read as conlleval does; the first in line 1"


def test_a_tag_that_breaks_its_scheme_twice_is_counted_once(tmp_path: Path) -> None:
    """An M without the B before it and the E behind it."""
    dataset = opened(tmp_path, "甲 M-X\n乙 O\n丙 S-X\n", "train.bmes", repair=True)
    assert train(dataset)[0].label == (Span(0, 1, "X"), Span(2, 3, "X"))
    assert [note.partition(" that ")[0] for note in dataset.split("train").notes] == ["train.bmes: 1 tag in 1 sentence"]


def test_only_a_test_file_may_come_without_tags(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "test.txt").write_text("北\n京\n\n好\n", encoding="utf-8")
    (tmp_path / "dev.txt").write_text("北\n京\n\n好\n", encoding="utf-8")
    dataset = opened(tmp_path)
    read = dataset.split("test")
    assert [(sentence.text, sentence.label) for sentence in read] == [("北京", None), ("好", None)]
    with pytest.raises(DataError, match=r"dev.txt:1: 1 column instead of at least 2"):
        dataset.split("dev")
    (tmp_path / "test.txt").write_text("北 B-LOC\n京\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test.txt:1: 1 of 2 lines of this sentence have no tag"):
        opened(tmp_path).split("test")


def test_a_file_can_stand_for_the_folder(tmp_path: Path) -> None:
    opened(tmp_path)
    task = Registry().task("ner")
    dataset = task.open(task.data_config(path=str(tmp_path / "train.bio")))
    assert set(dataset.files) == {"dev"}
    task = Registry().task("people_daily")
    dataset = task.open(task.data_config(path=str(tmp_path / "train.bio")))
    assert len(dataset.split("dev")) == 2
