"""Which columns are read: by name, by number, with and without a header, in the forms in which corpora come."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Dataset
from bertcore.contracts.task import Task
from bertcore.errors import BertcoreError
from bertcore.plugins.registry import Registry


@pytest.fixture(scope="module")
def classification() -> Task:
    return Registry().task("classification")


@pytest.fixture(scope="module")
def regression() -> Task:
    return Registry().task("regression")


def opened(task: Task, **options: Any) -> Dataset:
    return task.open(task.data_config(**options))


def read(dataset: Dataset, split: str = "train") -> list[tuple[Any, ...]]:
    return [(*example.texts.values(), example.label) for example in dataset.split(split)]


def written(file: Path, text: str, encoding: str = "utf-8") -> str:
    file.write_bytes(text.encode(encoding))
    return str(file)


LCQMC = (
    "开初婚证明怎么弄?\t初婚证明怎么开?\t1\n她是美女吗?\t这酒谁喝都会醉, 对吗\t0\n人和畜生的区别\t人与畜生的区别!\t1\n"
)
CHNSENTICORP = "label\ttext_a\n1\t选择珠江花园的原因就是方便\n0\t房间太小。\n"
THUCNEWS = "词汇阅读是关键\t3\n中国人民公安大学\t3\n卡佩罗:告诉你\t7\n名师详解\t7\n"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_lcqmc_is_read_as_it_is(classification: Task, tmp_path: Path, encoding: str) -> None:
    rows = [tuple(row) for row in csv.reader(LCQMC.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)]
    option = {"encoding": encoding} if encoding == "gb18030" else {}
    train = written(tmp_path / "train.txt", LCQMC, encoding)
    dev = written(tmp_path / "dev.txt", LCQMC.splitlines()[0] + "\n", encoding)
    test = written(tmp_path / "test.txt", "只有, 文字\t另一个\n", encoding)
    dataset = opened(classification, train=train, dev=dev, test=test, **option)
    assert read(dataset) == rows
    assert dataset.labels == ("0", "1")
    assert (
        dataset.split("train")
        .notes[0]
        .startswith(f"{train}: its first row is no header; the texts are columns 1 and 2, ")
    )
    assert read(dataset, "dev") == rows[:1], "a file of one line is read as the training file is"
    assert read(dataset, "test") == [("只有, 文字", "另一个", None)]
    assert dataset.options == {
        "text": "1",
        "text_pair": "2",
        "label": "3",
        "header": False,
        "ignore_labels": "-,-1",
    }


def test_a_header_of_known_names_is_one(classification: Task, tmp_path: Path) -> None:
    train = written(tmp_path / "train.tsv", CHNSENTICORP)
    assert read(opened(classification, train=train)) == [("选择珠江花园的原因就是方便", "1"), ("房间太小。", "0")]
    with_number = written(tmp_path / "dev.tsv", "qid\tlabel\ttext_a\n0\t1\t好\n1\t0\t差\n")
    assert read(opened(classification, train=train, dev=with_number), "dev") == [("好", "1"), ("差", "0")]
    pairs = written(tmp_path / "pairs.tsv", "text_a\ttext_b\tlabel\na\tb\t1\nc\td\t0\n")
    assert read(opened(classification, train=pairs)) == [("a", "b", "1"), ("c", "d", "0")]
    snli = written(tmp_path / "snli.tsv", "gold_label\tsentence1\tsentence2\nneutral\ta\tb\nentailment\tc\td\n")
    assert read(opened(classification, train=snli)) == [("a", "b", "neutral"), ("c", "d", "entailment")]


def test_known_names_may_have_capitals(classification: Task, tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", "ID,Text,Label\n1,a,x\n2,b,y\n")
    assert read(opened(classification, train=train)) == [("a", "x"), ("b", "y")]
    both = written(tmp_path / "both.csv", "Text,TEXT,label\na,b,x\nc,d,y\n")
    with pytest.raises(BertcoreError, match="two columns are named 'Text'"):
        opened(classification, train=both)
    exact = written(tmp_path / "exact.csv", "Text,text,label\na,b,x\nc,d,y\n")
    assert read(opened(classification, train=exact)) == [("b", "x"), ("d", "y")]


@pytest.mark.parametrize("swapped", [False, True])
def test_two_columns_without_header_are_a_text_and_its_label(
    classification: Task, regression: Task, tmp_path: Path, swapped: bool
) -> None:
    rows = [tuple(line.split("\t")) for line in THUCNEWS.splitlines()]
    lines = ["\t".join(reversed(row) if swapped else row) for row in rows]
    train = written(tmp_path / "train.txt", "".join(line + "\n" for line in lines))
    assert read(opened(classification, train=train)) == rows
    assert read(opened(regression, train=train)) == [(text, float(label)) for text, label in rows]


def test_the_label_may_stand_before_two_texts_or_one(classification: Task, tmp_path: Path) -> None:
    """AG News and its kin in CSV, and the SMS Spam Collection, which has no suffix."""
    news = '3,"Stocks, up","They ""rose"" today"\n4,Chips,A new one\n3,Oil,"Cheap, again"\n4,Web,A site\n'
    train = written(tmp_path / "train.csv", news)
    assert read(opened(classification, train=train)) == [
        ("Stocks, up", 'They "rose" today', "3"),
        ("Chips", "A new one", "4"),
        ("Oil", "Cheap, again", "3"),
        ("Web", "A site", "4"),
    ]
    spam = written(tmp_path / "SMSSpamCollection", "ham\tOk, lar...\nspam\tFree entry, now\nham\tU dun\nspam\tWIN\n")
    assert read(opened(classification, train=spam)) == [
        ("Ok, lar...", "ham"),
        ("Free entry, now", "spam"),
        ("U dun", "ham"),
        ("WIN", "spam"),
    ]


def test_columns_by_number_with_and_without_header(classification: Task, tmp_path: Path) -> None:
    rows = "yes,q1,a1\nno,q2,a2\nyes,q3,a3\n"
    options = {"text": "2", "text_pair": "3", "label": "1"}
    expected = [("q1", "a1", "yes"), ("q2", "a2", "no"), ("q3", "a3", "yes")]
    bare = written(tmp_path / "bare.csv", rows)
    for header in (None, False):
        dataset = opened(classification, train=bare, header=header, **options)
        assert read(dataset) == expected
        assert dataset.options["header"] is False
    named = written(tmp_path / "named.csv", "klass,question,answer\n" + rows)
    for header in (None, True):
        dataset = opened(classification, train=named, header=header, **options)
        assert read(dataset) == expected
        assert dataset.options["text"] == "question"


def test_what_only_a_person_can_tell_of_a_first_row_is_said(classification: Task, tmp_path: Path) -> None:
    """Every label once: the first row may be a header, and is then no example."""
    train = written(tmp_path / "train.csv", "good,x\nbad,y\nfine,z\n")
    dataset = opened(classification, train=train, text="1", label="2")
    assert read(dataset) == [("bad", "y"), ("fine", "z")]
    assert dataset.split("train").notes == (
        f"{train}: its first row is read as a header ('good', 'x'); where it is an example: --set data.header=false",
    )
    again = written(tmp_path / "again.csv", "good,x\nbad,y\nfine,x\n")
    dataset = opened(classification, train=again, text="1", label="2")
    assert len(read(dataset)) == 3
    assert dataset.split("train").notes == (
        f"{again}: its first row is read as an example; where it is a header: --set data.header=true",
    )


@pytest.mark.parametrize(
    "content",
    ["good,x\nbad,y\n", "a,b,c,d\ne,f,g,d\n", "1,2\n2,1\n1,2\n", "7,a,b\n8,c,d\n9,e,f\n", "7,a,1\n8,b,0\n9,c,1\n"],
    ids=["every label once", "four columns", "two numbers", "numbers and two texts", "numbers around a text"],
)
def test_a_table_that_could_be_read_in_two_ways_is_not_guessed_at(
    classification: Task, tmp_path: Path, content: str
) -> None:
    train = written(tmp_path / "train.csv", content)
    with pytest.raises(BertcoreError) as caught:
        opened(classification, train=train)
    assert "train.csv:1: no column 'text' or " in caught.value.cause
    assert "--set data.text=NAME or NUMBER" in caught.value.remedy


def test_two_columns_of_the_name_that_is_wanted_are_refused(classification: Task, tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", "text,label,label\na,x,1\nb,y,2\n")
    with pytest.raises(BertcoreError) as caught:
        opened(classification, train=train)
    assert caught.value.cause == f"{train}:1: two columns are named 'label'"
    assert caught.value.remedy == "rename one, or name it by number: --set data.label=NUMBER"
    assert read(opened(classification, train=train, label="2")) == [("a", "x"), ("b", "y")]
    other = written(tmp_path / "other.csv", "text,label,note,note\na,x,1,2\nb,y,2,3\n")
    assert read(opened(classification, train=other)) == [("a", "x"), ("b", "y")], "no one reads the two of one name"


def test_a_file_of_any_suffix_may_be_named(classification: Task, tmp_path: Path) -> None:
    train = written(tmp_path / "train.data", CHNSENTICORP)
    assert len(read(opened(classification, train=train))) == 2


def test_a_workbook_is_named_before_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "train.xlsx").write_bytes(b"PK\x03\x04" + b"\0" * 26 + b"xl/workbook.xml")
    for name in ("classification", "ner", "qa"):
        for options in ({"train": str(tmp_path / "train.xlsx")}, {"path": str(tmp_path)}):
            with pytest.raises(BertcoreError, match="this is an Excel workbook") as caught:
                opened(Registry().task(name), **options)
            assert caught.value.remedy.startswith("save it as CSV UTF-8 in the spreadsheet")


def test_a_file_with_a_header_only(classification: Task, tmp_path: Path) -> None:
    with pytest.raises(BertcoreError, match="no examples behind the header"):
        opened(classification, train=written(tmp_path / "train.csv", "text,label\n"))
