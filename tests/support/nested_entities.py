"""Sentences in which every organization begins with the place that it is named after."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

PLACES = ("北京", "上海", "天津")
KINDS = ("大学", "医院")
OTHERS = "我在你他的去了看见和有"

SETTINGS: dict[str, Any] = {
    "train.epochs": 4,
    "train.batch_size": 16,
    "train.learning_rate": 3e-4,
    "train.head_learning_rate": 3e-3,
    "train.dropout": False,
    "data.max_length": 32,
}
"""With these a model of two layers learns them."""


def sentence(generator: random.Random) -> dict[str, Any]:
    text, entities = "", []
    for _ in range(generator.randint(1, 3)):
        text += "".join(generator.choice(OTHERS) for _ in range(generator.randint(1, 4)))
        start, place = len(text), generator.choice(PLACES)
        text += place
        entities.append({"start": start, "end": len(text), "type": "LOC"})
        if generator.random() < 0.6:
            text += generator.choice(KINDS)
            entities.append({"start": start, "end": len(text), "type": "ORG"})
    return {"text": text, "entities": entities}


def write_nested(folder: Path) -> Path:
    """``train.jsonl`` and ``dev.jsonl``, the same in every run."""
    generator = random.Random(1)
    for split, count in (("train", 80), ("dev", 20)):
        lines = [json.dumps(sentence(generator), ensure_ascii=False) for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def spans_of(entry: dict[str, Any], field: str = "entities") -> set[tuple[int, int, str]]:
    return {(entity["start"], entity["end"], entity["type"]) for entity in entry[field]}
