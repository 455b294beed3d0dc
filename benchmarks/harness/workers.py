"""The asking side of the pipe: workers in environments of their own, so that rounds interleave across environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SETTLE = 0.02
"""Seconds between two calls, in which threads of the worker before stop spinning."""


class WorkerError(Exception):
    """A worker could not be made, or could not answer; its first line says why."""


class Worker:
    """A process that runs one module of ``benchmarks.workers``, asked line by line.

    What it prints is shown where ``BENCHMARKS_VERBOSE`` is set.

    Args:
        module: name of the module.
        python: interpreter of its environment.
        threads: threads that its libraries may use.
        **made_of: what the worker is made of.

    Raises:
        WorkerError: it could not be made.
    """

    def __init__(self, module: str, python: Path | str = sys.executable, *, threads: int, **made_of: Any) -> None:
        self.module = module
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
        if str(python) == sys.executable:
            environment["PYTHONPATH"] = os.pathsep.join(path for path in (str(ROOT), *sys.path) if path)
        else:  # a peer's environment: what it imports is its own
            environment["PYTHONPATH"] = str(ROOT)
        log = None if os.environ.get("BENCHMARKS_VERBOSE") else subprocess.DEVNULL
        self._process = subprocess.Popen(
            [str(python), "-P", "-m", f"benchmarks.workers.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        try:
            self.versions: dict[str, str] = self._say({**made_of, "threads": threads})
        except WorkerError:
            self.close()
            raise

    def ask(self, call: str, **arguments: Any) -> Any:
        """Calls a method of the worker.

        Raises:
            WorkerError: it raised, or ended.
        """
        time.sleep(SETTLE)
        return self._say({"call": call, **arguments})

    def _say(self, line: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(line, default=str) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.module} ended with {self._process.wait()}") from None
        answer = self._process.stdout.readline()
        if not answer:
            raise WorkerError(f"{self.module} ended with {self._process.wait()}")
        said = json.loads(answer)
        if "error" in said:
            raise WorkerError(said["error"])
        return said["answer"]

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Workers:
    """The workers of one benchmark, and those that are absent with the reason.

    Args:
        peers: folder of environments, each with ``NAME/bin/python``.
        threads: threads that each worker may use.
    """

    def __init__(self, peers: Path, threads: int) -> None:
        self._peers = peers
        self._threads = threads
        self._workers: list[Worker] = []
        self.versions: dict[str, str] = {}
        self.absent: dict[str, str] = {}

    def own(self, module: str, shown: str, **made_of: Any) -> Worker | None:
        """A worker in this environment; None where it cannot be made, which is noted under the name that is shown."""
        return self._start(shown, module, sys.executable, made_of)

    def peer(self, environment: str, module: str, **made_of: Any) -> Worker | None:
        """A worker in a peer's environment, likewise."""
        python = self._peers / environment / "bin" / "python"
        if not python.exists():
            self.absent[environment] = "not installed"
            return None
        return self._start(environment, module, python, made_of)

    def _start(self, shown: str, module: str, python: Path | str, made_of: dict[str, Any]) -> Worker | None:
        try:
            worker = Worker(module, python, threads=self._threads, **made_of)
        except WorkerError as error:
            self.absent[shown] = str(error)
            return None
        self._workers.append(worker)
        self.versions |= worker.versions
        return worker

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()
