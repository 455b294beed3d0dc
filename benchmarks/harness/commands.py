"""Whole commands that train: bertcore's, and a script of transformers' Trainer, on the same rows."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import material
from benchmarks.harness.workers import ROOT, WorkerError

LONGEST = 600.0
"""Seconds after which a command has failed."""


@dataclass(frozen=True)
class Command:
    """A command that trains.

    Attributes:
        words: of the command.
        first_step: file that is there, and not empty where it is a log, when the first step is done.
        folder: of what it writes.
        environment: beside that of this process.
    """

    words: list[str]
    first_step: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What is trained: model, data and its encoded rows, as both sides want them."""

    model: Path
    glue: Path
    train: Path
    dev: Path
    batch_size: int
    workspace: Path
    threads: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> Job:
        """RTE with MiniLM; a tiny model and a few pairs with ``--quick``."""
        model = material.random_model(options.workspace, material.TINY) if options.quick else material.minilm()
        files = []
        for split in ("train", "dev"):
            texts, labels = material.texts_of(options.glue, "rte", split)
            numbers = [material.LABELS["rte"].index(label) for label in labels]
            name = f"command-{split}{'-quick' * options.quick}"
            files.append(material.encoded(options.workspace, name, model, texts, numbers, 128))
        batch_size = 4 if options.quick else 32
        return cls(model, options.glue, files[0], files[1], batch_size, options.workspace, options.threads)

    @contextmanager
    def bertcore(self, backend: str, precision: str, steps: int) -> Iterator[Command]:
        """``bertcore run``, with its caches in the workspace."""
        data = self.glue / "RTE"
        settings = {
            "train.max_steps": steps,
            "train.batch_size": self.batch_size,
            "train.log_steps": 1,
            "train.evaluate_steps": 10**6,
            "run.precision": precision,
            "data.max_length": 128,
        }
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "run"
            words = [
                *(sys.executable, "-m", "bertcore", "run", "--task", "rte", "--backend", backend),
                *("--model", str(self.model), "--data", str(data) if data.is_dir() else "sample"),
                *("--output", str(output)),
                *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
            ]
            cache = {"BERTCORE_CACHE": str(self.workspace / "cache")}
            yield Command(words, output / "metrics.jsonl", output, cache)

    @contextmanager
    def trainer(self, precision: str, steps: int) -> Iterator[Command]:
        """The script of transformers' Trainer."""
        with tempfile.TemporaryDirectory() as folder:
            first_step = Path(folder) / "first-step"
            job = {
                "model": str(self.model),
                "train": str(self.train),
                "dev": str(self.dev),
                "batch_size": self.batch_size,
                "precision": precision,
                "steps": steps,
                "threads": self.threads,
                "first_step": str(first_step),
            }
            words = [sys.executable, "-m", "benchmarks.workers.trainer_script", json.dumps(job)]
            yield Command(words, first_step, Path(folder))

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Starts a command; what it prints goes into its folder's neighbour, and is shown where it fails."""
        path = os.pathsep.join([str(ROOT), *(word for word in sys.path if word)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(self.threads), **command.environment}
        log = None if os.environ.get("BENCHMARKS_VERBOSE") else subprocess.DEVNULL
        return subprocess.Popen(command.words, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def seconds_to_first_step(self, command: Command) -> float:
        """Starts a command, and ends it when its first step is done.

        Raises:
            WorkerError: it ended before.
        """
        started = time.perf_counter()
        process = self.start(command)
        try:
            while not _is_there(command.first_step):
                if process.poll() is not None:
                    raise WorkerError(f"it ended with {process.returncode} before its first step")
                if time.perf_counter() - started > LONGEST:
                    raise WorkerError("it took too long")
                time.sleep(0.002)
            return time.perf_counter() - started
        finally:
            process.kill()
            process.wait()

    def peak_memory(self, command: Command) -> float:
        """Runs a command to its end; returns the most MiB that were resident.

        Raises:
            WorkerError: it failed.
        """
        process = self.start(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise WorkerError(f"it ended with {process.returncode}")
        return usage.ru_maxrss / 1024


def _is_there(file: Path) -> bool:
    """A log counts when its first training step is in it."""
    if file.suffix != ".jsonl":
        return file.exists()
    return file.exists() and '"loss"' in file.read_text(encoding="utf-8", errors="replace")
