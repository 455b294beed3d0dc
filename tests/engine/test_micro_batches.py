"""A device without memory for a batch: the user reads what helps, or the rows are computed in parts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import write_tiny_task

import bertcore
from bertcore import StepContext
from bertcore.api import resume
from bertcore.config import TrainConfig
from bertcore.engine import report
from bertcore.engine.checkpoint import Progress
from bertcore.engine.micro_batches import MicroBatches
from bertcore.errors import DeviceError
from bertcore.formats.safetensors_file import read_safetensors

torch = pytest.importorskip("torch")

MOST = 3
SETTINGS = {
    "train.batch_size": 7,
    "train.accumulation": 2,
    "train.max_steps": 6,
    "train.save_steps": 2,
    "train.evaluate_steps": 3,
}
Start = Callable[..., Path]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs some steps; returns the folder of the run."""
    monkeypatch.setattr(report, "_write_curves", lambda *arguments: False)  # drawing takes longer than such a run
    (tmp_path / "task").mkdir()
    task = write_tiny_task(tmp_path / "task", train_examples=40)

    def run(name: str, **changes: Any) -> Path:
        settings = {**task["settings"], **SETTINGS, **{f"train.{key}": value for key, value in changes.items()}}
        return bertcore.run(**{**task, "settings": settings}, output=tmp_path / name).folder

    return run


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has torch say of every training batch of more than :data:`MOST` rows that there is no memory for it.

    Gives the rows of each forward pass that there was memory for.
    """
    from bertcore_torch.session import TorchSession

    original = TorchSession._add_gradients
    passes: list[int] = []

    def add_gradients(session: Any, loss_of: Any, micro_batches: Any, *rest: Any) -> Any:
        fitting = [batch for batch in micro_batches if len(batch) <= MOST]
        loss = original(session, loss_of, fitting, *rest)  # what was computed before memory ran out stays behind
        if len(fitting) < len(micro_batches):
            for parameter in session._trained_parameters.values():  # of a backward pass that did not come to its end
                parameter.grad = torch.ones_like(parameter)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")
        passes.extend(len(batch) for batch in micro_batches)
        return loss

    monkeypatch.setattr(TorchSession, "_add_gradients", add_gradients)
    return passes


def losses(folder: Path) -> list[float]:
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [entry["loss"] for entry in entries if entry["kind"] == "train"]


def require_close(one: Path, other: Path) -> None:
    np.testing.assert_allclose(losses(one), losses(other), rtol=1e-5)
    for file in ("checkpoint/model/model.safetensors", "best/model.safetensors"):
        expected = read_safetensors(other / file)
        for name, value in read_safetensors(one / file).items():
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=5e-5, err_msg=name)


@pytest.mark.parametrize("method", [{}, {"adversarial": "fgm", "ema": 0.9}], ids=["plain", "fgm, averages"])
def test_halved_micro_batches_give_the_same_model(
    start: Start, method: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    whole = start("whole", dropout=False, **method)
    passes = request.getfixturevalue("little_memory")
    halved = start("halved", dropout=False, micro_batch="auto", **method)
    assert max(passes) == MOST
    require_close(halved, whole)
    log = (halved / "run.log").read_text()
    found = [line.partition("no memory")[2] for line in log.splitlines() if "no memory" in line]
    assert len(found) == 1
    assert found[0].startswith(" in step 1 for a forward pass of 7 rows of up to ")
    assert "from now on it has at most 3" in found[0]


def test_a_chosen_micro_batch_gives_the_same_model(start: Start) -> None:
    whole = start("whole", dropout=False)
    require_close(start("parts", dropout=False, micro_batch=2), whole)
    largest = start("largest", dropout=False, micro_batch=100)
    for file in ("checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (largest / file).read_bytes() == (whole / file).read_bytes()


def test_a_resumed_run_draws_the_masks_of_the_halved_micro_batches(start: Start, little_memory: list[int]) -> None:
    """It begins with what was found out: what is halved at another step has other dropout masks."""
    whole = start("whole", micro_batch="auto", r_drop=1.0)
    stopped = start("stopped", micro_batch="auto", r_drop=1.0, stop_after=3)
    state = json.loads((stopped / "checkpoint" / "state.json").read_text())
    assert state["progress"]["micro_batch"] == 3
    notes = (stopped / "run.log").read_text().count("no memory")
    resume(stopped, settings={"train.stop_after": None})
    assert (stopped / "run.log").read_text().count("no memory") == notes
    for file in ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl"):
        assert (stopped / file).read_bytes() == (whole / file).read_bytes(), file


def test_without_memory_the_settings_that_help_are_named_and_the_checkpoint_stays(
    start: Start, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    start("run", stop_after=3)
    request.getfixturevalue("little_memory")
    with pytest.raises(DeviceError) as caught:
        resume(tmp_path / "run", settings={"train.stop_after": None})
    assert caught.value.code == "out-of-memory"
    assert caught.value.cause.startswith("no memory in step 4 for a forward pass of 7 rows of up to ")
    assert caught.value.cause.endswith("tokens: CUDA out of memory. Tried to allocate 2.00 GiB.")
    for setting in ("train.micro_batch=auto", "data.max_length", "run.precision=bf16", "--resume"):
        assert setting in caught.value.remedy
    state = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())
    assert state["progress"]["step"] == 3
    # And the first of them does help.
    assert resume(tmp_path / "run", settings={"train.stop_after": None, "train.micro_batch": "auto"}).finished


def test_where_no_row_fits_it_ends(start: Start, little_memory: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "MOST", 0)
    with pytest.raises(DeviceError, match="no memory in step 1 for a forward pass of 1 rows") as caught:
        start("run", micro_batch="auto")
    assert "micro_batch" not in caught.value.remedy


def test_a_prediction_without_memory_names_its_settings(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from bertcore_torch.session import Forward
    from bertcore_torch.whole_encoder import WholeForward

    folder = start("run", stop_after=1)

    def limited(forward: Any) -> Any:
        def call(self: Any, batch: Any, *passes: Any) -> Any:
            if len(batch) > 4 and not torch.is_grad_enabled():
                raise RuntimeError(
                    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"
                )
            return forward(self, batch, *passes)

        return call

    for kind in (Forward, WholeForward):  # by torch's operators, or by the kernel of a whole encoder
        monkeypatch.setattr(kind, "__call__", limited(kind.__call__))
    with pytest.raises(DeviceError) as caught:
        resume(folder, settings={"train.stop_after": None})
    assert caught.value.code == "out-of-memory"
    assert caught.value.cause.startswith("no memory to predict 6 rows of up to ")
    for setting in ("evaluate.batch_size=3", "data.max_length", "evaluate.precision=bf16"):
        assert setting in caught.value.remedy
    assert resume(folder, settings={"train.stop_after": None, "evaluate.batch_size": 3}).finished


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError("std::bad_alloc"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_what_torch_says_is_recognized(error: Exception) -> None:
    from bertcore_torch.memory import memory_errors

    with pytest.raises(bertcore.DeviceMemoryError, match=re.escape(str(error)[:10] or "MemoryError")), memory_errors():
        raise error


def test_what_is_wrong_otherwise_stays_what_it_is() -> None:
    from bertcore_torch.memory import memory_errors

    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors():
        torch.zeros(2) + torch.zeros(3)


STARVED = """
import resource, sys
import bertcore, torch
import bertcore_torch.session as sessions
train_step = sessions.TorchSession.train_step
def starved(self, micro_batches, context):
    if context.step == 0:
        used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]), resource.RLIM_INFINITY))
    result = train_step(self, micro_batches, context)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return result
