"""A loss that is not finite ends a run: what was good stays, and the user reads which step and which rows it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import write_tiny_task

import bertcore
from bertcore.api import resume
from bertcore.contracts.batch import Batch, from_rows
from bertcore.contracts.dataset import Example, Split
from bertcore.data.plans import plan_training
from bertcore.engine.checkpoint import load_checkpoint
from bertcore.engine.step_examples import describe_rows
from bertcore.errors import Origin, TrainingError
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")

SEED, ROWS, BATCH = 1, 24, 4


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    """A regression of tiny texts, six steps an epoch."""
    (tmp_path / "task").mkdir()
    task = write_tiny_task(tmp_path / "task", train_examples=ROWS)
    for split in ("train", "dev"):
        file = tmp_path / "task" / f"{split}.tsv"
        header, *lines = file.read_text().splitlines()
        numbered = [f"{0.1 * row:.1f}\t{line.partition(chr(9))[2]}" for row, line in enumerate(lines)]
        file.write_text("\n".join([header, *numbered]) + "\n")
    settings = {**task["settings"], "train.max_steps": 6, "train.batch_size": BATCH, "train.learning_rate": 1e-4}
    return {**task, "task": "regression", "settings": settings, "seed": SEED}


def spoil(task: dict[str, Any], row: int) -> int:
    """Gives a training row a label whose square is no finite float32; returns its line."""
    file = Path(task["settings"]["data.train"])
    lines = file.read_text().splitlines()
    lines[row + 1] = f"1e30\t{lines[row + 1].partition(chr(9))[2]}"
    file.write_text("\n".join(lines) + "\n")
    return row + 2


def rows_of_steps(folder: Path) -> list[list[int]]:
    """Rows of each step by the plan, which depends on lengths, seed and epoch alone; all texts are of one length."""
    return [plan.tolist() for plan in plan_training([9] * ROWS, BATCH, seed=SEED, epoch=0)]


@pytest.mark.parametrize("log_steps", [1, 6])
def test_step_and_rows_are_named_and_what_was_good_stays(task: dict[str, Any], tmp_path: Path, log_steps: int) -> None:
    """Also where losses are looked at long after their steps; they are before anything is written."""
    planned = rows_of_steps(tmp_path)
    line = spoil(task, planned[3][1])
    settings = {**task["settings"], "train.log_steps": log_steps}
    with pytest.raises(TrainingError) as caught:
        bertcore.run(**{**task, "settings": settings}, output=tmp_path / "run")
    assert caught.value.code == "loss-not-finite"
    train = task["settings"]["data.train"]
    lines = ", ".join(str(row + 2) for row in sorted(planned[3]))
    expected = f"the loss or the gradient of step 4 is not finite .*; its examples: {train}: line {lines}; "
    assert re.match(expected + f"alone without a finite loss: {train}: line {line}$", caught.value.cause)
    assert "best/ holds the best so far" in caught.value.remedy
    assert caught.value.cause in (tmp_path / "run" / "run.log").read_text()

    kept = load_checkpoint(tmp_path / "run" / "checkpoint")  # compares each file with its checksum
    assert kept.progress.step == 3
    for folder in ("best", "checkpoint/model"):
        weights = read_safetensors(tmp_path / "run" / folder / "model.safetensors")
        assert all((abs(value) < 1e6).all() for value in weights.values())
    assert json.loads((tmp_path / "run" / "best" / "bertcore_manifest.json").read_text())["step"] == 2


def test_after_the_row_is_corrected_the_run_goes_on_to_the_bit(task: dict[str, Any], tmp_path: Path) -> None:
    good = Path(task["settings"]["data.train"]).read_text()
    whole = bertcore.run(**task, output=tmp_path / "whole").folder
    spoil(task, rows_of_steps(tmp_path)[3][1])
    with pytest.raises(TrainingError, match="step 4"):
        bertcore.run(**task, output=tmp_path / "run")
    Path(task["settings"]["data.train"]).write_text(good)
    resumed = resume(tmp_path / "run").folder
    for file in ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes(), file


def test_rows_of_a_program_are_named_by_their_numbers(task: dict[str, Any], tmp_path: Path) -> None:
    spoil(task, 5)
    read = [line.split("\t") for line in Path(task["settings"]["data.train"]).read_text().splitlines()[1:]]
    rows = [{"label": float(label), "text": text} for label, text in read]
    settings = {key: value for key, value in task["settings"].items() if not key.startswith("data.")}
    with pytest.raises(TrainingError, match=r"alone without a finite loss: train: row 5\n"):
        bertcore.run(**{**task, "settings": settings}, train=rows, dev=rows[:4], output=tmp_path / "run")


def test_where_all_rows_are_lost_each_is_named_once(task: dict[str, Any], tmp_path: Path) -> None:
    settings = {**task["settings"], "train.learning_rate": 1e30, "train.warmup_ratio": 0, "train.accumulation": 2}
    settings |= {"train.evaluate_steps": 6, "train.save_steps": 6}
    with pytest.raises(TrainingError, match=r"; its examples: \S+train.tsv: line (\d+, ){7}\d+\n"):
        bertcore.run(**{**task, "settings": settings}, output=tmp_path / "run")


def test_examples_of_a_stream_are_found_by_reading_it_again() -> None:
    examples = [Example(str(number), {}, origin=Origin("train.tsv", number + 1)) for number in range(2500)]
    stream = Split(stream=lambda: iter(examples), name="train")
    batches = [from_rows([[1]] * 2, [[0]] * 2, example_index=numbers) for numbers in ([2400, 7], [999, 1000])]

    class Losing:
        def predict(self, batch: Batch, want: Sequence[str]) -> Any:
            return {"loss": np.where(batch.example_index == 1000, np.nan, 1.0)}

    expected = "its examples: train.tsv: line 8, 1000, 1001, 2401; alone without a finite loss: train.tsv: line 1001"
    assert describe_rows(batches, stream, Losing()) == expected
