"""One process at a time in a run folder."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bertcore.config import RunConfig
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.run_lock import run_lock
from bertcore.errors import OutputError

HOLD = """
import sys, time
from pathlib import Path
from bertcore.engine.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path/run`."""
    (tmp_path / "run").mkdir()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    before = (tmp_path / "run" / ".lock").read_bytes()
    with pytest.raises(OutputError) as caught, run_lock(tmp_path / "run"):
        pytest.fail("two processes hold one lock")
    pattern = rf"{tmp_path}/run: in use: process (\d+) on (\S+) has it since (.+)"
    match = re.fullmatch(pattern, caught.value.cause)
    assert match
    assert int(match[1]) == holder.pid
    assert match[2] == socket.gethostname()
    assert abs(datetime.now().timestamp() - datetime.fromisoformat(match[3]).timestamp()) < 60
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert (tmp_path / "run" / ".lock").read_bytes() == before  # the one who is refused changes nothing


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_holds_nobody_off(
    holder: subprocess.Popen[str], tmp_path: Path, number: int
) -> None:
    holder.send_signal(number)
    holder.wait()
    with run_lock(tmp_path / "run") as notes:
        assert notes == []
        assert f'"process": {os.getpid()}' in (tmp_path / "run" / ".lock").read_text()
    assert list((tmp_path / "run").iterdir()) == []


def test_one_process_cannot_work_twice_on_a_folder(tmp_path: Path) -> None:
    with run_lock(tmp_path), pytest.raises(OutputError, match=f"process {os.getpid()} on"), run_lock(tmp_path):
        pytest.fail("the lock is held twice")
    with run_lock(tmp_path):
        pass


def test_of_many_processes_one_holds_the_lock_at_a_time(tmp_path: Path) -> None:
    """Each takes and gives back the lock many times, and with it removes the file that the others are opening."""
    program = """
import os, sys, time
from pathlib import Path
from bertcore.engine.run_lock import run_lock
from bertcore.errors import OutputError
folder, held = Path(sys.argv[1]), 0
end = time.monotonic() + 1.5
while time.monotonic() < end or not held:
    try:
        with run_lock(folder):
            inside = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # fails where another process is inside
            os.close(inside)
            os.unlink(folder / "inside")
            held += 1
    except OutputError:
        pass
print(held)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(out) > 0


def test_a_file_system_without_locks_is_named_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with run_lock(tmp_path) as notes:
        (note,) = notes
        assert note.startswith(f"{tmp_path}: its file system has no locks")


def test_of_two_new_runs_the_second_is_refused_before_it_writes(tmp_path: Path) -> None:
    config = RunConfig.model_validate({"task": "rte", "run": {"output": str(tmp_path / "run")}})
    with RunFolder.begin(config) as (first, _):
        with pytest.raises(OutputError, match="in use: process"), RunFolder.begin(config):
            pytest.fail("two runs begin in one folder")
        first.write_config(config)
        with pytest.raises(OutputError, match="holds something already"), RunFolder.begin(config):
            pytest.fail("a run begins in the folder of another")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.toml"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    config = RunConfig.model_validate({"task": "rte", "run": {"output": str(tmp_path / "run")}})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").write_text('{"host": "gone"}')
    (tmp_path / "run" / ".config.toml.0123abcd.tmp").write_text("half")
    (tmp_path / "run" / "data").mkdir()
    (tmp_path / "run" / "data" / "train.jsonl").write_text("half")
    with RunFolder.begin(config) as (folder, _):
        assert [path.name for path in folder.path.iterdir()] == [".lock"]
    for name in (".hidden", "data"):  # the user's own
        own = tmp_path / "own" / name
        own.mkdir(parents=True)
        elsewhere = RunConfig.model_validate({"task": "rte", "run": {"output": str(tmp_path / "own")}})
        with pytest.raises(OutputError, match="holds something already"), RunFolder.begin(elsewhere):
            pytest.fail("a folder of the user is overlooked")
        own.rmdir()


def test_two_resumes_do_not_write_side_by_side(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    pytest.importorskip("torch")
    options = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    settings = ["train.max_steps=100000", "train.batch_size=4", "train.log_steps=1", "train.evaluate_steps=100000"]
    more = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-c", "from bertcore.cli import main; main()", "run", *options, *more]
    process = subprocess.Popen(
        [*map(str, command), "--output", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 1/"):
                break
        before = {path.name for path in (tmp_path / "run").iterdir()}
        started = time.monotonic()
        outcome = bertcore_command("run", "--resume", tmp_path / "run")
        assert outcome.code == OutputError.exit_code
        cause, remedy = outcome.err.splitlines()
        assert cause.startswith(f"error: {tmp_path}/run: in use: process {process.pid} on {socket.gethostname()} ")
        assert remedy.startswith("remedy: wait until that run has ended")
        assert time.monotonic() - started < 5  # before anything is read
        assert {path.name for path in (tmp_path / "run").iterdir()} == before
    finally:
        process.kill()
        process.communicate()


def test_going_on_removes_what_was_half_written_but_not_what_others_write_now(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    for name in (".curves.png.0123abcd.tmp", "data/.division.json.0123abcd.tmp", "evaluations/.dev.0123abcd.tmp/x"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text("half")
    (folder.path / ".checkpoint-3.0123abcd.old").mkdir()
    kept = [
        ".curves.png",
        ".0123abcd.tmp",
        "curves.0123abcd.tmp",
        ".curves.png.0123ABCD.tmp",
        ".curves.png.0123abcd.bak",
    ]
    for name in kept:
        (folder.path / name).write_text("the user's own")
    with folder.go_on():
        pass
    left = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*")}
    assert left == {*kept, "data", "evaluations", "evaluations/.dev.0123abcd.tmp", "evaluations/.dev.0123abcd.tmp/x"}
    day_before = time.time() - 25 * 3600
    os.utime(folder.path / "evaluations" / ".dev.0123abcd.tmp", (day_before, day_before))
    with folder.go_on():
        pass
    assert list((folder.path / "evaluations").iterdir()) == []
