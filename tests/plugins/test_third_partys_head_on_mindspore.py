"""A head of a third party on MindSpore, and from one backend to the other."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from stars import EXAMPLE, SETTINGS, example_registry, small_model

import bertcore
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.plugins.registry import Registry

pytestmark = pytest.mark.mindspore

pytest.importorskip("bertcore_mindspore")
pytest.importorskip("bertcore_torch")

OTHER = {"torch": "mindspore", "mindspore": "torch"}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return example_registry()


@pytest.fixture(scope="module")
def whole(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bertcore.RunResult]:
    """The same 12 steps without dropout on each backend, and those that changed the backend after 6."""
    folder = tmp_path_factory.mktemp("runs")
    model = small_model(folder / "bert")
    settings = {**SETTINGS, "train.dropout": False, "train.learning_rate": 1e-3}
    runs = {}
    for backend, other in OTHER.items():
        arguments = {"task": "stars", "backend": backend, "model": model, "data": "sample", "registry": registry}
        runs[backend] = bertcore.run(**arguments, output=folder / backend, settings=settings)
        changed = folder / f"{backend} to {other}"
        bertcore.run(**arguments, output=changed, settings={**settings, "train.stop_after": 6})
        runs[changed.name] = bertcore.resume(changed, settings={"backend": other}, registry=registry)
    return runs


def test_both_backends_train_it_alike_and_go_on_from_each_other(whole: dict[str, bertcore.RunResult]) -> None:
    expected = read_safetensors(whole["torch"].folder / "checkpoint" / "model" / "model.safetensors")
    assert len(whole) == 4
    for name, run in whole.items():
        assert run.steps == 12
        found = read_safetensors(run.folder / "checkpoint" / "model" / "model.safetensors")
        assert set(found) == set(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-4, err_msg=f"{name}: {key}")


@pytest.mark.parametrize("trained_on", list(OTHER))
def test_it_is_evaluated_and_predicts_on_the_other_backend(
    registry: Registry, whole: dict[str, bertcore.RunResult], trained_on: str
) -> None:
    run, other = whole[trained_on], OTHER[trained_on]
    result = bertcore.evaluate(run.folder, backend=other, registry=registry)
    assert result.evaluation.metrics == pytest.approx(dict(run.metrics))
    texts = ["excellent , i love it", "awful , it broke at once"]
    here, there = (bertcore.predict(run.folder, texts, backend=one, registry=registry) for one in (trained_on, other))
    for one, same in zip(here, there, strict=True):
        assert one["prediction"] == same["prediction"]
        assert one["mean"] == pytest.approx(same["mean"], abs=1e-4)


def test_it_passes_the_suite_of_backends() -> None:
    file = EXAMPLE / "tests" / "test_ordinal_mindspore.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(EXAMPLE)])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stdout
    assert " passed" in process.stdout
