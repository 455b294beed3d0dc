"""Kills runs at random moments, with ``kill -9`` or by a signal to stop, and compares their end to the bit.

A run is killed one to four times, by another process, and goes on each time; then it is left alone. It must leave what
a run leaves that nobody killed: parameters, state of the optimizer, history, predictions and report, every byte that
does not depend on a clock. After each kill the newest checkpoint must be whole, and no older than before.

Half of the moments are drawn from the whole time of a run. The other half are bursts: a moment within the milliseconds
in which a checkpoint or the best model is being written.

    python tests/support/random_kills.py --kills 700 --results kills.jsonl
    python tests/support/random_kills.py --kills 300 --results kills.jsonl --backend mindspore
    python tests/support/random_kills.py --kills 100 --signals TERM,USR1
    python tests/support/random_kills.py --table kills.jsonl
"""

from __future__ import annotations

import argparse
import collections
import functools
import importlib
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tiny_run import content, go_on, write_tiny_task

from bertcore.engine.checkpoint import newest_checkpoint
from bertcore.engine.interrupt import Interrupted, orderly_termination

BASE = {
    "train.max_steps": None,
    "train.epochs": 3,
    "train.accumulation": 2,
    "train.evaluate_steps": 3,
    "train.save_steps": 2,
    "train.log_steps": 1,
}
"""Fifteen steps of two micro-batches, the last of an epoch smaller; dropout is that of BERT, 0.1."""

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fgm, averages": {"train.adversarial": "fgm", "train.ema": 0.9},
    "r_drop, grouped by length": {"train.r_drop": 1.0, "train.group_by_length": True},
    "lora": {"train.lora.rank": 2, "train.lora.dropout": 0.1},
    "lora, fgm, r_drop, averages": {
        "train.lora.rank": 2,
        "train.adversarial": "fgm",
        "train.r_drop": 1.0,
        "train.ema": 0.9,
        "train.accumulation": 3,
    },
}

PATIENCE = 300.0
"""Seconds after which a run that has not ended counts as one that hangs."""

