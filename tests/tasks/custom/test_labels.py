"""Labels of own tables: blanks, spellings, marks that stand for none, and a column of 0 and 1 for each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.dataset import Dataset, Example, LeftOut
from bertcore.contracts.task import Task
from bertcore.data.label_spelling import other_spelling, spelling
from bertcore.engine.preparation import reading_notes
from bertcore.errors import BertcoreError, DataError, Origin
from bertcore.plugins.registry import Registry

TEXTS = "abcdefghijkl"


@pytest.fixture(scope="module")
def classification() -> Task:
    return Registry().task("classification")


@pytest.fixture(scope="module")
def regression() -> Task:
    return Registry().task("regression")


def table(file: Path, labels: Sequence[Any], header: str = "text,label") -> str:
    """A file with a text for each label, as CSV, or as JSON lines where the suffix says so."""
    if file.suffix == ".jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, labels, strict=False)]
    else:
        lines = [header, *(f"{text},{label}" for text, label in zip(TEXTS, labels, strict=False))]
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(file)


def opened(task: Task, **options: Any) -> Dataset:
    return task.open(task.data_config(**options))


def labels_of(dataset: Dataset, split: str) -> list[Any]:
    return [example.label for example in dataset.split(split)]


def fails(task: Task, split: str, **options: Any) -> BertcoreError:
    with pytest.raises(BertcoreError) as caught:
        opened(task, **options).split(split)
    assert caught.value.remedy
    return caught.value


# Blanks and spellings


def test_blanks_around_a_label_make_no_class_and_are_counted(classification: Task, tmp_path: Path) -> None:
    train = table(tmp_path / "train.csv", ["good", " good", "bad\u3000", "\u200bbad", "good"])
    dev = table(tmp_path / "dev.csv", ["bad ", "good"])
    dataset = opened(classification, train=train, dev=dev)
    assert dataset.labels == ("bad", "good")
    assert labels_of(dataset, "train") == ["good", "good", "bad", "bad", "good"]
    assert labels_of(dataset, "dev") == ["bad", "good"]
    assert dataset.split("train").notes == (
        f"train.csv: 3 labels with blanks around them, read without; the first is {train}:3",
    )
    assert dataset.split("dev").notes == (
        f"dev.csv: 1 label with blanks around it, read without; the first is {dev}:2",
    )


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("-1", "-1."), ("Good", "good"), ("a b", "a  b"), ("０", "0"), ("True", "true")]
)
def test_two_spellings_of_a_label_are_refused_in_training_and_named_elsewhere(
    classification: Task, tmp_path: Path, one: str, other: str
) -> None:
    both = table(tmp_path / "both.csv", [one, "x", other, one])
    error = fails(classification, "train", train=both)
    assert error.cause == f"{both}:4: the label {other!r} is {one!r} ({both}:2) in another spelling"
    train = table(tmp_path / "train.csv", [one, "x"])
    dataset = opened(classification, train=train, dev=table(tmp_path / "dev.csv", ["x", other]))
    (example,) = dataset.split("dev")[1:]  # type: ignore[index]
    from bertcore_tasks.classification import label_ids

    with pytest.raises(DataError, match=f"unknown label {other!r}, likely {one!r} in another spelling") as caught:
        label_ids([example], dataset.labels)
    assert caught.value.remedy.startswith(f"write it as {one!r}; known labels are ")


@pytest.mark.parametrize("labels", [["1.1", "1.10"], ["01", "1"], ["1e2", "100"], ["1_1", "11"], ["ß", "s"]])
def test_codes_that_are_equal_as_numbers_alone_stay_two_labels(
    classification: Task, tmp_path: Path, labels: list[str]
) -> None:
    dataset = opened(classification, train=table(tmp_path / "train.csv", labels * 2))
    assert sorted(dataset.labels) == sorted(labels)


@given(number=st.integers(-(10**6), 10**6), zeros=st.integers(0, 5), label=st.text(max_size=8))
def test_spellings_agree_where_folded_texts_or_whole_numbers_do(number: int, zeros: int, label: str) -> None:
    assert spelling(f" {number}.{'0' * zeros}") == spelling(str(number)) == str(number)
    assert other_spelling(f"{number}.0", ["x", str(number)]) == str(number)
    assert other_spelling(f"{number:+}", [f"{number}.00"]) == f"{number}.00", "a hint takes equal numbers, too"
    assert spelling(label) == spelling(f" {label}\t") == spelling(spelling(label))
    assert other_spelling(label, [label]) is None


def test_a_column_that_is_no_column_of_labels_is_said(classification: Task, tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_text("text,label\n" + "".join(f"text {n},label {n}\n" for n in range(60)), encoding="utf-8")
    (note,) = opened(classification, train=str(file)).notes
    assert note.startswith("train.csv: 60 labels in 60 examples")
    assert "--set data.label=NAME" in note


# Marks that stand for no label


def test_examples_without_agreement_are_left_out_counted_and_said(classification: Task, tmp_path: Path) -> None:
    """SNLI's: in training and dev left out, in test predicted without a label."""
    labels = ["entailment", "-", "neutral", "contradiction", "-", "neutral"]
    files = {split: table(tmp_path / f"{split}.jsonl", labels) for split in ("train", "dev", "test")}
    dataset = opened(classification, **files)
    known = [label for label in labels if label != "-"]
    assert dataset.labels == tuple(sorted(set(known)))
    assert labels_of(dataset, "train") == labels_of(dataset, "dev") == known
    assert [example.identifier for example in dataset.split("dev")] == ["0", "2", "3", "5"]
    assert labels_of(dataset, "test") == [None if label == "-" else label for label in labels]
    left_out = "2 of 6 examples are left out, because their label is '-': the annotators did not agree; the first is "
    for split in ("train", "dev"):
        assert dataset.split(split).notes == (f"{split}.jsonl: {left_out}{files[split]}:2",)
        assert dataset.split(split).left_out == tuple(
            LeftOut(str(line - 1), Origin(files[split], line), "'-': the annotators did not agree") for line in (2, 5)
        )
    assert "test.jsonl: 2 of 6 examples are predicted and not scored" in dataset.split("test").notes[0]
    assert dataset.split("test").left_out == ()


