"""Ctrl-C, SIGTERM, SIGUSR1 at any moment: the exit code of shells, nothing half-written, and a run that can go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bertcore.api import resume
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")

Start = Callable[..., subprocess.Popen[str]]

# Enough steps that no run ends by itself before its signal comes.
OPTIONS = ["train.max_steps=100000", "train.batch_size=4", "train.log_steps=1", "train.evaluate_steps=100000"]


@pytest.fixture
def start(tiny_en: Path, small_rte: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a run of its own process, whose output is read line by line."""
    started: list[subprocess.Popen[str]] = []

    def call(*options: str, before: str = "") -> subprocess.Popen[str]:
        place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
        assignments = [part for option in (*OPTIONS, *options) for part in ("--set", option)]
        program = f"{before}\nfrom bertcore.cli import main\nmain()"
        command = [sys.executable, "-c", program, "run", *place, "--output", tmp_path / "run", *assignments]
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            # A background job of a shell ignores Ctrl-C, and so does what it starts; the tests may run as one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(words):
            return
    raise AssertionError(f"the run ended before it said {words!r}: {process.communicate()}")


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return process.returncode, errors


def strays(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") or path.name.endswith((".tmp", ".old"))]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
def test_once_ends_after_a_complete_checkpoint(start: Start, tmp_path: Path, number: int, code: int) -> None:
    process = start()
    wait_for(process, "step 2/")
    process.send_signal(number)
    returned, errors = finish(process)
    assert returned == code
    lines = [line for line in errors.splitlines() if line]
    assert lines[0] == "stopping after this step; once more to stop at once"
    assert lines[1].startswith("error: stopped after step ")
    assert lines[2] == "remedy: go on with --resume"
    assert strays(tmp_path) == []

    stopped_at = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())["progress"]["step"]
    assert lines[1] == f"error: stopped after step {stopped_at} of 100000"
    log = (tmp_path / "run" / "run.log").read_text()
    assert lines[1] in log
    assert lines[2] in log
    result = resume(tmp_path / "run", settings={"train.max_steps": stopped_at + 2})
    assert result.finished
    assert result.steps == stopped_at + 2


def test_a_run_that_was_interrupted_goes_on_to_the_bit(
    start: Start, tiny_en: Path, small_rte: Path, tmp_path: Path
) -> None:
    import bertcore

    process = start()
    wait_for(process, "step 2/")
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    stopped_at = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())["progress"]["step"]
    # The planned number of steps is part of the schedule: the run to compare with has it too.
    resumed = resume(tmp_path / "run", settings={"train.stop_after": stopped_at + 4})
    settings = {name: json.loads(value) for name, value in (option.split("=") for option in OPTIONS)}
    whole = bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=small_rte,
        output=tmp_path / "whole",
        settings={**settings, "train.stop_after": stopped_at + 4},
    )
    for file in ("model/model.safetensors", "optimizer.safetensors"):
        one = read_safetensors(resumed.folder / "checkpoint" / file)
        other = read_safetensors(whole.folder / "checkpoint" / file)
        assert {name: value.tobytes() for name, value in one.items()} == {
            name: value.tobytes() for name, value in other.items()
        }


def test_twice_ends_at_once_and_keeps_the_last_checkpoint(start: Start, tmp_path: Path) -> None:
    # Step 3 never ends by itself, so the second signal comes while it is under way.
    hang = """
import time
from bertcore_torch.session import TorchSession
train_step = TorchSession.train_step
def slow_step(self, micro_batches, context):
    if context.step == 3:
        print("step that hangs", flush=True)
        for _ in range(3000):
            time.sleep(0.01)
    return train_step(self, micro_batches, context)
TorchSession.train_step = slow_step
"""
    process = start("train.save_steps=2", before=hang)
    wait_for(process, "step that hangs")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping after this step" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    returned, errors = finish(process)
    assert time.monotonic() - started < 15
    assert returned == 130
    assert "error: stopped at once, the step in progress is lost" in errors
    assert strays(tmp_path) == []
    state = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())
    assert state["progress"]["step"] == 2
    assert resume(tmp_path / "run", settings={"train.max_steps": 4}).finished


def test_what_follows_the_notice_of_a_scheduler_does_not_cut_the_step_short(start: Start, tmp_path: Path) -> None:
    slow = """
import time
from bertcore_torch.session import TorchSession
train_step = TorchSession.train_step
def slow_step(self, micro_batches, context):
    if context.step == 3:
        print("slow step", flush=True)
        for _ in range(100):
            time.sleep(0.01)
    return train_step(self, micro_batches, context)
TorchSession.train_step = slow_step
"""
    process = start(before=slow)
    wait_for(process, "slow step")
    for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.1)  # signals of different numbers that wait at the same time have no order
    returned, errors = finish(process)
    assert returned == 128 + signal.SIGUSR1
    assert "error: stopped after step 4 of 100000" in errors
    assert json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())["progress"]["step"] == 4


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
@pytest.mark.parametrize(
    "place", ["bertcore.engine.prepared_run:open_data", "bertcore.engine.compute_target:ComputeTarget.open_session"]
)
def test_before_the_first_step_nothing_is_left(
    start: Start, tmp_path: Path, number: int, code: int, place: str
) -> None:
    module, name = place.split(":")
    owner, _, attribute = name.rpartition(".")
    target = f"module.{owner}" if owner else "module"
    hang = f"""
import importlib, time
module = importlib.import_module({module!r})
original = {target}.{attribute}
def slow(*arguments):
    print("waiting", flush=True)
    for _ in range(3000):
        time.sleep(0.01)
    return original(*arguments)
{target}.{attribute} = slow
"""
    process = start(before=hang)
    wait_for(process, "waiting")
    process.send_signal(number)
    returned, errors = finish(process)
    assert returned == code
    assert "error: " in errors
    assert not (tmp_path / "run").exists()
    assert strays(tmp_path) == []


def test_while_a_checkpoint_is_written_the_earlier_one_stays(start: Start, tmp_path: Path) -> None:
    hang = """
import time
from bertcore.engine import checkpoint
write = checkpoint.write_safetensors
calls = []
def slow_write(file, tensors, *rest):
    write(file, tensors, *rest)
    calls.append(file)
    if len(calls) == 2:
        print("waiting", flush=True)
        for _ in range(3000):
            time.sleep(0.01)
checkpoint.write_safetensors = slow_write
"""
    process = start("train.save_steps=1", before=hang)
    wait_for(process, "waiting")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while "stopping after this step" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    assert strays(tmp_path) == []
    state = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())
    assert state["progress"]["step"] == 1
    assert resume(tmp_path / "run", settings={"train.max_steps": 2}).finished


def test_the_reader_of_the_output_may_go_away(start: Start) -> None:
    process = start("train.max_steps=3", "train.evaluate_steps=3")
    wait_for(process, "step 1/")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(60) == 141
    assert errors == ""