_WRITING = re.compile(r"\.(checkpoint|best)\.[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Trial:
    """A run that was killed, and what became of it.

    Attributes:
        backend: on which it ran.
        configuration: its name.
        kills: how often it was killed by SIGKILL.
        stops: how often it was stopped by another signal.
        writing: how many of the kills left a checkpoint or best model half-written.
        early: how many of the kills came before the first checkpoint.
        failure: what was wrong; None where nothing was.
    """

    backend: str
    configuration: str
    kills: int
    stops: int
    writing: int
    early: int
    failure: str | None


class Runs:
    """Starts runs of one backend in processes of their own, which need not import it again.

    Args:
        backend: its name.
        folder: for the model, its data, what the processes say, and the runs.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "run"
        self.backend = backend
        self.log = folder / "log.txt"
        (folder / "task").mkdir()
        self._task = write_tiny_task(folder / "task", train_examples=20)
        os.environ["BERTCORE_CACHE"] = str(folder / "cache")
        self._whole: dict[str, tuple[dict[str, Any], float]] = {}
        for name in (backend, "bertcore.commands.run", "matplotlib.figure"):
            importlib.import_module(name)

    def expected(self, configuration: str) -> tuple[dict[str, Any], float]:
        """What a run leaves that nobody kills, and its seconds."""
        if configuration not in self._whole:
            shutil.rmtree(self.output, ignore_errors=True)
            started = time.monotonic()
            code = self.wait(self.start(configuration)[0])
            if code != 0:
                raise SystemExit(f"the run that nobody killed ended with {code}: {self.log.read_text()[-3000:]}")
            self._whole[configuration] = content(self.output), time.monotonic() - started
        return self._whole[configuration]

    def start(self, configuration: str) -> tuple[int, int]:
        """Starts or resumes the run; returns its process, and where a byte comes when it begins to write."""
        task = {
            **self._task,
            "backend": self.backend,
            "settings": {**self._task["settings"], **BASE, **CONFIGURATIONS[configuration]},
        }
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            self._become(task, writer)
        os.close(writer)
        return process, reader

    def _become(self, task: dict[str, Any], writer: int) -> None:
        code = 1
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.addaudithook(functools.partial(_tell_of_writing, writer))
            with orderly_termination():
                go_on(self.output, task)
            code = 0
        except Interrupted as stop:
            code = stop.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, process: int) -> int:
        """The exit code of a run, negative for a signal."""
        waited, now = 0.0, time.monotonic()
        while waited < PATIENCE:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
            before, now = now, time.monotonic()
            waited += min(now - before, 1.0)  # more only where this process was halted itself, and the run with it
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise TimeoutError(f"did not end within {PATIENCE:.0f} s")


def _tell_of_writing(writer: int, event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.mkdir" and _WRITING.fullmatch(os.path.basename(os.fsdecode(arguments[0]))):
        with suppress(BrokenPipeError):  # nobody waits for it
            os.write(writer, b".")


def try_one(runs: Runs, configuration: str, signals: Sequence[signal.Signals], draw: random.Random) -> Trial:
    """Kills one run some times, and compares its end."""
    expected, seconds = runs.expected(configuration)
    shutil.rmtree(runs.output, ignore_errors=True)
    runs.log.unlink(missing_ok=True)
    kills = stops = writing = early = step = 0
    failure = None
    try:
        for _ in range(draw.randint(1, 4)):
            process, reader = runs.start(configuration)
            try:
                _wait_for_the_moment(reader, seconds, draw)
            finally:
                os.close(reader)
            number = draw.choice(signals)
            os.kill(process, number)
            code = runs.wait(process)
            if code == 0:  # it had ended
                break
            # Without a handler the system ends it: before there is one, and after the run.
            assert code in (-number, 128 + number), f"it ended with {code}"
            kills += number == signal.SIGKILL
            stops += number != signal.SIGKILL
            writing += any(_WRITING.fullmatch(path.name) for path in _entries(runs.output))
            newest = newest_checkpoint(runs.output, _damaged)
            early += newest is None
            if newest is not None or step:
                assert newest is not None, f"the checkpoint of step {step} is gone"
                assert newest.progress.step >= step, f"step {newest.progress.step} after step {step}"
                step = newest.progress.step
        process, reader = runs.start(configuration)
        os.close(reader)
        code = runs.wait(process)
        assert code == 0, f"the last resume ended with {code}"
        found = content(runs.output)
        names = {*expected, *found}
        if stops:  # each left a checkpoint of its own step, and the earlier one that is kept may be that
            names = {name for name in names if not name.startswith("checkpoint-")}
        differing = sorted(name for name in names if expected.get(name, 0) != found.get(name, 0))
        assert not differing, f"differ: {', '.join(differing)}"
        left = [path.name for path in runs.output.rglob(".*")]
        assert not left, f"left behind: {', '.join(left)}"
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        kept = Path(tempfile.mkdtemp(prefix="killed-"))
        if runs.output.exists():
            shutil.copytree(runs.output, kept / "run")
        said = runs.log.read_text() if runs.log.exists() else ""
        failure += f" (kept in {kept}); it said: ...{said[-600:]}"
    return Trial(runs.backend, configuration, kills, stops, writing, early, failure)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _damaged(note: str) -> None:
    raise AssertionError(note)


def _wait_for_the_moment(reader: int, seconds: float, draw: random.Random) -> None:
    if draw.random() < 0.5:
        select.select([], [], [], draw.uniform(0, 1.05 * seconds))
        return
    for _ in range(draw.randint(1, 6)):
        if not select.select([reader], [], [], PATIENCE)[0] or not os.read(reader, 1):
            return  # the process has ended
    time.sleep(draw.uniform(0, 0.02))


def trials(runs: Runs, kills: int, signals: Sequence[signal.Signals], draw: random.Random) -> Iterator[Trial]:
    """Trials of all configurations in turn, until there were so many kills."""
    names = list(CONFIGURATIONS)
    count = 0
    while count < kills:
        trial = try_one(runs, draw.choice(names), signals, draw)
        count += trial.kills + trial.stops
        yield trial


def table(found: list[Trial]) -> str:
    """What became of the runs, by backend and configuration, as Markdown."""
    columns = ["backend", "configuration", "runs", "kills", "stops", "while writing", "before a checkpoint"]
    rows = [[*columns, "to the bit", "failed"], ["---"] * (len(columns) + 2)]
    groups: dict[tuple[str, str], list[Trial]] = collections.defaultdict(list)
    for trial in found:
        groups[trial.backend, trial.configuration].append(trial)
    groups["all", ""] = found
    for (backend, configuration), members in groups.items():
        count: Callable[[str], int] = lambda name, of=members: sum(getattr(trial, name) for trial in of)  # noqa: E731
        failed = sum(trial.failure is not None for trial in members)
        counts = [len(members), *map(count, ("kills", "stops", "writing", "early")), len(members) - failed, failed]
        rows.append([backend, configuration, *map(str, counts)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signals", default="KILL", help="drawn from for each kill, as KILL,TERM,USR1")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--results", type=Path, help="file of JSON lines, which is added to")
    parser.add_argument("--table", type=Path, help="shows such a file, and kills nothing")
    arguments = parser.parse_args()
    if arguments.table is not None:
        print(table([Trial(**json.loads(line)) for line in arguments.table.read_text().splitlines()]))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"seed {arguments.seed}", flush=True)
    found = []
    signals = [signal.Signals[f"SIG{name}"] for name in arguments.signals.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.backend, Path(folder))
        for trial in trials(runs, arguments.kills, signals, random.Random(arguments.seed)):
            found.append(trial)
            if trial.failure is not None:
                print(f"{trial.configuration}: {trial.failure}", flush=True)
            if arguments.results is not None:
                with arguments.results.open("a") as file:
                    file.write(json.dumps(asdict(trial)) + "\n")
    print(table(found))
    sys.exit(any(trial.failure is not None for trial in found))


if __name__ == "__main__":
    main()
