"""What is read of GLUE's files: every line, with the labels of the field."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.config import DataConfig
from bertcore.contracts.dataset import Dataset, Example
from bertcore.contracts.task import Task
from bertcore.errors import DataError, Origin, UsageError
from bertcore.plugins.registry import Registry


def opened(registry: Registry, name: str, path: Path) -> tuple[Task, Dataset]:
    task = registry.task(name)
    return task, task.open(DataConfig(path=str(path)))


def examples_of(dataset: Dataset, split: str) -> list[Example]:
    return list(dataset.split(split))


# task, folder, columns of texts and label by their number, lines before the first example in train, dev, test, sizes
REAL = [
    ("rte", "RTE", (1, 2), 3, (1, 1, 1), (2490, 277, 3000)),
    ("cola", "CoLA", (3,), 1, (0, 0, 1), (8551, 1043, 1063)),
    ("sst2", "SST-2", (0,), 1, (1, 1, 1), (67349, 872, 1821)),
    ("mrpc", "MRPC", (3, 4), 0, (1, 1, 1), (3668, 408, 1725)),
    ("stsb", "STS-B", (7, 8), 9, (1, 1, 1), (5749, 1500, 1379)),
]


@pytest.mark.parametrize(("name", "folder", "texts", "label", "headers", "sizes"), REAL, ids=lambda value: str(value))
def test_real_files_are_read_whole(
    registry: Registry,
    shared: Path,
    name: str,
    folder: str,
    texts: tuple[int, ...],
    label: int,
    headers: tuple[int, ...],
    sizes: tuple[int, ...],
) -> None:
    path = shared / "data" / "glue" / folder
    _, dataset = opened(registry, name, path)
    for split, header, size in zip(("train", "dev", "test"), headers, sizes, strict=True):
        with open(path / f"{split}.tsv", encoding="utf-8-sig", newline="\n") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[header:]
        examples = examples_of(dataset, split)
        assert len(examples) == len(rows) == size
        positions = texts if split != "test" else tuple(range(-len(texts), 0))  # texts come last in test files
        assert [list(example.texts.values()) for example in examples] == [
            [row[position] for position in positions] for row in rows
        ]
        assert [str(example.origin) for example in examples] == [
            f"{path}/{split}.tsv:{number + header + 1}" for number in range(size)
        ]
        if split == "test":
            assert {example.label for example in examples} == {None}
            assert [example.identifier for example in examples] == [row[0] for row in rows]
        else:
            kind = float if name == "stsb" else str
            assert [example.label for example in examples] == [kind(row[label]) for row in rows]
            assert [example.identifier for example in examples] == [str(number) for number in range(size)]
        assert dataset.split(split).notes == dataset.split(split).left_out == ()


def test_quotes_are_text_and_a_byte_order_mark_is_none(registry: Registry, shared: Path) -> None:
    _, dataset = opened(registry, "mrpc", shared / "data" / "glue" / "MRPC")
    first = examples_of(dataset, "train")[0]
    assert first.label == "1"
    assert first.texts["sentence1"].startswith('Amrozi accused his brother , whom he called " the witness "')


# The order of ids that transformers' run_glue and the GLUE data set on the hub use.
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *[(name, ("0", "1")) for name in ("cola", "sst2", "mrpc", "qqp", "wnli")],
        *[(name, ("entailment", "not_entailment")) for name in ("qnli", "rte")],
        *[(name, ("entailment", "neutral", "contradiction")) for name in ("mnli", "ax")],
        ("stsb", ()),
    ],
)
def test_labels_have_the_ids_of_run_glue(registry: Registry, name: str, labels: tuple[str, ...]) -> None:
    assert registry.task(name).labels == labels  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("cola", "matthews"),
        ("mrpc", "f1"),
        ("qqp", "f1"),
        ("stsb", "pearson"),
        ("ax", "matthews"),
        ("mnli", "accuracy"),
    ],
)
def test_the_best_checkpoint_is_chosen_by_the_first_official_score(registry: Registry, name: str, metric: str) -> None:
    assert registry.task(name).metric.name == metric


# Files in the official layout that ../shared does not hold


def test_broken_lines_of_qqp_are_left_out_and_counted(registry: Registry, official: Callable[[str], Path]) -> None:
    _, dataset = opened(registry, "qqp", official("qqp"))
    examples = examples_of(dataset, "train")
    assert [example.identifier for example in examples] == ["10", "11", "12", "13", "14", "15"]
    assert [example.label for example in examples] == ["0", "1", "0", "1", "0", "1"]
    split = dataset.split("train")
    assert split.notes == (
        f"train.tsv: 2 lines with a wrong number of fields left out, the first is {official('qqp')}/train.tsv:5",
    )
    assert [one.origin for one in split.left_out] == [Origin(f"{official('qqp')}/train.tsv", line) for line in (5, 6)]
    assert {one.reason for one in split.left_out} == {"a wrong number of fields"}
    assert str(examples[3].origin) == f"{official('qqp')}/train.tsv:7"


def test_a_broken_line_of_another_task_or_of_a_dev_or_test_file_is_an_error(
    registry: Registry, official: Callable[[str], Path], tmp_path: Path
) -> None:
    files = (("qqp", official("qqp") / "dev.tsv"), ("qqp", official("qqp") / "test.tsv"))
    for name, source in (*files, ("qnli", official("qnli") / "train.tsv")):
        file = tmp_path / source.name
        file.write_text(source.read_text(encoding="utf-8") + "7\tno more\n", encoding="utf-8")
        _, dataset = opened(registry, name, tmp_path)
        with pytest.raises(DataError, match=rf"{source.name}:\d: 2 fields instead of"):
            dataset.split(source.stem)
        file.unlink()


def test_mnli_has_two_development_sets(registry: Registry, official: Callable[[str], Path]) -> None:
    task, dataset = opened(registry, "mnli", official("mnli"))
    assert task.evaluation_split == "dev_matched"
    assert list(dataset.files) == ["train", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched", "ax"]
    first = examples_of(dataset, "dev_matched")[0]
    assert first == Example(
        "0",
        {"sentence1": "A soccer game with multiple males playing .", "sentence2": "Some men are playing a sport ."},
        "entailment",
        Origin(f"{official('mnli')}/dev_matched.tsv", 2),
    )
    assert [example.label for example in examples_of(dataset, "dev_mismatched")][:2] == ["contradiction", "neutral"]
    assert [example.identifier for example in examples_of(dataset, "test_mismatched")][:2] == ["9796", "9797"]
    assert examples_of(dataset, "ax")[5].texts["sentence2"] == "The man is tired , isn 't he ?"


def test_ax_has_labels_only_in_its_full_file(registry: Registry, official: Callable[[str], Path]) -> None:
    task, dataset = opened(registry, "ax", official("ax"))
    full, test = examples_of(dataset, "full"), examples_of(dataset, "test")
    assert [dict(example.texts) for example in full] == [dict(example.texts) for example in test]
    assert [example.identifier for example in full] == [example.identifier for example in test]
    assert [example.label for example in full][:3] == ["entailment", "contradiction", "neutral"]
    assert {example.label for example in test} == {None}
    assert task.evaluation_split == "full"
    _, single = opened(registry, "ax", official("ax") / "diagnostic-full.tsv")
    assert examples_of(single, "full") == full


def test_ax_without_labels_says_what_can_be_done_with_it(
    registry: Registry, official: Callable[[str], Path], tmp_path: Path
) -> None:
    for name in ("diagnostic.tsv", "AX.tsv"):
        (tmp_path / name).write_bytes((official("ax") / "diagnostic.tsv").read_bytes())
    for path in (tmp_path, tmp_path / "AX.tsv"):
        _, dataset = opened(registry, "ax", path)
        with pytest.raises(DataError, match=r"\.tsv: no labels: predict or submit\n.*diagnostic-full\.tsv"):
            dataset.split("full")
        assert len(examples_of(dataset, "test"))
        with pytest.raises(UsageError, match="there is no split 'dev'"):
            dataset.split("dev")


def test_a_single_file_is_the_split_of_its_name(
    registry: Registry, official: Callable[[str], Path], tmp_path: Path
) -> None:
    _, dataset = opened(registry, "qnli", official("qnli") / "train.tsv")
    assert list(dataset.files) == ["train"]
    other = tmp_path / "mine.tsv"
    other.write_bytes((official("qnli") / "dev.tsv").read_bytes())
    _, dataset = opened(registry, "qnli", other)
    assert list(dataset.files) == ["dev"]


# What is wrong is named


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "stsb",
            "sentence1\tsentence2\tscore\na\tb\tnan\n",
            "dev.tsv:2: 'nan' in the field 'score' is no finite number",
        ),
        (
            "stsb",
            "sentence1\tsentence2\tscore\na\tb\t2,5\n",
            "dev.tsv:2: '2,5' in the field 'score' is no finite number",
        ),
        ("stsb", "sentence1\tsentence2\tscore\na\tb\t5.5\n", "dev.tsv:2: '5.5' in the field 'score' is out of range"),
        ("cola", "gj04\t1\t\ta\ngj04\t2\t*\tb\n", "dev.tsv:2: unknown label '2' in the field 'label'"),
        ("cola", "gj04\t1\ta\n", "dev.tsv:1: 3 fields instead of 4"),
        ("sst2", "sentence\na\n", "dev.tsv:1: no column 'label' among 'sentence'"),
        ("wnli", "index\tsentence1\tlabel\n", "dev.tsv:1: no column 'sentence2' among"),
    ],
)
def test_a_wrong_file_is_named(registry: Registry, tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / "dev.tsv").write_text(content, encoding="utf-8")
    _, dataset = opened(registry, name, tmp_path)
    with pytest.raises(DataError) as caught:
        dataset.split("dev")
    assert words in caught.value.cause
    assert caught.value.remedy
    assert "\n" not in caught.value.cause + caught.value.remedy


def test_predict_takes_the_names_and_the_columns_of_mrpc(registry: Registry) -> None:
    task = registry.task("mrpc")
    records = [
        ({"sentence1": "one", "sentence2": "two"}, Origin("in.jsonl", 1)),
        ({"#1 String": "three", "#2 String": "four", "index": "7"}, Origin("in.jsonl", 2)),
    ]
    assert task.parse_input(records, DataConfig()) == [
        Example("0", {"sentence1": "one", "sentence2": "two"}, origin=Origin("in.jsonl", 1)),
        Example("7", {"sentence1": "three", "sentence2": "four"}, origin=Origin("in.jsonl", 2)),
    ]


# Labels of copies and of the corpora that GLUE was made of


def test_examples_without_agreement_are_left_out_of_multi_nli(registry: Registry, tmp_path: Path) -> None:
    rows = ["a\tb\tentailment", "c\td\t-", "e\tf\t neutral ", "g\th\tcontradiction"]
    for name in ("train", "dev_matched", "test_matched"):
        lines = ["sentence1\tsentence2\tgold_label", *rows]
        (tmp_path / f"{name}.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    _, dataset = opened(registry, "mnli", tmp_path)
    for split in ("train", "dev_matched"):
        examples = examples_of(dataset, split)
        assert [example.label for example in examples] == ["entailment", "neutral", "contradiction"]
        assert [example.identifier for example in examples] == ["0", "2", "3"], "numbered before any is left out"
    assert [example.label for example in examples_of(dataset, "test_matched")] == [
        "entailment",
        None,
        "neutral",
        "contradiction",
    ]
    assert dataset.split("train").notes == (
        f"train.tsv: 1 label with blanks around it, read without; the first is {tmp_path}/train.tsv:4",
        "train.tsv: 1 of 4 examples are left out, because their label is '-': the annotators did not agree; "
        f"the first is {tmp_path}/train.tsv:3",
    )
    assert "test_matched.tsv: 1 of 4 examples are predicted and not scored" in dataset.split("test_matched").notes[-1]


@pytest.mark.parametrize(("name", "column", "hidden"), [("sst2", "label", "-1"), ("stsb", "score", "-1.0")])
def test_labels_that_are_not_handed_out_are_none(
    registry: Registry, tmp_path: Path, name: str, column: str, hidden: str
) -> None:
    """The datasets library has -1 for them; an empty field means the same."""
    texts = {"sst2": "sentence", "stsb": "sentence1\tsentence2"}[name]
    fields = texts.replace("sentence", "good ")
    for split in ("test", "dev"):
        lines = [f"{texts}\t{column}", f"{fields}\t{hidden}", f"{fields}\t"]
        (tmp_path / f"{split}.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    _, dataset = opened(registry, name, tmp_path)
    assert [example.label for example in examples_of(dataset, "test")] == [None, None]
    assert (
        "test.tsv: 1 of 2 examples are predicted and not scored, because their label is '-1'"
        in dataset.split("test").notes[0]
    )
    with pytest.raises(DataError, match=r"dev\.tsv:2: "):
        dataset.split("dev")
