"""Runs cases in one process at a time, which is started anew where a case ends or stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .outcome import Fault, Outcome
from .worker import PROGRESS

HANGS = 120.0
"""Seconds without a further case after which the process is killed: no signal is handled while C runs."""

WORKER = ("-X", "faulthandler", "-m", "fuzzing.worker")
IN_MEMORY = Path("/dev/shm")
SUPPORT = Path(__file__).resolve().parent.parent


def run(
    targets: Sequence[str],
    seed: int,
    cases: int,
    *,
    first: int = 0,
    seconds: float = float("inf"),
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Runs cases by turns over the targets.

    Args:
        targets: their names.
        seed: of all cases.
        cases: how many in all.
        first: number of the first.
        seconds: after which no further case begins.
        tell: is called every few seconds with what is known so far.
    """
    found = Outcome()
    end, until = first + cases, time.monotonic() + seconds
    while first < end and time.monotonic() < until:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
            report, number, died = _run_worker(Path(folder), targets, seed, (first, end), until, tell, found)
        found.add(report)
        if not died:
            break
        found.cases += max(number - first + 1 - report.cases, 0)  # those since its last report
        found.note(Fault(targets[number % len(targets)], seed, number, *died))
        first = number + 1
    return found


def _run_worker(
    folder: Path,
    targets: Sequence[str],
    seed: int,
    numbers: tuple[int, int],
    until: float,
    tell: Callable[[Outcome], None],
    before: Outcome,
) -> tuple[Outcome, int, tuple[str, str] | None]:
    """What the process reports, the last case that it began, and how it died if it did."""
    progress, report = folder / "progress", folder / "report.json"
    progress.write_bytes(PROGRESS.pack(numbers[0]))
    arguments = {
        "targets": list(targets),
        "seed": seed,
        "first": numbers[0],
        "end": numbers[1],
        "seconds": until - time.monotonic(),
        "progress": str(progress),
        "report": str(report),
        "folder": str(folder / "cases"),
    }
    command = [sys.executable, *WORKER, json.dumps(arguments)]
    with (
        open(folder / "output", "w+") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment()) as process,
    ):
        last, since, told = -2, time.monotonic(), time.monotonic()
        hung = False
        while process.poll() is None:
            time.sleep(0.2)
            number = _number(progress)
            if number != last:
                last, since = number, time.monotonic()
            elif time.monotonic() - since > HANGS:
                hung = True
                process.kill()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                together = Outcome()
                together.add(before)
                together.add(_read(report))
                tell(together)
        output.seek(0)
        said = output.read()[-3000:]
    number = _number(progress)
    died = None if number == -1 else (_name_of_death(targets[number % len(targets)], process.returncode, hung), said)
    return _read(report), number, died


def environment() -> dict[str, str]:
    """What a process that imports this package runs in: one thread, and no pages of a library's frames."""
    path = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "RUST_BACKTRACE": "0",
    }


def _name_of_death(target: str, code: int, hung: bool) -> str:
    return f"{target}: hangs in C" if hung else f"{target}: the process ends with {code}"


def _number(progress: Path) -> int:
    return int(PROGRESS.unpack(progress.read_bytes())[0])


def _read(report: Path) -> Outcome:
    return Outcome.from_json(json.loads(report.read_text())) if report.is_file() else Outcome()
