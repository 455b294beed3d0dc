"""Questions of two to four choices that a small model learns to answer within seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

WORDS = "red blue green black white cat dog horse bird fish river mountain city road house music".split(" ")  # noqa: SIM905
SETTINGS = {
    "train.max_steps": 24,
    "train.evaluate_steps": 24,
    "train.save_steps": 100,
    "train.batch_size": 16,
    "train.learning_rate": 1e-3,
    "data.max_length": 24,
}


def question(generator: random.Random) -> dict[str, Any]:
    """Which word the context names: no choice tells it by itself, and no place."""
    choices = generator.sample(WORDS, generator.choice([2, 3, 4]))
    label = generator.randrange(len(choices))
    return {
        "context": f"There was a {choices[label]} and nothing else.",
        "question": "What was there?",
        "choices": choices,
        "label": label,
    }


def write_solvable(folder: Path) -> Path:
    """``train.jsonl`` and ``dev.jsonl``."""
    generator = random.Random(1)
    for split, count in (("train", 384), ("dev", 48)):
        lines = [json.dumps(question(generator)) + "\n" for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
