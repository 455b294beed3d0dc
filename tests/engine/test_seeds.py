"""Several seeds: a run each, the same as alone, and their mean and standard deviation."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.api import run_seeds
from bertcore.errors import DataError, UsageError

pytest.importorskip("torch")

OPTIONS = {"train.max_steps": 4, "train.batch_size": 8, "train.learning_rate": 1e-5}
ASSIGNMENTS = [part for key, value in OPTIONS.items() for part in ("--set", f"{key}={value}")]


def test_three_seeds(
    tiny_en: Path, rte_with_full_dev: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", rte_with_full_dev]
    folder = tmp_path / "seeds"
    outcome = bertcore_command("run", *place, "--output", folder, "--seeds", "1,2,3", *ASSIGNMENTS)
    assert outcome.code == 0, outcome.err
    assert {path.name for path in folder.iterdir()} == {"seed-1", "seed-2", "seed-3", "report.json", "report.md"}
    reports = {seed: json.loads((folder / f"seed-{seed}" / "report.json").read_text()) for seed in (1, 2, 3)}
    scores = [reports[seed]["metrics"]["accuracy"] for seed in (1, 2, 3)]
    assert len(set(scores)) > 1
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    expected = f"accuracy mean {mean:.6f}, standard deviation {deviation:.6f}, seeds 3"
    assert outcome.last_line == expected
    report = json.loads((folder / "report.json").read_text())
    assert report["mean"] == {"accuracy": mean}
    assert report["standard_deviation"] == {"accuracy": deviation}
    assert [run["seed"] for run in report["runs"]] == [1, 2, 3]
    assert [run["metrics"]["accuracy"] for run in report["runs"]] == scores
    assert report["summary"] == expected
    text = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    links = " | ".join(f"[seed-{seed}](seed-{seed}/report.md)" for seed in (1, 2, 3))
    figures = " | ".join(f"{figure:.6f}" for figure in (mean, deviation, report["baseline"]["accuracy"], *scores))
    assert text[0] == "# rte on torch, 3 seeds"
    assert text[-3:] == [
        f"| score | mean | standard deviation | baseline | {links} |",
        "|---|---:|---:|---:|---:|---:|---:|",
        f"| accuracy | {figures} |",
    ]

    # The third seed trained in a session that two others had used: it must give what it gives alone.
    alone = bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=rte_with_full_dev,
        output=tmp_path / "alone",
        seed=3,
        settings=OPTIONS,
    )
    for name in ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl"):
        assert (folder / "seed-3" / name).read_bytes() == (alone.folder / name).read_bytes(), name
    assert (folder / "seed-1" / name).read_bytes() != (alone.folder / name).read_bytes()


def test_one_seed_has_no_deviation(tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    result = run_seeds(
        [4],
        task="rte",
        backend="torch",
        model=tiny_en,
        data=small_rte,
        output=tmp_path / "seeds",
        settings={**OPTIONS, "train.max_steps": 1},
    )
    assert math.isnan(result.standard_deviation["accuracy"])
    assert json.loads((result.folder / "report.json").read_text())["standard_deviation"] == {"accuracy": None}


def test_stopped_seeds_have_no_mean(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    stop = ["--set", "train.stop_after=1"]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "x", "--seeds", "1,2", *ASSIGNMENTS, *stop)
    assert outcome.code == 2
    assert "train.stop_after" in outcome.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("seeds", ["1,1", "", "1,x", "-1,2"])
def test_seeds_that_cannot_be(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any], seeds: str
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "seeds", "--seeds", seeds)
    assert outcome.code == 2
    assert "--seeds" in outcome.err
    assert not (tmp_path / "seeds").exists()


def test_nothing_is_left_where_the_data_is_missing(tiny_en: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run_seeds([1, 2], task="rte", backend="torch", model=tiny_en, data=tmp_path / "none", output=tmp_path / "seeds")
    assert not (tmp_path / "seeds").exists()


def test_no_seeds_at_all(tiny_en: Path, small_rte: Path) -> None:
    with pytest.raises(UsageError):
        run_seeds([], task="rte", backend="torch", model=tiny_en, data=small_rte)
