"""The user's own tables: which columns are read, which labels found, and what is wrong with a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.task import Task
from bertcore.errors import BertcoreError, DataError, Origin, UsageError
from bertcore.heads import Regression, SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.testing import TaskConformance
from bertcore.tokenization.tokenizer import Tokenizer

CSV = '''text,label,source
"Well, quite good",positive,web
"two
lines, ""quoted""",negative,web
plain,positive,paper
'''


@pytest.fixture(scope="module")
def classification() -> Task:
    return Registry().task("classification")


@pytest.fixture(scope="module")
def regression() -> Task:
    return Registry().task("regression")


def opened(task: Task, **options: Any) -> Dataset:
    return task.open(task.data_config(**options))


def examples_of(dataset: Dataset, split: str) -> list[Example]:
    return list(dataset.split(split))


def written(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return str(file)


def fails(task: Task, split: str = "train", **options: Any) -> BertcoreError:
    with pytest.raises(BertcoreError) as caught:
        opened(task, **options).split(split)
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    return caught.value


class TableConformance(TaskConformance):
    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # tests/tasks/test_frameworks.py


class TestOneLabel(TableConformance):
    plugin = "bertcore_tasks.plugins:classification"

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.data = tmp_path_factory.mktemp("labels")
        for split in ("train", "dev"):
            written(cls.data / f"{split}.csv", CSV)
        written(cls.data / "test.csv", "text\nsomething\n")


class TestSeveralLabels(TableConformance):
    plugin = "bertcore_tasks.plugins:classification"
    data_options: ClassVar[dict[str, Any]] = {"multi_label": True}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.data = tmp_path_factory.mktemp("label-sets")
        for split in ("train", "dev"):
            written(cls.data / f"{split}.tsv", "sentence\tlabel\na\tred,blue\nb\t\nc\tblue\nd\tred\ne\tgreen,red\n")


class TestRegression(TableConformance):
    plugin = "bertcore_tasks.plugins:regression"
    best_score = 0.0  # mean squared error

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.data = tmp_path_factory.mktemp("numbers")
        rows = [{"sentence1": f"a {n}", "sentence2": "b", "score": n / 3 - 1} for n in range(8)]
        for split in ("train", "dev"):
            written(cls.data / f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


# What is read


def test_csv_is_read_as_spreadsheets_write_it(classification: Task, tmp_path: Path) -> None:
    dataset = opened(classification, train=written(tmp_path / "a.csv", CSV))
    assert dataset.labels == ("negative", "positive")
    assert dataset.discovered
    assert examples_of(dataset, "train") == [
        Example("0", {"text": "Well, quite good"}, "positive", Origin(f"{tmp_path}/a.csv", 2)),
        Example("1", {"text": 'two\nlines, "quoted"'}, "negative", Origin(f"{tmp_path}/a.csv", 3)),
        Example("2", {"text": "plain"}, "positive", Origin(f"{tmp_path}/a.csv", 5)),
    ]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json"])
def test_all_forms_hold_the_same(classification: Task, tmp_path: Path, suffix: str) -> None:
    rows = [{"id": "x1", "sentence1": "one", "sentence2": "zwei", "label": "b"}]
    rows += [{"id": "x2", "sentence1": "三", "sentence2": "", "label": "a"}]
    separator = {"csv": ",", "tsv": "\t"}.get(suffix)
    if separator:
        lines = [separator.join(rows[0]), *(separator.join(row.values()) for row in rows)]
    else:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    file = tmp_path / f"train.{suffix}"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    found = examples_of(opened(classification, path=str(tmp_path)), "train")
    assert [(example.identifier, dict(example.texts), example.label) for example in found] == [
        ("x1", {"sentence1": "one", "sentence2": "zwei"}, "b"),
        ("x2", {"sentence1": "三", "sentence2": ""}, "a"),
    ]


def test_columns_by_name_and_by_number(classification: Task, tmp_path: Path) -> None:
    named = written(tmp_path / "a.tsv", "klass\tquestion\tanswer\nyes\tq1\ta1\nno\tq2\ta2\n")
    bare = written(tmp_path / "b.tsv", "yes\tq1\ta1\nno\tq2\ta2\n")
    by_name = opened(classification, train=named, text="question", text_pair="answer", label="klass")
    by_number = opened(classification, train=bare, header=False, text="2", text_pair="3", label="1")
    texts = [[list(e.texts.values()) for e in examples_of(dataset, "train")] for dataset in (by_name, by_number)]
    assert texts == [[["q1", "a1"], ["q2", "a2"]]] * 2
    labels = [[example.label for example in examples_of(dataset, "train")] for dataset in (by_name, by_number)]
    assert labels == [["yes", "no"]] * 2


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "-1", "2.5", "10"], ("-1", "2.5", "9", "10")),
        (["b", "a", "10", "9"], ("10", "9", "a", "b")),
        (["1", "nan", "0"], ("0", "1", "nan")),
        ([True, False], ("false", "true")),
        ([2, 1, 10], ("1", "2", "10")),
    ],
)
def test_labels_are_sorted_and_numbers_by_value(
    classification: Task, tmp_path: Path, labels: list[Any], order: tuple[str, ...]
) -> None:
    rows = "".join(json.dumps({"text": "a", "label": label}) + "\n" for label in labels)
    assert opened(classification, train=written(tmp_path / "a.jsonl", rows)).labels == order


def test_sets_of_labels(classification: Task, tmp_path: Path) -> None:
    table = written(tmp_path / "a.tsv", "text\tlabel\none\tb | a |b\ntwo\t\nthree\tc\n")
    dataset = opened(classification, train=table, multi_label=True, label_separator="|")
    assert dataset.labels == ("a", "b", "c")
    assert [example.label for example in examples_of(dataset, "train")] == [("b", "a"), (), ("c",)]
    rows = [{"text": "one", "label": ["b", "a"]}, {"text": "two", "label": []}, {"text": "three", "label": "c"}]
    lines = written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    again = opened(classification, train=lines, multi_label=True)
    assert [example.label for example in examples_of(again, "train")] == [("b", "a"), (), ("c",)]


def test_what_the_first_object_lacks_is_not_passed_over(classification: Task, tmp_path: Path) -> None:
    """A second text or a label that only later objects have: an error about the first, and not a silent loss."""
    good, bare = {"text": "a", "text_pair": "b", "label": "x"}, {"text": "a"}
    for lacking, field in (({"text": "a", "label": "x"}, "text_pair"), ({"text": "a", "text_pair": "b"}, "label")):
        lines = written(tmp_path / "a.jsonl", json.dumps(lacking) + "\n" + json.dumps(good) + "\n")
        for split in ("train", "test"):
            cause = fails(classification, split, **{split: lines}).cause
            assert f"a.jsonl:1: the field {field!r} is missing" in cause
    records = [(bare, Origin("in.jsonl", 1)), (good, Origin("in.jsonl", 2))]
    with pytest.raises(DataError, match=r"in\.jsonl:1: the field 'text_pair' is missing"):
        classification.parse_input(records, classification.data_config())


def test_an_example_without_identifier_is_called_by_its_number(classification: Task, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": None}, {"id": ""}, {"id": 0}, {"id": "q"}, {}]
    rows = [{**row, "text": "a", "label": number % 2} for number, row in enumerate(rows)]
    lines = written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = examples_of(opened(classification, train=lines), "train")
    assert [example.identifier for example in found] == ["0", "1", "0", "q", "4"]


def test_a_test_file_needs_no_labels(classification: Task, regression: Task, tmp_path: Path) -> None:
    without = written(tmp_path / "without.csv", "text\na\n")
    empty = written(tmp_path / "empty.csv", "text,label\na,\n")
    for task in (classification, regression):
        for file in (without, empty):
            assert examples_of(opened(task, test=file), "test")[0].label is None


def test_an_empty_field_is_no_label_in_every_split(classification: Task, tmp_path: Path) -> None:
    """With several labels; in a test file where no example has any, the labels are missing."""
    some = written(tmp_path / "some.csv", 'text,label\na,"x,y"\nb,\n')
    none = written(tmp_path / "none.csv", "text,label\na,\nb,\n")
    for split in ("train", "dev", "test"):
        dataset = opened(classification, multi_label=True, **{split: some})
        assert [example.label for example in examples_of(dataset, split)] == [("x", "y"), ()]
    for split, labels in (("dev", [(), ()]), ("test", [None, None])):
        dataset = opened(classification, multi_label=True, **{split: none})
        assert [example.label for example in examples_of(dataset, split)] == labels
    with_null = written(tmp_path / "a.jsonl", '{"text": "a", "label": null}\n{"text": "b", "label": []}\n')
    dataset = opened(classification, multi_label=True, test=with_null)
    assert [example.label for example in examples_of(dataset, "test")] == [(), ()]


def test_a_wrong_line_is_named_with_the_folder_of_its_file(classification: Task, tmp_path: Path) -> None:
    for folder in ("train", "dev"):
        (tmp_path / folder).mkdir()
    table = written(tmp_path / "dev" / "x.csv", "text,label\na,x\nb,\n")
    assert fails(classification, "dev", dev=table).cause.startswith(f"{table}:3: the field 'label' is empty")
    train = written(tmp_path / "train" / "x.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    dev = written(tmp_path / "dev" / "x.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n')
    assert fails(classification, "dev", train=train, dev=dev).cause.startswith(f"{dev}:2: the field 'label' is missing")
    assert [str(example.origin) for example in examples_of(opened(classification, train=train), "train")] == [
        f"{train}:1",
        f"{train}:2",
    ]


def test_a_single_file_can_be_evaluated(classification: Task, tmp_path: Path) -> None:
    dataset = opened(classification, path=written(tmp_path / "mine.csv", CSV))
    assert list(dataset.files) == ["dev"]
    assert dataset.labels == ("negative", "positive")
    one = opened(classification, path=written(tmp_path / "one.csv", "text,label\nfine,positive\n"))
    assert [example.label for example in examples_of(one, "dev")] == ["positive"]  # only a training file needs two


def test_predict_reads_the_named_columns(classification: Task) -> None:
    data = classification.data_config(text="question", text_pair="answer")
    assert classification.parse_input([({"question": "q", "answer": "a", "id": 7}, Origin("in.jsonl", 1))], data) == [
        Example("7", {"question": "q", "answer": "a"}, origin=Origin("in.jsonl", 1))
    ]
    with pytest.raises(DataError, match=r"in\.jsonl:1: no column 'answer' among 'question'"):
        classification.parse_input([({"question": "q"}, Origin("in.jsonl", 1))], data)
    assert classification.parse_input([], data) == []


# Heads and columns of labels


def test_the_head_follows_the_options(classification: Task, regression: Task, tmp_path: Path, tiny_en: Path) -> None:
    file = written(tmp_path / "a.tsv", "text\tlabel\none\tb,a\ntwo\t\n")
    data = classification.data_config(train=file, multi_label=True)
    dataset = classification.open(data)
    head = classification.choose_head(dataset, data, classification.head_config())
    assert head == SequenceClassification(("a", "b"), multi_label=True)
    tokenizer = Tokenizer.load(tiny_en)
    column = classification.encode(examples_of(dataset, "train"), tokenizer, head, 16, data).batch.columns["labels"]
    assert column.values.dtype == np.float32
    np.testing.assert_array_equal(column.values, [[1, 1], [0, 0]])
    file = written(tmp_path / "b.tsv", "text\tscore\none\t-1.5\ntwo\t3\n")
    data = regression.data_config(train=file)
    dataset = regression.open(data)
    head = regression.choose_head(dataset, data, regression.head_config())
    assert head == Regression()
    column = regression.encode(examples_of(dataset, "train"), tokenizer, head, 16, data).batch.columns["labels"]
    np.testing.assert_array_equal(column.values, np.array([-1.5, 3], dtype=np.float32))


def test_a_label_that_training_did_not_know_is_named(classification: Task, tmp_path: Path, tiny_en: Path) -> None:
    train = written(tmp_path / "train.csv", CSV)
    dev = written(tmp_path / "dev.csv", "text,label\nfine,positive\nodd,neutral\n")
    for options in ({}, {"multi_label": True}):
        data = classification.data_config(train=train, dev=dev, **options)
        dataset = classification.open(data)
        head = classification.choose_head(dataset, data, classification.head_config())
        with pytest.raises(DataError, match=r"dev\.csv:3: unknown label 'neutral'") as caught:
            classification.encode(examples_of(dataset, "dev"), Tokenizer.load(tiny_en), head, 16, data)
        assert caught.value.remedy == "known labels are 'negative', 'positive'"


def test_a_model_of_several_labels_is_not_asked_for_one(classification: Task, tiny_en: Path) -> None:
    head = SequenceClassification(("a", "b"), multi_label=True)
    with pytest.raises(UsageError, match="any number of labels") as caught:
        classification.encode([], Tokenizer.load(tiny_en), head, 16, classification.data_config())
    assert caught.value.remedy == "--set data.multi_label=true"


# Scores


def test_sets_of_labels_are_scored(classification: Task, tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    gold = [("a", "b"), (), ("c",), ("a", "b"), ("b",)]
    given = [("a",), (), ("c",), ("b", "a"), ("a", "c")]
    examples = Split([Example(str(n), {"text": "x"}, label, Origin("dev.tsv", n + 2)) for n, label in enumerate(gold)])
    data = classification.data_config(multi_label=True)
    table = tmp_path / "predictions.tsv"
    written(table, "index\tprediction\n" + "".join(f"{n}\t{','.join(row)}\n" for n, row in enumerate(given)))
    lines = tmp_path / "predictions.jsonl"
    written(lines, "".join(json.dumps({"id": n, "prediction": list(row)}) + "\n" for n, row in enumerate(given)))
    truth, predicted = ([[label in row for label in "abc"] for row in rows] for rows in (gold, given))
    for file in (table, lines):
        result = classification.score(examples, ("a", "b", "c"), file, data)
        assert result.metrics == {
            "accuracy": pytest.approx(sklearn.accuracy_score(truth, predicted)),
            "macro_f1": pytest.approx(sklearn.f1_score(truth, predicted, average="macro")),
            "micro_f1": pytest.approx(sklearn.f1_score(truth, predicted, average="micro")),
        }
        assert result.summary.startswith("acc_num 3, total_num 5, accuracy 0.600000, macro_f1 ")
        assert [error["id"] for error in result.errors] == ["4", "0"]
    most_frequent = [[True, True, False]] * 5
    assert result.baseline["micro_f1"] == pytest.approx(sklearn.f1_score(truth, most_frequent, average="micro"))
    written(table, "index\tprediction\n" + "".join(f"{n}\ta,d\n" for n in range(5)))
    known = classification.data_config(multi_label=True, train="train.tsv", dev="dev.tsv")
    with pytest.raises(DataError, match=r"predictions\.tsv:2: unknown label 'd' in the field 'prediction'"):
        classification.score(examples, ("a", "b", "c"), table, known)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_single_file_that_is_scored_need_not_hold_every_label(
    classification: Task, tmp_path: Path, multi_label: bool
) -> None:
    file = written(tmp_path / "dev.csv", "text,label\none,a\ntwo,a\n")
    given = tmp_path / "predictions.tsv"
    written(given, "index\tprediction\n0\ta\n1\tb\n")
    for named in ({"path": file}, {"dev": file}):
        data = classification.data_config(multi_label=multi_label, **named)
        dataset = classification.open(data)
        result = classification.score(dataset.split("dev"), dataset.labels, given, data)
        assert result.summary.startswith("acc_num 1, total_num 2, accuracy 0.500000")
        (error,) = result.errors
        assert error["prediction"] == (["b"] if multi_label else "b")
    written(tmp_path / "train.csv", "text,label\none,a\ntwo,c\n")
    for data in (
        classification.data_config(multi_label=multi_label, path=str(tmp_path)),
        classification.data_config(multi_label=multi_label, dev=file, train=str(tmp_path / "train.csv")),
    ):
        dataset = classification.open(data)
        with pytest.raises(DataError, match=r"predictions\.tsv:3: unknown label 'b'"):
            classification.score(dataset.split("dev"), dataset.labels, given, data)


def test_predictions_for_what_reading_left_out_are_passed_over(
    classification: Task, regression: Task, tmp_path: Path
) -> None:
    """Whoever predicts a whole file of SNLI need not know that annotators did not agree on some of it."""
    file = written(tmp_path / "dev.csv", "text,label\none,1\ntwo,-\nthree,2\n")
    given = tmp_path / "predictions.tsv"
    written(given, "index\tprediction\n0\t1\n1\t1\n2\t1\n")
    for task in (classification, regression):
        data = task.data_config(path=file)
        dataset = task.open(data)
        assert task.score(dataset.split("dev"), dataset.labels, given, data).total == 2
    written(given, "index\tprediction\n0\t1\n3\t1\n2\t1\n")
    with pytest.raises(DataError, match="a prediction for '3', which is no example of this split"):
        task.score(dataset.split("dev"), dataset.labels, given, data)


def test_numbers_are_scored(regression: Task, tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    gold, given = [0.5, 2.0, 2.0, -1.0], [0.0, 2.5, 1.0, -1.0]
    examples = Split([Example(str(n), {"text": "x"}, label, Origin("dev.tsv", n + 2)) for n, label in enumerate(gold)])
    file = tmp_path / "predictions.tsv"
    written(file, "id\tprediction\n" + "".join(f"{n}\t{value}\n" for n, value in enumerate(given)))
    result = regression.score(examples, (), file, regression.data_config())
    assert result.metrics == {
        "pearson": pytest.approx(stats.pearsonr(gold, given).statistic),
        "spearman": pytest.approx(stats.spearmanr(gold, given).statistic),
        "mse": pytest.approx(0.375),
        "mae": pytest.approx(0.5),
    }
    assert result.baseline["mse"] == pytest.approx(np.var(gold))
    assert [error["id"] for error in result.errors] == ["2", "0", "1"]


# What is wrong is named


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "text,label\na,b,c\n", "a.csv:2: 3 fields instead of 2"),
        ("a.csv", 'text,label\n"a\nb",c\nd\n', "a.csv:4: 1 field instead of 2"),
        ("a.csv", 'text,label\nx,y\n"open,b\nc,d\n', "a.csv:3: unexpected end of data"),
        ("a.csv", 'text,label\n"a"b,c\n', "a.csv:2: "),
        ("a.csv", "text,label,text\na,b,c\n", "a.csv:1: two columns are named 'text'"),
        (
            "a.csv",
            "words,label\na,b\n",
            "a.csv:1: no column 'text' or 'sentence' or ",
        ),
        ("a.csv", "text,class\na,b\n", "a.csv:1: no column 'label' or 'labels' or 'gold_label' among 'text', 'class'"),
        ("a.csv", "text,label\na,b\nc,\n", "a.csv:3: the field 'label' is empty"),
        ("a.csv", "text,label\n", "a.csv: no examples"),
        ("a.csv", "", "a.csv: the file is empty"),
        ("a.csv", "text,label\na,b\nc,b\n", "a.csv: every example has the label 'b'"),
        ("a.tsv", "text\tlabel\na\tb\tc\n", "a.tsv:2: 3 fields instead of 2"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a"}\n', "a.jsonl:2: the field 'label' is missing"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"label": "a"}\n', "a.jsonl:2: the field 'text' is missing"),
        ("a.jsonl", '{"text": "a", "label": ["b", "c"]}\n', "a.jsonl:1: ['b', 'c'] in the field 'label' is no label"),
        ("a.jsonl", '{"text": 5, "label": "b"}\n', "a.jsonl:1: the field 'text' is no text"),
        ("a.json", '[\n{"text": "a"}]\n', "a.json:1: "),
    ],
)
def test_a_wrong_table_is_named(classification: Task, tmp_path: Path, name: str, content: str, words: str) -> None:
    error = fails(classification, train=written(tmp_path / name, content))
    assert isinstance(error, DataError)
    assert words in error.cause


def test_the_remedy_says_how_to_name_a_column(classification: Task, tmp_path: Path) -> None:
    wanted = "; where the first line is no header: --set data.header=false"
    for name, text in (("a.csv", "fine,x\nbad,y\n"), ("a.tsv", "fine\tx\nbad\ty\n")):
        file = written(tmp_path / name, text)
        assert fails(classification, train=file).remedy == "name the column: --set data.text=NAME or NUMBER" + wanted
        assert fails(classification, train=file, text="fine").remedy.startswith(
            "name the column: --set data.label=NAME"
        )
        without = fails(classification, train=file, header=False)
        assert without.remedy == "name the column: --set data.text=NAME or NUMBER"
    lines = written(tmp_path / "a.jsonl", '{"words": "fine", "label": "x"}\n')
    assert fails(classification, train=lines).remedy == "name the column: --set data.text=NAME"
    error = fails(classification, train=lines, text="words", text_pair="more")
    assert "no column 'more' among 'words', 'label'" in error.cause


@pytest.mark.parametrize("value", ["", "nan", "inf", "high", "1,5"])
def test_a_wrong_number_is_named(regression: Task, tmp_path: Path, value: str) -> None:
    file = written(tmp_path / "a.tsv", f"text\tscore\na\t1\nb\t{value}\n")
    assert "a.tsv:3: " in fails(regression, train=file).cause
    assert "'score'" in fails(regression, train=file).cause


def test_a_wrong_encoding_and_a_gigantic_line_are_named(classification: Task, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    for content, words in (
        ("text,label\na,b\nä,c\n".encode("latin-1"), "a.csv:3: byte 0 is not UTF-8"),
        ("text,label\na,b\n中,c\n".encode("gb18030"), "a.csv:3: byte 0 is not UTF-8"),
        (b"text,label\na,b\n" + b"x" * 10_000_001, "a.csv:3: a line of 10000001 bytes"),
    ):
        file.write_bytes(content)
        assert words in fails(classification, train=str(file)).cause
