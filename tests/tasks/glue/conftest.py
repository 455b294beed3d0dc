"""Small files in exactly the layout of the official ones that are not in `../shared`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.plugins.registry import Registry

PREMISES = [
    "A soccer game with multiple males playing .",
    'He said , " the pie business does not fit " .',
    "The new rights are nice enough .",
    "Two doctors perform surgery on a patient .",
    "uh-huh oh yeah all the people for right uh life",
    "It 's a film about a man who can 't sleep",
]
HYPOTHESES = [
    "Some men are playing a sport .",
    "The pie business fits .",
    "Everyone really likes the newest benefits",
    "Two surgeons are having lunch .",
    "people for right life",
    "The man is tired , isn 't he ?",
]
THREE = ["entailment", "contradiction", "neutral"]
ENTAILMENT = ["entailment", "not_entailment"]
MNLI_TEXTS = [
    "index",
    "promptID",
    "pairID",
    "genre",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
]


def write(file: Path, *rows: list[object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def pairs() -> list[tuple[int, str, str]]:
    return [(number, *texts) for number, texts in enumerate(zip(PREMISES, HYPOTHESES, strict=True))]


def mnli_texts(number: int, one: str, two: str) -> list[object]:
    return [number, 31193, "31193n", "slate", f"( {one} )", f"( {two} )", f"(ROOT {one})", f"(ROOT {two})", one, two]


def write_qqp(folder: Path) -> None:
    for split in ("train", "dev"):
        rows = [[10 + n, 2 * n, 2 * n + 1, one, two, n % 2] for n, one, two in pairs()]
        if split == "train":  # a question that holds a line end, as the official training file has some
            rows[3:3] = [[99, 7, 8, "How do I read and find"], ["my YouTube comments?", "How can I?", 1]]
        write(folder / f"{split}.tsv", ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"], *rows)
    write(folder / "test.tsv", ["id", "question1", "question2"], *[[n, one, two] for n, one, two in pairs()])


def write_qnli(folder: Path) -> None:
    header = ["index", "question", "sentence"]
    for split in ("train", "dev"):
        rows = [[n, one, two, ENTAILMENT[n % 2]] for n, one, two in pairs()]
        write(folder / f"{split}.tsv", [*header, "label"], *rows)
    write(folder / "test.tsv", header, *[[n, one, two] for n, one, two in pairs()])


def write_wnli(folder: Path) -> None:
    header = ["index", "sentence1", "sentence2"]
    for split in ("train", "dev"):
        write(folder / f"{split}.tsv", [*header, "label"], *[[n, one, two, n % 2] for n, one, two in pairs()])
    write(folder / "test.tsv", header, *[[n, one, two] for n, one, two in pairs()])


def write_mnli(folder: Path) -> None:
    rows = [[*mnli_texts(*pair), THREE[pair[0] % 3], THREE[pair[0] % 3]] for pair in pairs()]
    write(folder / "train.tsv", [*MNLI_TEXTS, "label1", "gold_label"], *rows)
    for kind, shift in (("matched", 0), ("mismatched", 1)):
        rows = [[*mnli_texts(*pair), *["neutral"] * 5, THREE[(pair[0] + shift) % 3]] for pair in pairs()]
        header = [*MNLI_TEXTS, "label1", "label2", "label3", "label4", "label5", "gold_label"]
        write(folder / f"dev_{kind}.tsv", header, *rows)
        texts = [mnli_texts(9796 + number if kind == "mismatched" else number, *both) for number, *both in pairs()]
        write(folder / f"test_{kind}.tsv", MNLI_TEXTS, *texts)


def write_ax(folder: Path) -> None:
    header = ["Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge", "Domain"]
    rows = [["", "", "Negation", "", "Artificial", one, two, THREE[n % 3]] for n, one, two in pairs()]
    write(folder / "diagnostic-full.tsv", [*header, "Premise", "Hypothesis", "Label"], *rows)
    write(folder / "diagnostic.tsv", ["index", "sentence1", "sentence2"], *map(list, pairs()))


WRITERS: dict[str, Callable[[Path], None]] = {
    "qqp": write_qqp,
    "qnli": write_qnli,
    "wnli": write_wnli,
    "mnli": write_mnli,
    "ax": write_ax,
}


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a task's small files, side by side as in GLUE's own archive; not to be changed."""
    root = tmp_path_factory.mktemp("glue")
    names = {"qqp": "QQP", "qnli": "QNLI", "wnli": "WNLI", "mnli": "MNLI", "ax": "diagnostic"}
    for task, writer in WRITERS.items():
        writer(root / names[task])
    return lambda task: root / names[task]
