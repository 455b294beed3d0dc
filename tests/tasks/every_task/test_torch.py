"""Every installed task trains and evaluates on torch, on real texts in its official layout."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.plugins.registry import Registry

pytest.importorskip("torch")


@pytest.mark.parametrize("task", sorted(Registry().tasks))
def test_a_task_trains_and_is_evaluated_on_every_example(task: str, case: Any, tmp_path: Path) -> None:
    run = bertcore.run(
        task=case.train_as,
        backend="torch",
        model=case.model,
        data=case.data,
        output=tmp_path / "run",
        settings={"train.max_steps": 2, "train.batch_size": 8, **case.settings},
    )
    assert run.total == case.total
    events = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [event["loss"] for event in events if "loss" in event]
    assert losses
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)

    result = bertcore.evaluate(run.folder, task=task)
    predictions = result.evaluation.predictions
    assert result.evaluation.total == len(predictions) == case.total
    assert len({prediction["id"] for prediction in predictions}) == case.total
    assert str(case.total) in result.summary
    if task == case.train_as:
        assert result.evaluation.metrics == pytest.approx(dict(run.metrics), nan_ok=True)