@pytest.mark.parametrize("hidden", [-1, "-1", -1.0])
def test_a_test_file_with_nothing_but_minus_one_has_no_labels(
    classification: Task, regression: Task, tmp_path: Path, hidden: Any
) -> None:
    test = table(tmp_path / "test.jsonl", [hidden] * 3)
    train = table(tmp_path / "train.jsonl", [0, 1, 2])
    for task in (classification, regression):
        for files in ({"test": test}, {"train": train, "test": test}):
            dataset = opened(task, **files)
            assert labels_of(dataset, "test") == [None] * 3
            assert "test.jsonl: 3 of 3 examples are predicted and not scored" in dataset.split("test").notes[-1]


def test_minus_one_is_a_label_like_others_where_training_has_it(classification: Task, tmp_path: Path) -> None:
    """-1, 0 and 1 are classes of many sentiment corpora; a word is said where they could be something else."""
    train = table(tmp_path / "train.csv", ["-1", "0", "1", "-1"])
    test = table(tmp_path / "test.csv", ["-1", "-1"])
    dataset = opened(classification, train=train, test=test)
    assert dataset.labels == ("-1", "0", "1")
    assert labels_of(dataset, "test") == ["-1", "-1"]
    assert dataset.notes == (
        "train.csv: '-1' is read as a label like the others; where it stands for no label: --set data.ignore_labels=-1",
    )
    without = opened(classification, train=train, test=test, ignore_labels="-1")
    assert without.labels == ("0", "1")
    assert labels_of(without, "train") == ["0", "1"]
    assert labels_of(without, "test") == [None, None]


def test_minus_one_that_training_does_not_know_is_left_out_of_dev(classification: Task, tmp_path: Path) -> None:
    train = table(tmp_path / "train.csv", ["0", "1"])
    dataset = opened(classification, train=train, dev=table(tmp_path / "dev.csv", ["1", "-1", "0"]))
    assert labels_of(dataset, "dev") == ["1", "0"]
    assert "dev.csv: 1 of 3 examples are left out" in dataset.split("dev").notes[0]
    empty = opened(classification, train=train, dev=table(tmp_path / "none.csv", ["-1", "-1"]))
    with pytest.raises(DataError, match=r"none\.csv: no example has a label"):
        empty.split("dev")


@pytest.mark.parametrize("labels", [["+", "-", "+", "-"], ["-", "yes", "yes", "-"]])
def test_a_minus_that_is_half_of_the_labels_is_a_label(classification: Task, tmp_path: Path, labels: list[str]) -> None:
    dataset = opened(
        classification, train=table(tmp_path / "train.csv", labels), test=table(tmp_path / "test.csv", labels)
    )
    assert dataset.labels == tuple(sorted(set(labels)))
    assert labels_of(dataset, "train") == labels_of(dataset, "test") == labels
    assert reading_notes(dataset, *map(dataset.split, dataset.files)) == ()


