"""Questions with choices are learned on MindSpore where torch stopped, and both find the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from solvable_choices import SETTINGS, write_solvable

import bertcore
from bertcore.api import resume

pytestmark = pytest.mark.mindspore

pytest.importorskip("torch")
pytest.importorskip("mindspore")


def test_both_backends_learn_and_find_the_same(tiny_en: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    part = bertcore.run(
        task="multiple_choice",
        backend="torch",
        model=tiny_en,
        data=write_solvable(data),
        output=tmp_path / "run",
        settings={**SETTINGS, "train.stop_after": 10},
    )
    run = resume(part.folder, settings={"backend": "mindspore", "train.stop_after": None})
    here = bertcore.evaluate(run.folder, backend="mindspore").evaluation
    there = bertcore.evaluate(run.folder, backend="torch").evaluation
    assert here.metrics["accuracy"] > 0.9
    assert here.metrics == dict(run.metrics) == dict(there.metrics)
    for mine, theirs in zip(here.predictions, there.predictions, strict=True):
        assert mine["prediction"] == theirs["prediction"]
        assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-4)
