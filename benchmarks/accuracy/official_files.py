"""The official files as the peers read them: independent of bertcore, so that both sides read, and not one for both."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Layout:
    """Where a task's texts and labels stand.

    Attributes:
        train: name of the training file.
        dev: name of the file to evaluate on.
        kind: ``classification``, ``regression`` or ``tags``.
        header: whether the first line is a header.
        columns: numbers of the columns of the texts; names for JSON lines.
        label: number of the column of the label, -1 for the last; a name for JSON lines.
        labels: names of the labels in the order of their ids; empty where they are read from ``labels.json``.
    """

    train: str
    dev: str
    kind: str = "classification"
    header: bool = True
    columns: tuple[Any, ...] = (0,)
    label: Any = -1
    labels: tuple[str, ...] = ("0", "1")


LAYOUTS = {
    "rte": Layout("train.tsv", "dev.tsv", columns=(1, 2), labels=("entailment", "not_entailment")),
    "cola": Layout("train.tsv", "dev.tsv", header=False, columns=(3,), label=1),
    "mrpc": Layout("train.tsv", "dev.tsv", columns=(3, 4), label=0),
    "stsb": Layout("train.tsv", "dev.tsv", kind="regression", columns=(7, 8), labels=()),
    "sst2": Layout("train.tsv", "dev.tsv", columns=(0,), label=1),
    "tnews": Layout("train.json", "dev.json", header=False, columns=("sentence",), label="label", labels=()),
    "cluener": Layout("train.json", "dev.json", kind="tags", header=False, labels=()),
    "people_daily": Layout("example.train", "example.dev", kind="tags", header=False, labels=()),
}


def read_pairs(task: str, folder: Path, split: str) -> list[tuple[list[str], Any]]:
    """Texts and label of each example; the label is an id, or a number for a regression."""
    layout = LAYOUTS[task]
    lines = (folder / getattr(layout, split)).read_text(encoding="utf-8-sig").split("\n")
    lines = [line.removesuffix("\r") for line in lines if line][layout.header :]
    if layout.train.endswith(".json"):
        codes = [json.loads(line)["label"] for line in (folder / "labels.json").read_text("utf-8").splitlines() if line]
        rows = [json.loads(line) for line in lines]
        return [([row[name] for name in layout.columns], codes.index(row[layout.label])) for row in rows]
    fields = [line.split("\t") for line in lines]
    texts = [[row[column] for column in layout.columns] for row in fields]
    if layout.kind == "regression":
        return [(text, float(row[layout.label])) for text, row in zip(texts, fields, strict=True)]
    return [(text, layout.labels.index(row[layout.label])) for text, row in zip(texts, fields, strict=True)]


def read_tagged(task: str, folder: Path, split: str) -> list[tuple[list[str], list[str]]]:
    """Characters and BIO tags of each sentence."""
    text = (folder / getattr(LAYOUTS[task], split)).read_text(encoding="utf-8-sig")
    if task != "cluener":
        blocks = [block.split("\n") for block in text.replace("\r", "").split("\n\n") if block.strip()]
        pairs = [[line.split() for line in block if line.strip()] for block in blocks]
        return [([pair[0] for pair in block], [pair[1] for pair in block]) for block in pairs if block]
    sentences = []
    for line in text.splitlines():
        row = json.loads(line)
        tags = ["O"] * len(row["text"])
        for kind, surfaces in row["label"].items():
            for places in surfaces.values():
                for start, end in places:
                    tags[start : end + 1] = [f"B-{kind}", *[f"I-{kind}"] * (end - start)]
        sentences.append((list(row["text"]), tags))
    return sentences


def write_subset(task: str, folder: Path, destination: Path, train: int | None, dev: int | None) -> None:
    """Copies the official files with so many training and dev examples, drawn once and for all."""
    layout = LAYOUTS[task]
    destination.mkdir(parents=True)
    for name, count in ((layout.train, train), (layout.dev, dev)):
        if count is None:
            shutil.copy(folder / name, destination / name)
            continue
        content = (folder / name).read_bytes().decode("utf-8").replace("\r\n", "\n")
        separator = "\n\n" if layout.train == "example.train" else "\n"
        examples = [example for example in content.split(separator) if example.strip()]
        header, examples = examples[: layout.header], examples[layout.header :]
        chosen = sorted(random.Random(0).sample(range(len(examples)), min(count, len(examples))))
        text = separator.join([*header, *(examples[index] for index in chosen)]) + separator
        (destination / name).write_bytes(text.encode("utf-8"))
    if (folder / "labels.json").is_file():
        shutil.copy(folder / "labels.json", destination / "labels.json")
