"""The same on MindSpore: rows for which there is no memory are computed in parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import write_tiny_task

import bertcore
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("mindspore")
pytestmark = pytest.mark.mindspore

MOST = 3
SETTINGS = {
    "train.batch_size": 7,
    "train.accumulation": 2,
    "train.max_steps": 4,
    "train.dropout": False,
    "train.evaluate_steps": 4,
}
SHORT = "Memory not enough: alloc failed, size 2147483648"


def test_halved_micro_batches_give_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bertcore_mindspore.session import MindSporeSession

    (tmp_path / "task").mkdir()
    task = write_tiny_task(tmp_path / "task", train_examples=40)
    task = {**task, "backend": "mindspore", "settings": {**task["settings"], **SETTINGS}}
    whole = bertcore.run(**task, output=tmp_path / "whole").folder
    original = MindSporeSession._accumulate_stage
    passes: list[int] = []

    def accumulate_stage(session: Any, stage: Any, micro_batches: Any, *rest: Any) -> None:
        fitting = [batch for batch in micro_batches if len(batch) <= MOST]
        if len(fitting) < len(micro_batches):
            # What was computed before memory ran out stays behind: here a whole batch, as that of other calls would.
            original(session, stage, micro_batches[:1], *rest)
            raise RuntimeError(f"Launch kernel failed.\n{SHORT}\n- C++ Call Stack: (For framework developers)")
        passes.extend(map(len, micro_batches))
        original(session, stage, micro_batches, *rest)

    monkeypatch.setattr(MindSporeSession, "_accumulate_stage", accumulate_stage)
    settings = {**task["settings"], "train.micro_batch": "auto"}
    halved = bertcore.run(**{**task, "settings": settings}, output=tmp_path / "halved").folder
    assert max(passes) == MOST
    log = (halved / "run.log").read_text()
    assert log.count("no memory") == 1
    assert "no memory in step 1 for a forward pass of 7 rows" in log
    expected = read_safetensors(whole / "checkpoint" / "model" / "model.safetensors")
    for name, value in read_safetensors(halved / "checkpoint" / "model" / "model.safetensors").items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=5e-5, err_msg=name)
    entries = [[json.loads(line) for line in (run / "metrics.jsonl").open()] for run in (whole, halved)]
    losses = [[entry["loss"] for entry in of if entry["kind"] == "train"] for of in entries]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.parametrize(
    "words",
    [
        SHORT,
        "Device(id:0) memory isn't enough and alloc failed, kernel name: kernel_graph_0, alloc size: 4194304B.",
        "Malloc for kernel output failed, Memory isn't enough",
        "Out of Memory!!! Request memory size: 35433480192B, Memory Statistic:",
        "std::bad_alloc",
    ],
)
def test_what_mindspore_says_is_recognized(words: str) -> None:
    from bertcore_mindspore.memory import memory_errors

    with pytest.raises(bertcore.DeviceMemoryError) as caught, memory_errors():
        raise RuntimeError(f"\n----\n- Memory:\n{words}\n- C++ Call Stack: (For framework developers)")
    assert str(caught.value) == words


def test_what_is_wrong_otherwise_stays_what_it_is() -> None:
    from bertcore_mindspore.memory import memory_errors

    with pytest.raises(RuntimeError, match="shapes"), memory_errors():
        raise RuntimeError("For 'Add', input shapes cannot be broadcast")
    with pytest.raises(RuntimeError, match="compile"), memory_errors():
        raise RuntimeError("the graph failed to compile; memory of 3 tensors was allocated")