sessions.TorchSession.train_step = starved
arguments = eval(sys.argv[1])
result = bertcore.run(**arguments)
print(result.steps)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_memory_that_really_ends_is_recognized_and_halved(tiny_with_head: Path, tmp_path: Path) -> None:
    rows = [f"{'word ' * 400}\t{label}" for label in ("entailment", "not_entailment") * 16]
    for split, count in (("train", 32), ("dev", 2)):
        (tmp_path / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows[:count]]) + "\n")
    settings = {"train.batch_size": 32, "train.max_steps": 2, "train.micro_batch": "auto", "train.evaluate_steps": 2}
    task = {"task": "classification", "backend": "torch", "model": str(tiny_with_head), "settings": settings}
    data = {"train": str(tmp_path / "train.tsv"), "dev": str(tmp_path / "dev.tsv"), "output": str(tmp_path / "run")}
    command = [sys.executable, "-c", STARVED, repr({**task, **data}), str(120 << 20)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.splitlines()[-1] == "2"
    assert "no memory in step 1 for a forward pass of 32 rows" in (tmp_path / "run" / "run.log").read_text()


def test_where_a_step_cannot_be_taken_again_a_number_of_rows_is_named() -> None:
    """As in ranks, where the others have taken part of the step: there ``auto`` helps nobody."""

    class Full:
        def train_step(self, batches: Any, context: Any) -> Any:
            raise bertcore.DeviceMemoryError("full")

    batch = bertcore.from_rows([[1, 2]] * 8, [[0, 0]] * 8)
    options = TrainConfig(batch_size=8, micro_batch="auto")
    micro_batches = MicroBatches(Full(), options, Progress(), pytest.fail, may_repeat=False)
    with pytest.raises(DeviceError) as caught:
        micro_batches.train_step([batch], StepContext(0, 1, (0.1,), 8.0))
    assert "--set train.micro_batch=4," in caught.value.remedy
