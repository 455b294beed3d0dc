"""Small data of every installed task: real examples, in the official layout also where `../shared` has other files.

The pairs of QQP, QNLI, WNLI, MNLI and AX are those of RTE; the titles of AFQMC and OCNLI those of TNEWS; the sentences
of MSRA, Resume and Weibo, and the paragraphs of CMRC 2018, those of the People's Daily.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TRAIN, DEV = 16, 10
"""Examples of each split."""


@dataclass(frozen=True)
class Case:
    """One task with its small data.

    Attributes:
        model: the model folder.
        data: the folder with a training and a development split of ``DEV`` examples.
        total: examples of the evaluation split, counted here and not by the task.
        settings: of the run.
        train_as: the task that trains, which is another one for AX.
    """

    model: Path
    data: Path
    total: int
    settings: dict[str, Any] = field(default_factory=dict)
    train_as: str = ""


@pytest.fixture
def case(task: str, shared: Path, tiny_en: Path, chinese_l2: Path, tmp_path: Path) -> Case:
    """The data of a task; a task without any here is one that nobody runs."""
    folder = tmp_path / "data"
    folder.mkdir()
    data = shared / "data"
    if task in ENGLISH:
        settings = ENGLISH[task](data, folder) or {}
        return Case(tiny_en, folder, DEV, {"data.max_length": 32, **settings}, "mnli" if task == "ax" else task)
    settings = CHINESE[task](data, folder) or {}
    return Case(chinese_l2, folder, DEV, {"data.max_length": 32, **settings}, task)


def tsv_lines(file: Path, header: int) -> list[str]:
    lines = file.read_text(encoding="utf-8-sig").splitlines()[header:]
    return [line for line in lines if len(line) < 200]


def copy_tsv(name: str, header: int = 1, dev: str = "dev", train: str = "train") -> Callable[[Path, Path], None]:
    """The first short lines of GLUE's own files."""

    def write(data: Path, folder: Path) -> None:
        for split, count in ((train, TRAIN), (dev, DEV)):
            file = data / "glue" / name / f"{split}.tsv"
            top = file.read_text(encoding="utf-8-sig").splitlines()[:header]
            lines = [*top, *tsv_lines(file, header)[:count]]
            (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


def rte_pairs(data: Path, count: int) -> list[list[str]]:
    return [line.split("\t")[1:3] for line in tsv_lines(data / "glue" / "RTE" / "train.tsv", 1)[:count]]


def pairs_as(header: str, labels: list[str], row: Callable[[int, list[str], str], list[Any]], *names: str) -> Any:
    """RTE's pairs in the layout of another task of GLUE."""

    def write(data: Path, folder: Path) -> None:
        for name, count in zip(names or ("train.tsv", "dev.tsv"), (TRAIN, DEV, DEV), strict=False):
            pairs = rte_pairs(data, count)
            rows = [row(index, pair, labels[index % len(labels)]) for index, pair in enumerate(pairs)]
            lines = [header, *("\t".join(map(str, fields)) for fields in rows)]
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


MNLI_HEADER = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
MNLI_HEADER += "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"
THREE = ["entailment", "neutral", "contradiction"]
write_mnli = pairs_as(
    MNLI_HEADER,
    THREE,
    lambda index, pair, label: [index, index, f"{index}n", "slate", *["( x )"] * 4, *pair, label, label],
    "train.tsv",
    "dev_matched.tsv",
    "dev_mismatched.tsv",
)


def write_ax(data: Path, folder: Path) -> None:
    write_mnli(data, folder)
    header = "Lexical Semantics\tPredicate-Argument Structure\tLogic\tKnowledge\tDomain\tPremise\tHypothesis\tLabel"
    rows = [
        "\t".join(["", "", "Negation", "", "News", *pair, THREE[i % 3]]) for i, pair in enumerate(rte_pairs(data, DEV))
    ]
    (folder / "diagnostic-full.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def write_squad(data: Path, folder: Path) -> dict[str, Any]:
    """The first questions of real articles, the answers of which stand near the beginning."""
    for split, name, count in (("train", "train-v1.1.head.json", TRAIN), ("dev", "dev-v1.1.json", DEV)):
        paragraph = json.loads((data / "squad" / name).read_text(encoding="utf-8"))["data"][0]["paragraphs"]
        chosen, left = [], count
        for one in paragraph:
            questions = one["qas"][: min(left, 4)]
            left -= len(questions)
            chosen += [{"context": one["context"], "qas": questions}] if questions else []
        content = {"version": "1.1", "data": [{"title": "a", "paragraphs": chosen}]}
        (folder / f"{split}-v1.1.json").write_text(json.dumps(content), encoding="utf-8")
    return {"data.max_length": 128, "data.doc_stride": 48}


def write_qa(data: Path, folder: Path) -> dict[str, Any]:
    """SQuAD's questions as JSON lines of one's own."""
    settings = write_squad(data, folder)
    for split in ("train", "dev"):
        (article,) = json.loads((folder / f"{split}-v1.1.json").read_text(encoding="utf-8"))["data"]
        lines = [
            json.dumps(
                {"id": qa["id"], "context": one["context"], "question": qa["question"], "answers": qa["answers"]}
            )
            for one in article["paragraphs"]
            for qa in one["qas"]
        ]
        (folder / f"{split}-v1.1.json").unlink()
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return settings


def choices_of_words(data: Path, count: int) -> list[dict[str, Any]]:
    """The beginnings of real premises, with words of others as choices of how they go on."""
    words = [premise.split() for premise, _ in rte_pairs(data, count + 3)]
    return [
        {
            "context": " ".join(words[index][:6]),
            "question": " ".join(words[index][6:8]),
            "choices": [words[index + (choice - index) % 4][8] for choice in range(4)],
            "label": index % 4,
        }
        for index in range(count)
    ]


def write_swag(data: Path, folder: Path) -> None:
    header = ["", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source"]
    for name, count in (("train", TRAIN), ("val", DEV)):
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*header, *(f"ending{choice}" for choice in range(4)), "label"])
            for number, one in enumerate(choices_of_words(data, count)):
                start = [number, f"lsmdc-{number}", number, "", one["context"], one["question"], "gold"]
                writer.writerow([*start, *one["choices"], one["label"]])


def write_choices(data: Path, folder: Path) -> None:
    for split, count in (("train", TRAIN), ("dev", DEV)):
        lines = [json.dumps(one) + "\n" for one in choices_of_words(data, count)]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def write_table(name: str, text: int, label: int) -> Callable[[Path, Path], None]:
    """A task of GLUE as a CSV file of one's own."""

    def write(data: Path, folder: Path) -> None:
        for split, count in (("train", TRAIN), ("dev", DEV)):
            lines = tsv_lines(data / "glue" / name / f"{split}.tsv", 1)[:count]
            with open(folder / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows([[line.split("\t")[text], line.split("\t")[label]] for line in lines])

    return write


def head_of(*names: str) -> Callable[[Path, Path], None]:
    """The first lines of files with a JSON object a line."""

    def write(data: Path, folder: Path) -> None:
        for split, count in (("train", TRAIN), ("dev", DEV)):
            with open(data / names[0] / f"{split}.json", encoding="utf-8") as file:
                (folder / f"{split}.json").write_text("".join(next(file) for _ in range(count)), encoding="utf-8")
        if (data / names[0] / "labels.json").is_file():
            shutil.copyfile(data / names[0] / "labels.json", folder / "labels.json")

    return write


def titles_as(labels: list[str], train: str = "train.json") -> Callable[[Path, Path], None]:
    """Titles of TNEWS as pairs of another task of CLUE."""

    def write(data: Path, folder: Path) -> None:
        for name, count in ((train, TRAIN), ("dev.json", DEV)):
            with open(data / "tnews" / "dev.json", encoding="utf-8") as file:
                titles = [json.loads(next(file))["sentence"] for _ in range(count + 1)]
            rows = [
                {"sentence1": titles[index], "sentence2": titles[index + 1], "label": labels[index % len(labels)]}
                for index in range(count)
            ]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (folder / name).write_text(text, encoding="utf-8")

    return write


def sentences(data: Path, count: int) -> list[list[tuple[str, str]]]:
    """The first sentences of the official dev file that hold an entity."""
    text = (data / "people_daily_ner" / "example.dev").read_text(encoding="utf-8")
    blocks = [block.split("\n") for block in text.split("\n\n")]
    rows = [[(line.split()[0], line.split()[1]) for line in block if line.strip()] for block in blocks]
    return [row for row in rows if any(tag != "O" for _, tag in row)][:count]


def columns_as(pattern: str, types: dict[str, str], bmes: bool = False) -> Callable[[Path, Path], None]:
    """Sentences of the People's Daily in the layout of another corpus."""

    def tag_of(row: list[tuple[str, str]], index: int) -> str:
        position, _, kind = row[index][1].partition("-")
        if position == "O":
            return "O"
        goes_on = index + 1 < len(row) and row[index + 1][1].startswith("I-")
        if bmes:
            position = {"B": "BS", "I": "ME"}[position][not goes_on]
        return f"{position}-{types[kind]}"

    def write(data: Path, folder: Path) -> None:
        for split, count in (("train", TRAIN), ("dev", DEV)):
            blocks = [
                "\n".join(f"{unit} {tag_of(row, index)}" for index, (unit, _) in enumerate(row))
                for row in sentences(data, count)
            ]
            (folder / pattern.format(split=split)).write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")

    return write


def write_cmrc(data: Path, folder: Path) -> dict[str, Any]:
    """Which entity of a sentence of the People's Daily, in the official JSON."""
    for split, count in (("train", TRAIN), ("dev", DEV)):
        paragraphs = []
        for number, row in enumerate(sentences(data, count)):
            start = next(index for index, (_, tag) in enumerate(row) if tag.startswith("B-"))
            end = next((i for i in range(start + 1, len(row)) if not row[i][1].startswith("I-")), len(row))
            text = "".join(unit for unit, _ in row[start:end])
            question = {
                "id": f"Q{number}",
                "question": "提到了什么？",
                "answers": [{"text": text, "answer_start": start}],
            }
            paragraphs.append({"context": "".join(unit for unit, _ in row), "id": f"P{number}", "qas": [question]})
        content = {"version": "v1.0", "data": [{"title": "", "id": "D", "paragraphs": paragraphs}]}
        file = folder / f"cmrc2018_{split}.json"
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return {"data.doc_stride": 16}


def write_cmeee(data: Path, folder: Path) -> None:
    """Names of the People's Daily as if they were medical, each with its first character nested in it."""
    for split, count in (("train", TRAIN), ("dev", DEV)):
        records = []
        for row in sentences(data, count):
            text = "".join(unit for unit, _ in row)
            entities = []
            for start, (_, tag) in enumerate(row):
                if tag.startswith("B-"):
                    end = next((i for i in range(start + 1, len(row)) if not row[i][1].startswith("I-")), len(row))
                    for kind, behind in (("dis", end), ("bod", start + 1)):
                        named = {"type": kind, "entity": text[start:behind]}
                        entities.append({"start_idx": start, "end_idx": behind, **named})
            records.append({"text": text, "entities": entities})
        file = folder / f"CMeEE-V2_{split}.json"
        file.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


def write_c3(data: Path, folder: Path) -> None:
    """Which character a sentence of the People's Daily begins with, among those of others."""
    for split, count in (("train", TRAIN), ("dev", DEV)):
        for kind, part in (("d", slice(0, None, 2)), ("m", slice(1, None, 2))):
            documents = []
            rows = sentences(data, count)
            for number, row in list(enumerate(rows))[part]:
                text = "".join(unit for unit, _ in row)
                choices = sorted({text[0], *(other[0][0] for other in rows[:4])})
                asked = {"question": "开头是什么？", "choice": choices, "answer": text[0]}
                documents.append([[text[:10], text[10:20]], [asked], f"{kind}-{number}"])
            content = json.dumps(documents, ensure_ascii=False)
            (folder / f"{kind}-{split}.json").write_text(content, encoding="utf-8")


SAME = {"LOC": "LOC", "PER": "PER", "ORG": "ORG"}

ENGLISH: dict[str, Callable[[Path, Path], dict[str, Any] | None]] = {
    "cola": copy_tsv("CoLA", header=0),
    "sst2": copy_tsv("SST-2"),
    "mrpc": copy_tsv("MRPC"),
    "stsb": copy_tsv("STS-B"),
    "rte": copy_tsv("RTE"),
    "qqp": pairs_as(
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        ["0", "1"],
        lambda index, pair, label: [index, 2 * index, 2 * index + 1, *pair, label],
    ),
    "qnli": pairs_as(
        "index\tquestion\tsentence\tlabel",
        ["entailment", "not_entailment"],
        lambda index, pair, label: [index, *pair, label],
    ),
    "wnli": pairs_as(
        "index\tsentence1\tsentence2\tlabel", ["0", "1"], lambda index, pair, label: [index, *pair, label]
    ),
    "mnli": write_mnli,
    "ax": write_ax,
    "squad": write_squad,
    "qa": write_qa,
    "swag": write_swag,
    "multiple_choice": write_choices,
    "classification": write_table("SST-2", 0, 1),
    "regression": write_table("STS-B", 7, 9),
}

CHINESE: dict[str, Callable[[Path, Path], dict[str, Any] | None]] = {
    "tnews": head_of("tnews"),
    "afqmc": titles_as(["0", "1"]),
    "ocnli": titles_as(THREE, "train.50k.json"),
    "cluener": head_of("cluener"),
    "people_daily": columns_as("example.{split}", SAME),
    "chinese_ner": columns_as("example.{split}", SAME),
    "msra": columns_as("msra_{split}_bio.txt", SAME),
    "resume": columns_as("{split}.char.bmes", {"LOC": "LOC", "PER": "NAME", "ORG": "ORG"}, bmes=True),
    "weibo": columns_as("{split}.all.bmes", {"LOC": "LOC.NAM", "PER": "PER.NAM", "ORG": "ORG.NOM"}, bmes=True),
    "cmeee": write_cmeee,
    "c3": write_c3,
    "ner": columns_as("{split}.bmes", SAME, bmes=True),
    "cmrc2018": write_cmrc,
}
