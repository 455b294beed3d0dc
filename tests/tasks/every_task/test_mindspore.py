"""Every installed task trains on MindSpore, and torch predicts the same from the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.plugins.registry import Registry

pytestmark = pytest.mark.mindspore

pytest.importorskip("torch")
pytest.importorskip("mindspore")

HEADS = {
    "people_daily": {"head.crf": True},
    "resume": {"head.crf": True, "head.transitions": "data"},
    "cmeee": {"head.kind": "efficient_global_pointer"},
}


@pytest.mark.parametrize("task", sorted(Registry().tasks))
def test_a_task_trains_and_both_backends_predict_the_same(task: str, case: Any, tmp_path: Path) -> None:
    run = bertcore.run(
        task=case.train_as,
        backend="mindspore",
        model=case.model,
        data=case.data,
        output=tmp_path / "run",
        settings={"train.max_steps": 2, "train.batch_size": 8, **case.settings, **HEADS.get(task, {})},
    )
    assert run.total == case.total
    if task == case.train_as:
        metrics: Mapping[str, float] = run.metrics
        lines = (run.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        predictions: Sequence[Mapping[str, Any]] = [json.loads(line) for line in lines]
    else:
        there = bertcore.evaluate(run.folder, task=task).evaluation
        metrics, predictions = there.metrics, there.predictions
    here = bertcore.evaluate(run.folder, task=task, backend="torch").evaluation
    assert here.total == len(predictions) == case.total
    for one, other in zip(predictions, here.predictions, strict=True):
        assert_same(one, other, task)
    assert here.metrics == pytest.approx(dict(metrics), abs=1e-3, nan_ok=True)


def assert_same(one: Any, other: Any, place: str) -> None:
    """Equal but for the last digits of numbers."""
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_same(first, second, f"{place}[{index}]")
    elif isinstance(one, float):
        np.testing.assert_allclose(one, other, atol=1e-4, err_msg=place)
    else:
        assert one == other, place
