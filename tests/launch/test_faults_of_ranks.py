"""A run in several processes to which something happens: what the user reads, that nothing is lost, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.contracts.ranks import Ranks
from bertcore.launch.attendance import Attendance
from tests.launch.conftest import Ran, bertcore, start, weights

LONG = [
    *("--epochs", "500", "--set", "train.save_steps=5", "--set", "train.evaluate_steps=100000"),
    # Which do not ask how many steps there will be.
    *("--set", "train.schedule=constant", "--set", "train.warmup_ratio=0"),
]
SHORT = ["--epochs", "3", "--set", "train.save_steps=5"]


@pytest.fixture
def arguments(tiny_en, small_tasks, tmp_path) -> list[str]:
    place = ["--backend", "torch", "--model", str(tiny_en), "--output", str(tmp_path / "run"), "--batch-size", "8"]
    return ["run", *small_tasks("classification", 61), *place]


def processes_of(folder: Path) -> dict[int, str]:
    """Numbers and commands of the processes that were told of a folder, by their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found[int(entry.name)] = command
    return found


def number_of(rank: int, folder: Path) -> int:
    for number in processes_of(folder):
        variables = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in variables and b"BERTCORE_JOB=1" in variables:
            return number
    raise LookupError(rank)


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def began(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    """A run of two processes that has written its first checkpoint."""
    process = start(*arguments, *LONG, "--nproc", "2", log=folder / "said")
    wait_until(lambda: (folder / "run" / "checkpoint").exists())
    return process


def ended(process: subprocess.Popen[str], folder: Path, within: float) -> Ran:
    started = time.monotonic()
    code = process.wait(timeout=60)
    assert time.monotonic() - started < within
    wait_until(lambda: not processes_of(folder / "run"), 5)
    return Ran(code, "", (folder / "said").read_text())


def resumed_as_undisturbed(arguments: list[str], folder: Path) -> None:
    """Goes on in two processes to an end that is, to the bit, that of a run to which nothing happened."""
    state = (folder / "run" / "checkpoint" / "state.json").read_text()
    last = ["--set", f"train.max_steps={json.loads(state)['progress']['step'] + 8}"]
    done = bertcore("run", "--resume", folder / "run", "--nproc", "2", *last)
    assert done.code == 0, done.err
    other = [str(folder / "other") if word == str(folder / "run") else word for word in arguments]
    assert bertcore(*other, *LONG, *last, "--nproc", "2").code == 0
    mine, theirs = weights(folder / "run"), weights(folder / "other")
    assert all((mine[name] == theirs[name]).all() for name in theirs)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_named_within_seconds_and_the_run_goes_on_to_the_bit(arguments, tmp_path, rank) -> None:
    process = began(arguments, tmp_path)
    os.kill(number_of(rank, tmp_path / "run"), signal.SIGKILL)
    outcome = ended(process, tmp_path, within=5)
    assert outcome.code == 6
    assert f"error: rank {rank} on localhost was killed by SIGKILL after" in outcome.err
    assert f"remedy: go on with: bertcore run --resume {tmp_path / 'run'}" in outcome.err
    assert "Traceback" not in outcome.err
    if rank == 1:
        resumed_as_undisturbed(arguments, tmp_path)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
def test_a_signal_to_the_launcher_ends_with_a_checkpoint_and_one_line(arguments, tmp_path, number, code) -> None:
    process = began(arguments, tmp_path)
    os.kill(process.pid, number)
    outcome = ended(process, tmp_path, within=15)
    assert outcome.code == code
    stopped = int(re.findall(r"stopped after step (\d+)", outcome.err)[-1])
    state = json.loads((tmp_path / "run" / "checkpoint" / "state.json").read_text())
    assert state["progress"]["step"] == stopped
    assert "Traceback" not in outcome.err
    assert outcome.err.count("error: ") == 1
    if number == signal.SIGTERM:
        resumed_as_undisturbed(arguments, tmp_path)


def test_mindspores_ranks_stop_without_a_word_of_the_framework(arguments, tmp_path) -> None:
    """Its scheduler is no rank: it stays until both have left, which else wait for it and report an error."""
    process = began([*arguments, "--backend", "mindspore"], tmp_path)
    scheduler = Path(f"bertcore_mindspore.scheduler {number_of(0, tmp_path / 'run')}")
    assert processes_of(scheduler)
    os.kill(process.pid, signal.SIGTERM)
    outcome = ended(process, tmp_path, within=15)
    assert outcome.code == 143
    log = (tmp_path / "run-ranks" / "rank-1.log").read_text()
    for said in (outcome.err, log):
        assert "stopped after step" in said
        assert not re.findall(r"\[(?:INFO|WARNING|ERROR)\]|Traceback", said)
    wait_until(lambda: not processes_of(scheduler), 5)


def test_without_its_launcher_a_run_ends_by_itself_and_can_be_gone_on_with(arguments, tmp_path) -> None:
    process = began(arguments, tmp_path)
    process.kill()
    process.wait()
    wait_until(lambda: not processes_of(tmp_path / "run"), 5)
    resumed_as_undisturbed(arguments, tmp_path)


def test_a_rank_that_hangs_is_named(arguments, tmp_path) -> None:
    process = start(*arguments, *LONG, "--nproc", "2", "--rank-timeout", "3", log=tmp_path / "said")
    wait_until(lambda: (tmp_path / "run" / "checkpoint").exists())
    os.kill(number_of(1, tmp_path / "run"), signal.SIGSTOP)
    outcome = ended(process, tmp_path, within=12)
    assert outcome.code == 6
    assert re.search(
        r"error: rank 1 on localhost does not come to where all other ranks wait for it, for \d s", outcome.err
    )


def test_restarts_go_on_by_themselves(arguments, tmp_path) -> None:
    process = start(
        *arguments, *LONG, "--set", "train.max_steps=60", "--nproc", "2", "--restarts", "1", log=tmp_path / "said"
    )
    wait_until(lambda: (tmp_path / "run" / "checkpoint").exists())
    os.kill(number_of(1, tmp_path / "run"), signal.SIGKILL)
    assert process.wait(timeout=120) == 0
    said = (tmp_path / "said").read_text()
    assert "rank 1 on localhost was killed by SIGKILL" in said
    assert "started again, 0 more times at most" in said
    other = [str(tmp_path / "other") if word == str(tmp_path / "run") else word for word in arguments]
    assert bertcore(*other, *LONG, "--set", "train.max_steps=60", "--nproc", "2").code == 0
    mine, theirs = weights(tmp_path / "run"), weights(tmp_path / "other")
    assert all((mine[name] == theirs[name]).all() for name in theirs)


def test_a_mistake_is_said_once_with_its_own_exit_code_and_not_tried_again(arguments, tmp_path) -> None:
    done = bertcore(*arguments, *SHORT, "--nproc", "2", "--restarts", "3", "--set", "data.text=nothing")
    assert done.code == 4
    assert done.err.count("error: ") == 1
    assert "started again" not in done.err
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_same_batches_on_another_number_of_ranks(arguments, tmp_path) -> None:
    assert bertcore(*arguments, *SHORT, "--nproc", "2", "--set", "train.stop_after=9").code == 0
    done = bertcore("run", "--resume", tmp_path / "run")
    assert done.code == 0, done.err
    other = [str(tmp_path / "other") if word == str(tmp_path / "run") else word for word in arguments]
    assert bertcore(*other, *SHORT).code == 0
    # Dropout masks are drawn by rank, so that the two are not equal; a lost or doubled row would be far more.
    steps = [
        re.findall(r"step (\d+)/(\d+)", (tmp_path / name / "run.log").read_text())[-1] for name in ("run", "other")
    ]
    assert steps[0] == steps[1]


def test_ranks_with_other_files_are_refused_before_the_first_step(arguments, tmp_path, monkeypatch) -> None:
    """Under another's launcher nothing is compared beforehand: the ranks themselves find it out."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29731"}
    own = {**os.environ, **shared, "OMP_NUM_THREADS": "1"}
    command = [os.sys.executable, "-m", "bertcore", *arguments, *SHORT]
    other = subprocess.Popen(
        [*command, "--learning-rate", "1e-3"],
        env={**own, "RANK": "1", "LOCAL_RANK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = subprocess.run(
        command, env={**own, "RANK": "0", "LOCAL_RANK": "0"}, capture_output=True, text=True, timeout=120
    )
    assert other.wait(timeout=60) == first.returncode == 6
    assert re.search(r"error: rank 1 on \S+ has another configuration than rank 0 on", first.stderr)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_prints_commands_and_touches_nothing(arguments, tmp_path) -> None:
    hostfile = tmp_path / "hosts"
    hostfile.write_text("10.255.255.1 slots=2\n10.255.255.2 slots=4  # unreachable, and nobody tries\n")
    several = ["--hostfile", hostfile, "--include", "10.255.255.1", "--include", "10.255.255.2:1,3", "--dry-run"]
    started = time.monotonic()
    done = bertcore(*arguments, *SHORT, *several)
    assert done.code == 0
    assert time.monotonic() - started < 10
    for rank, device in ((0, 0), (1, 1), (2, 1), (3, 3)):
        assert re.search(rf"rank {rank}: RANK={rank} WORLD_SIZE=4 .*BERTCORE_DEVICE={device} ", done.err)
    assert "10.255.255.2: ssh -T" in done.err
    assert not (tmp_path / "run").exists()


def test_who_waits_for_whom_follows_from_the_meetings() -> None:
    attendance = Attendance(limit=0.05)
    names = ("rank 0", "rank 1", "rank 2")
    attendance.saw({"rank 0": 4, "rank 1": 4})
    attendance.saw({"rank 2": 4})
    time.sleep(0.1)
    assert attendance.absent(names) is None  # all compute
    attendance.saw({"rank 0": 5, "rank 2": 5})
    assert attendance.absent(names) is None
    time.sleep(0.1)
    found = attendance.absent(names)
    assert found is not None
    assert found[0] == "rank 1"
    attendance.saw({"rank 1": 5}, stopped=["rank 1"])  # it came, and was halted within
    assert attendance.absent(names) is not None
    assert attendance.absent(names)[0] == "rank 1"
    attendance.saw({"rank 0": 6})
    assert attendance.absent(names) is None


def test_ranks_are_those_of_a_process_alone_by_default() -> None:
    assert Ranks().is_alone
    assert Ranks().is_first
