"""Small files in the layouts of SWAG, C3 and others, of the tests' own making."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SWAG_HEADER = ("video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source")
SWAG_HEADER += ("ending0", "ending1", "ending2", "ending3", "label")
SCENES = [
    (
        "A man opens the fridge.",
        "He",
        ["takes out some milk.", "flies to the moon.", 'reads, then "sleeps".', "sings."],
        0,
    ),
    ("Someone lights a candle.", "The room", ["is full of water.", "gets a warm light.", "barks.", "runs away."], 1),
    ("The girl throws the ball.", "Her dog", ["cooks dinner.", "votes.", "runs after it.", "is a car, and blue."], 2),
    ("Rain begins to fall.", "People", ["eat the street.", "sit in the sky.", "turn green.", "open umbrellas."], 3),
    ("A boy ties his shoes.", "Then he", ["walks out of the door.", "melts.", "is a letter.", "rains."], 0),
    (
        "She waters the plants.",
        "After a week",
        ["they speak.", "they have new leaves.", "it is a bus.", "we fell up."],
        1,
    ),
]
DIALOGUES: list[Any] = [
    [
        ["男：你今天怎么来的？", "女：我坐地铁来的，路上很快。"],
        [
            {"question": "女的是怎么来的？", "choice": ["开车", "坐地铁", "走路"], "answer": "坐地铁"},
            {"question": "路上怎么样？", "choice": ["很快", "很慢"], "answer": "很快"},
        ],
        "1-1",
    ],
    [
        ["女：明天会下雨吗？", "男：天气预报说会下。"],
        [{"question": "明天天气怎么样？", "choice": ["晴天", "有风", "下雪", "下雨"], "answer": "下雨"}],
        "1-2",
    ],
]
TEXTS: list[Any] = [
    [
        ["小猫喜欢吃鱼，小狗喜欢吃肉。"],
        [{"question": "谁喜欢吃鱼？", "choice": ["小狗", "小猫", "小鸟", "小马"], "answer": "小猫"}],
        "2-1",
    ]
]


def write_swag(folder: Path) -> Path:
    """``train.csv``, ``val.csv`` and ``test.csv`` as rowanz/swagaf has them: a column without a name in front."""
    for name in ("train", "val", "test"):
        header = SWAG_HEADER if name != "test" else SWAG_HEADER[:-1]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["", *header])
            for number, (context, start, endings, label) in enumerate(SCENES):
                row = [number, f"anetv_{number}", 100 + number, f"{context} {start}", context, start, "gold", *endings]
                writer.writerow([*row, label] if name != "test" else row)
    return folder


def write_c3(folder: Path, prefix: str = "") -> Path:
    """``d-train.json`` and so on as CLUE has them, and its test file without answers but with numbers."""
    for split in ("train", "dev"):
        for kind, documents in (("d", DIALOGUES), ("m", TEXTS)):
            text = json.dumps(documents, ensure_ascii=False, indent=2)
            (folder / f"{prefix}{kind}-{split}.json").write_text(text, encoding="utf-8")
    asked = [
        [lines, [{"id": 10 * index + place, **one} for place, one in enumerate(questions)], name]
        for index, (lines, questions, name) in enumerate(json.loads(json.dumps([*DIALOGUES, *TEXTS])))
    ]
    for _, questions, _ in asked:
        for one in questions:
            del one["answer"]
    (folder / "test1.1.json").write_text(json.dumps(asked, ensure_ascii=False), encoding="utf-8")
    return folder


@pytest.fixture(scope="class")
def swag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_swag(tmp_path_factory.mktemp("swag"))


@pytest.fixture(scope="class")
def c3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_c3(tmp_path_factory.mktemp("c3"))


@pytest.fixture(scope="class")
def own_choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions of two to four choices, without a context in half of them."""
    folder = tmp_path_factory.mktemp("own")
    lines = [
        {
            "context": context,
            "question": start,
            "choices": endings[: 2 + number % 3] if label < 2 else endings,
            "label": label,
        }
        for number, (context, start, endings, label) in enumerate(SCENES)
    ]
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder
