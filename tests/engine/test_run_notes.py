"""What a run says of itself: that nothing will be learned; and what its folder does not say: the name of the host."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")


def run_with(tiny_task: dict[str, Any], output: Path, **changes: Any) -> tuple[str, bool]:
    """The log of a run, and whether it changed any weight of the encoder."""
    settings = {**tiny_task["settings"], **{f"train.{key}": value for key, value in changes.items()}}
    bertcore.run(**{**tiny_task, "settings": settings}, output=output)
    before = read_safetensors(Path(tiny_task["model"]) / "model.safetensors")
    after = read_safetensors(output / "best" / "model.safetensors")
    changed = any(not np.array_equal(value, after[name]) for name, value in before.items())
    return (output / "run.log").read_text(), changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_steps": 1}, "no weight will change: the only step has the learning rate 0, as the first step of a"),
        ({"learning_rate": 0.0}, "no weight will change: the learning rate is 0"),
        ({"max_steps": 1, "warmup_ratio": 0.0}, None),
        ({"max_steps": 2}, None),
        ({"learning_rate": 0.0, "head_learning_rate": 1e-3}, None),
        ({"stop_after": 2}, None),
    ],
)
def test_a_run_that_learns_nothing_says_so_before_it_trains(
    tiny_task: dict[str, Any], tmp_path: Path, changes: dict[str, Any], words: str | None
) -> None:
    log, changed = run_with(tiny_task, tmp_path / "run", **changes)
    assert ("no weight will change" in log) == (words is not None)
    if words is not None:
        assert not changed
        assert log.index(words) < log.index("step 1/")
    elif changes.get("learning_rate") != 0.0:
        assert changed


def test_no_file_of_a_run_names_the_host(
    tiny_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboardX")
    host = "the-name-of-this-host"
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    settings = {**tiny_task["settings"], "run.trackers": ["console", "metrics_jsonl", "tensorboard"]}
    folder = bertcore.run(**{**tiny_task, "settings": settings}, output=tmp_path / "run").folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any("tfevents" in file.name for file in files)
    for file in files:
        assert host not in str(file)
        assert host.encode() not in file.read_bytes(), file