def test_marks_can_be_named_or_switched_off(classification: Task, regression: Task, tmp_path: Path) -> None:
    labels = ["a", "?", "b", "-", "unsure"]
    train = table(tmp_path / "train.csv", labels)
    named = opened(classification, train=train, ignore_labels="?, unsure")
    assert named.labels == ("-", "a", "b")
    said = named.split("train").notes
    assert Counter(note.rpartition(": ")[0].rpartition("because")[0] for note in said).total() == 2
    assert "data.ignore_labels names it" in said[0]
    for listed in (["?", "unsure"], '["?", "unsure"]'):  # of Python, and as --set has it
        assert opened(classification, train=train, ignore_labels=listed).labels == named.labels
    assert opened(classification, train=train, ignore_labels=None).labels == ("-", "?", "a", "b", "unsure")
    numbers = table(tmp_path / "numbers.csv", ["0.5", "-", "-1", "nan"])
    assert labels_of(opened(regression, dev=numbers, ignore_labels="-,nan"), "dev") == [0.5, -1.0]
    assert "is no finite number" in fails(regression, "dev", dev=numbers).cause


def test_a_setting_of_marks_is_text_on_the_command_line(classification: Task) -> None:
    from bertcore.config import config_model, config_toml, gather_settings, resolve_config

    model = config_model(classification.data_config)
    for text, value in (("-1", "-1"), ("-", "-"), ("?,-1", "?,-1"), ("none", None), ("0", "0")):
        settings = gather_settings(None, {}, [f"data.ignore_labels={text}"])
        config = resolve_config(settings, model).config
        assert config.data.ignore_labels == value  # type: ignore[attr-defined]
        assert f"ignore_labels = {json.dumps(value or 'none')}" in config_toml(config)


# A column of 0 and 1 for each label


def jigsaw(file: Path, *rows: str) -> str:
    file.write_text("id,comment_text,toxic,obscene,insult\n" + "".join(row + "\n" for row in rows), encoding="utf-8")
    return str(file)


JIGSAW = {"multi_label": True, "text": "comment_text", "label": "toxic,obscene,insult"}


def test_a_column_for_each_label(classification: Task, tmp_path: Path) -> None:
    train = jigsaw(tmp_path / "train.csv", 'x1,"You fool, you",1,0,1', "x2,Nice,0,0,0", "x3,Bad,1.0,0.0,False")
    hidden = jigsaw(tmp_path / "test.csv", "x4,What,-1,-1,-1", "x5,That,0,1,0")
    dataset = opened(classification, train=train, test=hidden, **JIGSAW)
    assert dataset.labels == ("toxic", "obscene", "insult"), "all, and in the order in which they are named"
    assert labels_of(dataset, "train") == [("toxic", "insult"), (), ("toxic",)]
    assert dataset.split("train")[0] == Example(  # type: ignore[index]
        "x1", {"comment_text": "You fool, you"}, ("toxic", "insult"), Origin(str(train), 2)
    )
    by_number = opened(classification, train=train, multi_label=True, text="2", label="5, 3")
    assert by_number.labels == ("insult", "toxic")
    assert labels_of(by_number, "train") == [("insult", "toxic"), (), ("toxic",)]
    marked = opened(classification, test=hidden, ignore_labels="-1", **JIGSAW)
    assert labels_of(marked, "test") == [None, ("obscene",)]


def test_columns_of_labels_that_are_wrong_are_named(classification: Task, tmp_path: Path) -> None:
    train = jigsaw(tmp_path / "train.csv", "x1,a,1,0,1", "x2,b,0,2,0", "x3,c,,0,0")
    options = {**JIGSAW, "train": train}
    error = fails(classification, "train", **options)
    assert error.cause == f"{train}:3: the field 'obscene' holds '2', and neither 0 nor 1"
    error = fails(classification, "train", **{**options, "label": "toxic,insult"})
    assert error.cause == f"{train}:4: the field 'toxic' is empty, and neither 0 nor 1"
    error = fails(classification, "train", **{**options, "label": "toxic,threat"})
    assert f"{train}:1: no column 'threat' among 'id', 'comment_text', 'toxic'" in error.cause
    error = fails(classification, "train", **{**options, "multi_label": False})
    assert "data.label names 3 columns, and each example has one label" in error.cause
    assert error.remedy.endswith("--set data.multi_label=true")


def test_one_column_of_0_and_1_with_several_labels_deserves_a_word(classification: Task, tmp_path: Path) -> None:
    train = jigsaw(tmp_path / "train.csv", "x1,a,1,0,1", "x2,b,0,1,0")
    dataset = opened(classification, train=train, **{**JIGSAW, "label": "toxic"})
    assert dataset.labels == ("0", "1")
    (note,) = dataset.split("train").notes
    assert note.endswith("--set data.label=toxic,obscene,insult")
    other = table(tmp_path / "other.csv", ["1", "2"])
    assert opened(classification, train=other, multi_label=True).split("train").notes == ()
