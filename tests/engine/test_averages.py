"""A run with ``train.ema``: evaluated, kept and resumed with averages of the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.errors import ConfigError
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")

SETTINGS: dict[str, Any] = {
    "train.max_steps": 4,
    "train.batch_size": 8,
    "train.learning_rate": 1e-3,
    "train.warmup_ratio": 0,
    "train.freeze": "embeddings",
    "train.ema": 0.7,
    "train.log_steps": 1,
    "train.evaluate_steps": 4,
}
Start = Callable[..., Any]


@pytest.fixture
def start(tiny_with_head: Path, small_rte: Path, tmp_path: Path) -> Start:
    def run(name: str, **changes: Any) -> Any:
        settings = SETTINGS | {f"train.{key}": value for key, value in changes.items()}
        common = {"task": "rte", "backend": "torch", "model": tiny_with_head, "data": small_rte, "seed": 7}
        return bertcore.run(**common, output=tmp_path / name, settings=settings)

    return run


def test_best_holds_the_averages_of_the_weights_after_each_step(start: Start, small_rte: Path) -> None:
    """The weights of runs that stop after one step more each, averaged in float64."""
    expected: dict[str, Any] = {}
    result = start("run")
    for step in range(1, 5):
        stopped = start(f"stopped-{step}", stop_after=step).folder if step < 4 else result.folder
        weights = read_safetensors(stopped / "checkpoint" / "model" / "model.safetensors")
        for name, value in weights.items():
            value = np.asarray(value, dtype=np.float64)
            expected[name] = value if step == 1 else 0.7 * expected[name] + 0.3 * value
    best = read_safetensors(result.folder / "best" / "model.safetensors")
    assert set(best) == set(expected)
    for name, value in best.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-6, err_msg=name)
    distance = max(float(np.abs(np.asarray(best[name]) - weights[name]).max()) for name in best)
    assert distance > 1e-4, "the averages differ from the weights"
    arrays = read_safetensors(result.folder / "checkpoint" / "optimizer.safetensors")
    averaged = {name for name in arrays if name.startswith("average.")}
    assert averaged == {f"average.{name}" for name in best if "embeddings" not in name}
    again = bertcore.evaluate(result.folder, data=small_rte)
    assert again.evaluation.metrics == result.metrics


def test_a_resumed_run_goes_on_to_the_bit(start: Start) -> None:
    whole, part = start("whole").folder, start("part", stop_after=3).folder
    resume(part, settings={"train.stop_after": None})
    for file in ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl"):
        assert (whole / file).read_bytes() == (part / file).read_bytes(), file


def test_the_decay_cannot_change_in_a_resumed_run(start: Start) -> None:
    folder = start("run", stop_after=2).folder
    for value in (0.9, None):
        with pytest.raises(ConfigError) as caught:
            resume(folder, settings={"train.ema": value, "train.stop_after": None})
        assert caught.value.code == "setting-fixed"


def test_averages_of_an_adapter_are_merged_into_best(start: Start, tiny_with_head: Path, small_rte: Path) -> None:
    """Beside all other methods: ``best/`` scores what the run scored, and a resumed run is the same to the bit."""
    together = {"lora.rank": 4, "adversarial": "fgm", "r_drop": 1.0, "accumulation": 2, "freeze": None}
    together |= {"distill.teacher": str(tiny_with_head), "metric": "loss", "unfreeze_epochs": 0.2}
    whole = start("whole", **together)
    again = bertcore.evaluate(whole.folder, data=small_rte)
    assert again.evaluation.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-5)
    arrays = read_safetensors(whole.folder / "checkpoint" / "optimizer.safetensors")
    averaged = [name for name in arrays if name.startswith("average.")]
    assert averaged
    assert all("lora" in name or "classifier" in name for name in averaged)
    part = start("part", **together, stop_after=3).folder
    resume(part, settings={"train.stop_after": None})
    for file in ("best/model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (whole.folder / file).read_bytes() == (part / file).read_bytes(), file
