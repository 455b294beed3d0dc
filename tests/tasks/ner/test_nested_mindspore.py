"""Entities that nest are learned on MindSpore; torch finds the same, and each goes on where the other stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from nested_entities import SETTINGS, spans_of, write_nested

import bertcore
from bertcore.api import resume

pytestmark = pytest.mark.mindspore

pytest.importorskip("torch")
pytest.importorskip("mindspore")


@pytest.mark.parametrize(
    ("kind", "begins", "goes_on", "reached"),
    [("global_pointer", "mindspore", "torch", 0.9), ("efficient_global_pointer", "torch", "mindspore", 0.5)],
)
def test_both_backends_learn_and_find_the_same(
    chinese_l2: Path, tmp_path: Path, kind: str, begins: str, goes_on: str, reached: float
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    part = bertcore.run(
        task="ner",
        backend=begins,
        model=chinese_l2,
        data=write_nested(data),
        output=tmp_path / "run",
        settings={**SETTINGS, "head.kind": kind, "train.stop_after": 6},
    )
    run = resume(part.folder, settings={"backend": goes_on, "train.stop_after": None})
    here = bertcore.evaluate(run.folder, backend="mindspore").evaluation
    there = bertcore.evaluate(run.folder, backend="torch").evaluation
    assert here.metrics["f1"] > reached
    assert here.metrics == pytest.approx(dict(run.metrics))
    assert here.metrics == pytest.approx(dict(there.metrics))
    assert list(map(spans_of, here.predictions)) == list(map(spans_of, there.predictions))
