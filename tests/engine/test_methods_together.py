"""All training methods at once: they go on to the bit, and mean the same on both backends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")

METHODS: dict[str, Any] = {
    "train.adversarial": "pgd",
    "train.adversarial_options.steps": 2,
    "train.r_drop": 2.0,
    "train.ema": 0.7,
    "train.lora.rank": 4,
    "train.layer_decay": 0.8,
    "train.freeze": "embeddings",
    "train.unfreeze_epochs": 0.1,
    "train.parameters": [{"pattern": "bias$", "factor": 2.0}],
    "train.schedule": "polynomial",
    "train.schedule_options.power": 2.0,
    "head.label_smoothing": 0.1,
    "head.focal_gamma": 1.5,
    "head.class_weights": "balanced",
}
LOOP: dict[str, Any] = {
    "train.max_steps": 6,
    "train.batch_size": 6,
    "train.accumulation": 2,
    "train.learning_rate": 1e-3,
    "train.log_steps": 1,
    "train.evaluate_steps": 3,
    "train.save_steps": 3,
}
KEPT = ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl")


@pytest.fixture
def common(tiny_with_head: Path, small_rte: Path) -> Mapping[str, Any]:
    return {"task": "rte", "model": tiny_with_head, "data": small_rte, "seed": 7}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_with_all_methods_goes_on_to_the_bit(common: Mapping[str, Any], tmp_path: Path, precision: str) -> None:
    settings = {**LOOP, **METHODS, "run.precision": precision}
    whole = bertcore.run(**common, backend="torch", output=tmp_path / "whole", settings=settings)
    part = bertcore.run(
        **common, backend="torch", output=tmp_path / "part", settings={**settings, "train.stop_after": 3}
    )
    assert not part.finished
    resume(part.folder, settings={"train.stop_after": None})
    for file in KEPT:
        assert (whole.folder / file).read_bytes() == (part.folder / file).read_bytes(), file


def test_each_method_takes_part(common: Mapping[str, Any], tmp_path: Path) -> None:
    """Without it another model is trained, whatever the others do."""
    groups = [
        ("adversarial",),
        ("r_drop",),
        ("ema",),
        ("lora",),
        ("layer_decay",),
        ("freeze",),
        ("unfreeze",),
        ("parameters",),
    ]
    groups += [("schedule",), ("label_smoothing",), ("focal_gamma",), ("class_weights",)]

    def weights(name: str, left_out: tuple[str, ...]) -> Mapping[str, Any]:
        kept = {key: value for key, value in METHODS.items() if not any(word in key for word in left_out)}
        settings = {**LOOP, **kept, "train.max_steps": 2, "train.warmup_ratio": 0}
        folder = bertcore.run(**common, backend="torch", output=tmp_path / name, settings=settings).folder
        return read_safetensors(folder / "best" / "model.safetensors")

    everything = weights("all", ())
    for left_out in groups:
        other = weights(left_out[0], left_out)
        assert any(not np.array_equal(everything[name], other[name]) for name in everything), left_out


@pytest.mark.mindspore
def test_a_run_with_all_methods_goes_on_to_the_bit_on_mindspore(common: Mapping[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("mindspore")
    settings = {**LOOP, **METHODS, "train.max_steps": 4, "train.evaluate_steps": 2, "train.save_steps": 2}
    whole = bertcore.run(**common, backend="mindspore", output=tmp_path / "whole", settings=settings)
    stopped = {**settings, "train.stop_after": 2}
    part = bertcore.run(**common, backend="mindspore", output=tmp_path / "part", settings=stopped)
    resume(part.folder, settings={"train.stop_after": None})
    for file in KEPT:
        assert (whole.folder / file).read_bytes() == (part.folder / file).read_bytes(), file


@pytest.mark.mindspore
def test_a_run_with_all_methods_goes_on_upon_the_other_backend(common: Mapping[str, Any], tmp_path: Path) -> None:
    """Three steps on MindSpore and three on torch are six on torch.

    Without dropout, whose masks differ between backends, and so without R-Drop, which needs it.
    """
    pytest.importorskip("mindspore")
    settings = {**LOOP, **METHODS, "train.dropout": False}
    del settings["train.r_drop"]
    whole = bertcore.run(**common, backend="torch", output=tmp_path / "whole", settings=settings).folder
    part = bertcore.run(
        **common, backend="mindspore", output=tmp_path / "part", settings={**settings, "train.stop_after": 3}
    ).folder
    resume(part, settings={"train.stop_after": None, "backend": "torch"})
    for file in ("best/model.safetensors", "checkpoint/model/model.safetensors"):
        expected = read_safetensors(whole / file)
        for name, value in read_safetensors(part / file).items():
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=5e-5, err_msg=name)
