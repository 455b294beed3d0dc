"""LoRA on MindSpore: the same steps as on torch, and a run that changes the backend in between."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.formats.safetensors_file import read_safetensors

pytestmark = pytest.mark.mindspore

pytest.importorskip("mindspore")
pytest.importorskip("torch")

FILES = ("adapter/adapter_model.safetensors", "best/model.safetensors", "checkpoint/optimizer.safetensors")


def test_an_adapter_is_trained_alike_and_goes_on_on_the_other_backend(
    tiny_with_head: Path, small_rte: Path, loop_settings: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**loop_settings, "train.lora.rank": 4, "train.lora.targets": "query,key,output.dense"}
    settings |= {"train.max_steps": 6, "train.evaluate_steps": 6, "train.save_steps": 6}

    def run(backend: str, name: str, **changes: Any) -> Path:
        common = {"task": "rte", "model": tiny_with_head, "data": small_rte, "seed": 7, "output": tmp_path / name}
        return bertcore.run(backend=backend, **common, settings={**settings, **changes}).folder

    whole = run("torch", "torch")
    half = run("mindspore", "mindspore", **{"train.stop_after": 3})
    over = Path(shutil.copytree(half, tmp_path / "over"))
    resume(half, settings={"train.stop_after": None})
    resume(over, settings={"train.stop_after": None, "backend": "torch"})
    for file in FILES:
        expected = read_safetensors(whole / file)
        for folder in (half, over):
            found = read_safetensors(folder / file)
            assert set(found) == set(expected)
            for name, value in expected.items():
                scale = float(np.abs(value).max())
                difference = float(np.abs(np.asarray(found[name]) - value).max())
                assert difference <= 1e-4 * scale + 1e-7, f"{folder.name}/{file}: {name}, {difference} of {scale}"
