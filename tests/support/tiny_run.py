"""A run of a model with one layer of eight, which takes a fraction of a second, and what it leaves."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np

import bertcore
from bertcore.api import resume
from bertcore.formats.safetensors_file import write_safetensors
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry

CLOCK = {"examples_per_second", "compile_seconds", "seconds", "peak memory"}
"""Entries that depend on the time and the machine."""


def write_tiny_task(folder: Path, train_examples: int = 8) -> dict[str, Any]:
    """Writes a model and its data, and returns the arguments of a run of four steps."""
    letters = list(string.ascii_lowercase)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    config = {
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
    }
    (folder / "config.json").write_text(json.dumps(config))
    family = Registry().family("bert")
    table = family.parameter_table(family.parse_config(config, "config.json"), SequenceClassification(("a", "b")))
    generator = np.random.default_rng(0)
    weights = {
        name: generator.normal(0, 0.2, spec.shape).astype(np.float32) for name, spec in table.items() if "bert." in name
    }
    write_safetensors(folder / "model.safetensors", weights)
    draw = random.Random(0)
    for split, count in (("train", train_examples), ("dev", 6)):
        lines = [f"{'ab'[row % 2]}\t{''.join(draw.choices(letters, k=6))} {'xyz'[row % 2]}" for row in range(count)]
        (folder / f"{split}.tsv").write_text("\n".join(["label\ttext", *lines]) + "\n")
    settings = {
        "data.train": str(folder / "train.tsv"),
        "data.dev": str(folder / "dev.tsv"),
        "train.max_steps": 4,
        "train.batch_size": 2,
        "train.learning_rate": 1e-2,
        "train.evaluate_steps": 2,
        "train.save_steps": 1,
        "train.log_steps": 1,
    }
    return {"task": "classification", "backend": "torch", "model": str(folder), "seed": 1, "settings": settings}


def content(folder: Path) -> dict[str, Any]:
    """What a run leaves that does not depend on the time: every byte, and JSON without speeds."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name == "state.json":
            found[name] = without_clock(json.loads(path.read_text()))
        elif name == "report.json":
            found[name] = without_clock(json.loads(path.read_text()), {"header", "run.output"})  # where it lies
        elif name == "metrics.jsonl":
            found[name] = [without_clock(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.name == "bertcore_manifest.json":
            found[name] = None  # has the checksum of state.json, which has speeds
        elif name.startswith(("best", "adapter", "checkpoint", "predictions")):
            found[name] = path.read_bytes()
        elif not name.startswith("curves"):
            found[name] = None  # that it is there
    return found


def without_clock(value: Any, more: Set[str] = frozenset()) -> Any:
    """JSON without the entries of :data:`CLOCK` and some more."""
    if isinstance(value, dict):
        return {key: without_clock(item, more) for key, item in value.items() if key not in CLOCK | more}
    return [without_clock(item, more) for item in value] if isinstance(value, list) else value


def go_on(folder: Path, task: dict[str, Any]) -> Path:
    """What a user does with a run that was killed: resume it; or start it again where it had not written anything."""
    if not (folder / "config.toml").exists():
        return bertcore.run(**task, output=folder).folder
    return resume(folder).folder
