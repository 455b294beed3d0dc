"""Runs of a tiny model in several processes of this machine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


def bertcore(*arguments: str | Path, seconds: float = 240, **environment: str) -> Ran:
    """Runs the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bertcore", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def start(*arguments: str | Path, log: Path | None = None) -> subprocess.Popen[str]:
    """Starts the command as the leader of a session of its own."""
    target = subprocess.PIPE if log is None else log.open("w")
    return subprocess.Popen(
        [sys.executable, "-m", "bertcore", *map(str, arguments)],
        stdout=target,
        stderr=subprocess.STDOUT if log is not None else subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def losses(folder: Path) -> list[float]:
    """Of the logged steps of a run."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line and "learning_rates" in line]


def weights(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Of the last checkpoint."""
    return load_file(folder / "checkpoint" / "model" / "model.safetensors")


def furthest(one: Path, other: Path) -> float:
    """The largest difference between the weights of two runs, of those that have a gradient.

    A softmax does not change with what is added to all of its scores: the gradient of such a bias is zero but for
    rounding, of which Adam makes steps as large as any.
    """
    first, second = weights(one), weights(other)
    assert [*first] == [*second]
    names = [name for name in first if not name.endswith(("key.bias", "qa_outputs.bias"))]
    return max(float(np.abs(first[name] - second[name]).max()) for name in names)


@pytest.fixture(scope="session")
def small_tasks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], list[str]]:
    """Arguments of a run on a few examples of a task, written for the test."""

    def arguments(task: str, count: int) -> list[str]:
        folder = tmp_path_factory.mktemp(f"{task}-{count}")
        chance = random.Random(task)
        words = "a good film about the life of a man who never came back home to his old house".split()  # noqa: SIM905
        made = {
            "classification": lambda: {"text": _text(chance, words), "label": chance.choice(["no", "yes"])},
            "ner": lambda: _tagged(chance, words),
            "qa": lambda: _answered(chance, words),
        }[task]
        files = {"train": count, "dev": 13}
        for name, size in files.items():
            rows = "".join(json.dumps(made()) + "\n" for _ in range(size))
            (folder / f"{name}.jsonl").write_text(rows)
        return ["--task", task, "--train", str(folder / "train.jsonl"), "--dev", str(folder / "dev.jsonl")]

    return arguments


def _text(chance: random.Random, words: list[str]) -> str:
    return " ".join(chance.choices(words, k=chance.randint(3, 40)))


def _tagged(chance: random.Random, words: list[str]) -> dict[str, Any]:
    tokens = chance.choices(words, k=chance.randint(3, 30))
    place = chance.randrange(len(tokens))
    return {"tokens": tokens, "tags": ["B-X" if index == place else "O" for index in range(len(tokens))]}


def _answered(chance: random.Random, words: list[str]) -> dict[str, Any]:
    context = _text(chance, words)
    answer = chance.choice(context.split())
    start = context.index(answer)
    answers = {"text": [answer], "answer_start": [start]}
    return {"id": str(chance.random()), "question": "who came ?", "context": context, "answers": answers}
