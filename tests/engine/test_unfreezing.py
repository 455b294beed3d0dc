"""Layers that begin one after the other, against a plain loop with transformers; and what was frozen before a stop."""

from __future__ import annotations

import json
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

LossesOf = Callable[[Path], list[float]]
ReadMetrics = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture
def start(tiny_with_head: Path, small_rte: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(name: str, settings: dict[str, Any], backend: str = "torch") -> Any:
        common = {"task": "rte", "backend": backend, "model": tiny_with_head, "data": small_rte, "seed": 7}
        return bertcore.run(**common, output=tmp_path / name, settings=settings)

    return run


def test_20_steps_of_unfreezing_equal_a_plain_transformers_loop_across_a_stop(
    start: Callable[..., Any],
    unfreezing_settings: dict[str, Any],
    oracle_of_unfreezing: Any,
    losses_of: LossesOf,
    read_metrics: ReadMetrics,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = start("whole", unfreezing_settings).folder
    shown = capsys.readouterr()
    assert (
        "layers.0: 16 tensors, 198,272 parameters, rate 3.75e-05, decay 0.1, begins after step 8"
        in shown.err + shown.out
    )
    assert losses_of(whole) == pytest.approx(oracle_of_unfreezing.losses, rel=1e-4)
    entries = [entry for entry in read_metrics(whole) if entry["kind"] == "train"]
    assert [entry["gradient_norm"] for entry in entries] == pytest.approx(oracle_of_unfreezing.norms, rel=1e-3)
    begins = [next(step for step, entry in enumerate(entries) if entry["learning_rates"][part]) for part in PARTS]
    assert begins == [1, 4, 8, 12]  # the first step of the warm-up has the rate 0
    for name, value in read_safetensors(whole / "checkpoint" / "model" / "model.safetensors").items():
        np.testing.assert_allclose(value, oracle_of_unfreezing.parameters[name], atol=2e-5, err_msg=name)
    missed = json.loads((whole / "checkpoint" / "state.json").read_text())["optimizer"]["missed"]
    assert missed["bert.encoder.layer.0.output.dense.weight"] == 8

    part = start("part", {**unfreezing_settings, "train.stop_after": 9}).folder
    resume(part, settings={"train.stop_after": None})
    for file in ("model/model.safetensors", "optimizer.safetensors"):
        assert (whole / "checkpoint" / file).read_bytes() == (part / "checkpoint" / file).read_bytes(), file


PARTS = ("head", "layers.1", "layers.0", "embeddings")


def test_a_run_that_is_too_short_says_so(start: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"train.max_steps": 2, "train.batch_size": 36, "train.unfreeze_epochs": 0.5}
    result = start("short", settings)
    shown = capsys.readouterr()
    assert "the run ends before these are trained: encoder, layers.0, encoder, embeddings" in shown.err + shown.out
    with pytest.raises(ConfigError) as caught:
        resume(result.folder, settings={"train.unfreeze_epochs": 2, "train.max_steps": 4})
    assert caught.value.code == "setting-fixed"


def test_a_resumed_run_may_train_what_was_frozen(start: Callable[..., Any]) -> None:
    """The new ones count updates of their own: the step is that of torch, to which their state is new."""
    import torch

    settings = {"train.max_steps": 6, "train.batch_size": 12, "train.learning_rate": 1e-3, "train.schedule": "constant"}
    settings |= {"train.dropout": False, "train.warmup_ratio": 0, "train.weight_decay": 0, "train.clip_norm": None}
    folder = start("run", {**settings, "train.freeze": "encoder", "train.stop_after": 5}).folder
    before = read_safetensors(folder / "checkpoint" / "model" / "model.safetensors")
    resume(folder, settings={"train.freeze": None, "train.stop_after": None})
    after = read_safetensors(folder / "checkpoint" / "model" / "model.safetensors")
    moments = read_safetensors(folder / "checkpoint" / "optimizer.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    gradient = np.array(moments[f"first_moment.{name}"]) / np.float32(0.1)
    expected = torch.nn.Parameter(torch.from_numpy(np.array(before[name])))
    expected.grad = torch.from_numpy(gradient)
    torch.optim.AdamW([expected], lr=1e-3, weight_decay=0).step()
    np.testing.assert_allclose(after[name], expected.detach(), rtol=0, atol=1e-6)
    assert np.abs(np.array(after[name]) - before[name]).max() <= 1.01e-3, "a first step is no longer than the rate"
    missed = json.loads((folder / "checkpoint" / "state.json").read_text())["optimizer"]["missed"]
    assert missed[name] == 5
    assert "classifier.weight" not in missed
