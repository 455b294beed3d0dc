"""What three launchers make of the same events: msrun, torchrun and ``bertcore run --nproc``.

    python -m benchmarks.ranks.events --model MODEL

Each starts the same run of two processes on the sample of RTE. When its first checkpoint is there, something happens;
measured are the seconds until the launcher has ended, its exit code, how many processes are left then and 20 seconds
later, and whether what it says names the process to which it happened.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Event:
    """Something that happens to a run.

    Attributes:
        name: in words.
        act: makes it happen; takes the launcher's process and the number of the second rank.
    """

    name: str
    act: Callable[[subprocess.Popen[bytes], int], None]


EVENTS = (
    Event("a worker killed", lambda launcher, worker: os.kill(worker, signal.SIGKILL)),
    Event("Ctrl-C", lambda launcher, worker: os.killpg(launcher.pid, signal.SIGINT)),
    Event("SIGTERM to the launcher", lambda launcher, worker: launcher.send_signal(signal.SIGTERM)),
    Event("SIGKILL of the launcher", lambda launcher, worker: launcher.kill()),
    Event("a worker that hangs", lambda launcher, worker: os.kill(worker, signal.SIGSTOP)),
)


def command(name: str, arguments: list[str], folder: Path) -> list[str]:
    """How a launcher starts two processes."""
    port = str(20000 + os.getpid() % 20000)
    run = ["-m", "bertcore", "run", *arguments]
    if name == "torchrun":
        return [str(BIN / "torchrun"), "--nproc-per-node", "2", "--master-port", port, *run]
    if name == "msrun":
        workers = ["--worker_num=2", "--local_worker_num=2", "--join=True", f"--master_port={port}"]
        return [str(BIN / "msrun"), *workers, f"--log_dir={folder / 'logs'}", str(BIN / "bertcore"), *run[2:]]
    return [sys.executable, *run, "--nproc", "2", *(["--rank-timeout", "10"])]


def ranks(output: Path) -> dict[int, int]:
    """Number of each process of a run that trains."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = dict(pair.partition(b"=")[::2] for pair in (entry / "environ").read_bytes().split(b"\0"))
        except (OSError, ValueError):
            continue
        rank = variables.get(b"RANK", variables.get(b"MS_NODE_ID"))
        is_worker = (
            b"run" in words
            and str(output).encode() in words
            and not any(word.endswith(b"/msrun") for word in words[:3])
        )
        if is_worker and rank and rank.isdigit() and variables.get(b"MS_ROLE") != b"MS_SCHED":
            found[int(rank)] = int(entry.name)
    return found


def left(folder: Path) -> list[int]:
    """All processes that were told of a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [number for number in found if number != os.getpid()]


def measure(name: str, event: Event, backend: str, model: str, wait: float) -> dict[str, object]:
    """One event of one launcher."""
    with tempfile.TemporaryDirectory() as place:
        folder, output = Path(place), Path(place) / "run"
        arguments = [
            *("--task", "rte", "--model", model, "--data", "sample", "--backend", backend, "--output", str(output)),
            *("--epochs", "500", "--set", "train.save_steps=5", "--set", "train.evaluate_steps=100000"),
        ]
        said = folder / "said"
        with said.open("wb") as log:
            launcher = subprocess.Popen(
                command(name, arguments, folder),
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        end = time.monotonic() + 240
        while not (output / "checkpoint").exists() or 1 not in ranks(output):
            if time.monotonic() > end or launcher.poll() is not None:
                raise SystemExit(f"{name} did not begin: {said.read_text()[-2000:]}")
            time.sleep(0.1)
        worker = ranks(output)[1]
        began = time.monotonic()
        event.act(launcher, worker)
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = launcher.wait(timeout=wait)
        seconds = time.monotonic() - began
        at_once = len(left(folder))
        time.sleep(20 if at_once else 0)
        later = left(folder)
        for number in later:
            os.kill(number, signal.SIGKILL)
        text = said.read_text(errors="replace")
        return {
            "launcher": name,
            "event": event.name,
            "seconds": round(seconds, 1),
            "ended": code is not None,
            "exit_code": code,
            "left": at_once,
            "left_20_s_later": len(later),
            "names_the_rank": bool(re.search(r"rank\W+1\b|local_rank: 1|worker_1|rank  : 1", text)),
            "traceback": "Traceback" in text,
        }


def main() -> None:
    """Prints a line of JSON for each launcher and event."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sample")
    parser.add_argument("--wait", type=float, default=90, help="seconds until a launcher counts as hanging")
    parser.add_argument("--launchers", default="msrun,torchrun,bertcore")
    parser.add_argument("--events", default="0,1,2,3,4")
    options = parser.parse_args()
    for number in map(int, options.events.split(",")):
        for name in options.launchers.split(","):
            backend = "mindspore" if name == "msrun" else "torch"
            print(json.dumps(measure(name, EVENTS[number], backend, options.model, options.wait)), flush=True)


if __name__ == "__main__":
    main()
