"""The sample tells a healthy model from a damaged one, with the settings and the checks of the demo.

A model that starts with a transposed pooler may learn the sample all the same: the pooler is one matrix and is trained
like the others. What a transposed pooler means is that a backend reads a checkpoint wrongly, and that is found out.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult
from bertcore.config import Setting, gather_settings
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

Damage = Callable[[dict[str, Any]], dict[str, Any]]

ORDER = (3, 5, 0, 1, 2, 4)
"""No layer keeps its place."""


def shuffle_layers(tensors: dict[str, Any]) -> dict[str, Any]:
    """Puts every encoder layer in the place of another one."""

    def place(match: re.Match[str]) -> str:
        return f"encoder.layer.{ORDER.index(int(match[1]))}."

    shuffled = {re.sub(r"encoder\.layer\.(\d+)\.", place, name): value for name, value in tensors.items()}
    assert shuffled.keys() == tensors.keys()
    return shuffled


def transpose_pooler(tensors: dict[str, Any]) -> dict[str, Any]:
    """Plants a fault that no shape check can see: the weight is square."""
    (name,) = (name for name in tensors if name.endswith("pooler.dense.weight"))
    return {**tensors, name: np.ascontiguousarray(tensors[name].T)}


def demo() -> Any:
    """``scripts/demo.py``, for its settings and the score that it asks for."""
    file = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
    specification = importlib.util.spec_from_file_location("demo", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def settings_of_demo() -> dict[str, Any]:
    settings: list[Setting] = gather_settings(environment={}, assignments=demo().SETTINGS)
    return {setting.key: setting.value for setting in settings}


@pytest.fixture(scope="module")
def healthy(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The demo's run on torch."""
    return bertcore.run(
        task="rte",
        backend="torch",
        model=minilm,
        data="sample",
        output=tmp_path_factory.mktemp("sample") / "healthy",
        settings=settings_of_demo(),
    )


def damaged(model: Path, folder: Path, damage: Damage) -> Path:
    """A copy of a model with a fault in its weights."""
    without_checksums = shutil.ignore_patterns("bertcore_manifest.json")
    shutil.copytree(model, folder, copy_function=shutil.copyfile, ignore=without_checksums)
    tensors = {name: np.array(value) for name, value in read_safetensors(model / "model.safetensors").items()}
    write_safetensors(folder / "model.safetensors", damage(tensors))
    return folder


def test_a_healthy_model_learns_the_sample(healthy: RunResult) -> None:
    assert healthy.metrics["accuracy"] >= demo().NEEDED_ACCURACY
    assert healthy.baseline["accuracy"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("damage", [shuffle_layers, transpose_pooler])
def test_a_trained_model_that_is_read_wrongly_is_found_out(healthy: RunResult, tmp_path: Path, damage: Damage) -> None:
    """The demo's comparison fails for a backend that reads a tensor in the wrong way.

    Accuracy alone would not do: in a task of two classes, a transposed pooler can keep every decision.
    """
    model = damaged(healthy.folder / "best", tmp_path / "damaged", damage)
    wrong = bertcore.evaluate(model, task="rte", backend="torch", data="sample").evaluation
    right = bertcore.evaluate(healthy.folder).evaluation
    difference = max(
        abs(one["probabilities"]["entailment"] - other["probabilities"]["entailment"])
        for one, other in zip(right.predictions, wrong.predictions, strict=True)
    )
    assert difference > 1000 * demo().ALLOWED_DIFFERENCE
