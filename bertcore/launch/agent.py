"""``python -m bertcore.launch.agent``: starts the processes of one host, watches them, and never leaves one behind.

It reads its job and what follows from standard input and reports on standard output, see
:mod:`bertcore.launch.messages`. When the launcher is gone, by whatever death, the processes are asked to end and a
little later made to; the agent's own death ends them too (``PR_SET_PDEATHSIG``, Linux).
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bertcore.files.arrivals import VARIABLE as ARRIVALS
from bertcore.files.arrivals import arrivals_in
from bertcore.launch.messages import (
    BEAT,
    SILENCE,
    Alive,
    Ended,
    Job,
    Message,
    Output,
    Process,
    Started,
    Stop,
    decode,
    encode,
)

ORPHAN_PATIENCE = 3.0
"""Seconds that the processes have to end by themselves after the launcher was lost."""

LAST_LINES = 20
_PR_SET_PDEATHSIG = 1


@dataclass
class _Running:
    """A process that was started."""

    process: subprocess.Popen[bytes]
    name: str
    arrivals: Path
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    readers: list[threading.Thread] = field(default_factory=list)
    log: Path | None = None


class Agent:
    """Starts and watches the processes of one host.

    Args:
        receive: gives the next message of the launcher, or None where it is gone.
        send: hands a message to the launcher.
    """

    def __init__(self, receive: Callable[[], Message | None], send: Callable[[Message], None]) -> None:
        self._receive = receive
        self._send = send
        self._inbox: queue.Queue[Message | None] = queue.Queue()
        self._running: list[_Running] = []
        self._began = time.monotonic()
        self._deadline: float | None = None

    def serve(self) -> None:
        """Does one job: returns when all of its processes have ended."""
        threading.Thread(target=self._listen, daemon=True).start()
        job = self._inbox.get()
        if not isinstance(job, Job):
            return
        heard = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bertcore-job-") as arrivals:
            self._serve(job, Path(arrivals), heard)

    def _serve(self, job: Job, arrivals: Path, heard: float) -> None:
        try:
            for number, process in enumerate(job.processes):
                self._start(process, job, arrivals / str(number))
            while self._running:
                message = self._next()
                now = time.monotonic()
                if message is not None:
                    heard = now
                if isinstance(message, Stop):
                    self._signal(message.signal, message.patience)
                elif now - heard > SILENCE:
                    self._signal(signal.SIGTERM, ORPHAN_PATIENCE)
                self._collect()
                self._tell(self._signs_of_life())
        except _LauncherGoneError:
            self._signal(signal.SIGTERM, ORPHAN_PATIENCE)
            while self._running:
                time.sleep(0.05)
                self._collect(quietly=True)
        finally:
            self._kill()

    def _signs_of_life(self) -> Alive:
        arrivals = {running.name: arrivals_in(running.arrivals) for running in self._running}
        return Alive(arrivals, tuple(running.name for running in self._running if _is_halted(running.process)))

    def _listen(self) -> None:
        while (message := self._receive()) is not None:
            self._inbox.put(message)
        self._inbox.put(None)

    def _next(self) -> Message | None:
        """What the launcher says within a beat, or None where it says nothing."""
        end = time.monotonic() + BEAT
        while (left := end - time.monotonic()) > 0:
            if any(_has_ended(running.process) for running in self._running) or self._is_late():
                return None
            try:
                message = self._inbox.get(timeout=min(left, 0.05))
            except queue.Empty:
                continue
            if message is None:
                raise _LauncherGoneError
            return message
        return None

    def _start(self, process: Process, job: Job, arrivals: Path) -> None:
        folder = job.folder
        output: IO[bytes] | int = subprocess.PIPE
        if process.log is not None:
            path = Path(folder) / process.log
            path.parent.mkdir(parents=True, exist_ok=True)
            output = path.open("ab")
        started = subprocess.Popen(
            process.command,
            cwd=folder,
            env={
                # Else each process would compute with as many threads as the host has cores.
                "OMP_NUM_THREADS": str(max(1, _cores() // len(job.processes))),
                **os.environ,
                **process.environment,
                ARRIVALS: str(arrivals),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output if process.log is not None else subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is the launcher's, which passes it on once
            preexec_fn=_die_with_parent,
        )
        running = _Running(
            started, process.name, arrivals, log=None if process.log is None else Path(folder) / process.log
        )
        for stream in ("stdout", "stderr"):
            pipe = getattr(started, stream)
            if pipe is not None:
                running.readers.append(
                    threading.Thread(target=self._hand_on, args=(running, stream, pipe), daemon=True)
                )
                running.readers[-1].start()
        if not isinstance(output, int):
            output.close()
        self._running.append(running)
        self._tell(Started(process.name, started.pid))

    def _hand_on(self, running: _Running, stream: str, pipe: IO[bytes]) -> None:
        while chunk := os.read(pipe.fileno(), 65536):
            text = chunk.decode(errors="replace")
            if stream == "stderr":
                running.last_lines.extend(text.splitlines())
            with suppress(OSError):  # that the launcher is gone is noticed elsewhere; the pipe must not fill up
                self._send(Output(stream, text))

    def _signal(self, number: int, patience: float) -> None:
        deadline = time.monotonic() + patience
        # A second wish to stop may shorten the time, and never lengthens it.
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)
        for running in self._running:
            _signal_group(running.process, number)

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _collect(self, quietly: bool = False) -> None:
        """Reports the processes that have ended, and ends those whose time is over."""
        if self._is_late():
            for running in self._running:
                _signal_group(running.process, signal.SIGKILL)
        for running in list(self._running):
            if not _has_ended(running.process):
                continue
            _signal_group(running.process, signal.SIGKILL)  # what it started itself
            code = running.process.wait()
            self._running.remove(running)
            for reader in running.readers:
                reader.join(timeout=1.0)
            if not quietly:
                self._tell(Ended(running.name, code, _last_lines(running), time.monotonic() - self._began))

    def _tell(self, message: Message) -> None:
        try:
            self._send(message)
        except OSError:
            raise _LauncherGoneError from None

    def _kill(self) -> None:
        for running in self._running:
            _signal_group(running.process, signal.SIGKILL)


class _LauncherGoneError(Exception):
    """Nobody listens any more."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    # Its session was made for it alone, so that its number names it and its children and nobody else.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, without taking its number from it: until then nobody else can have it."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _is_halted(process: subprocess.Popen[bytes]) -> bool:
    """Whether the system has halted it; its state stands behind its name, which may hold anything."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except (OSError, IndexError):
        return False


def _last_lines(running: _Running) -> tuple[str, ...]:
    if running.log is None:
        return tuple(running.last_lines)
    try:
        with running.log.open("rb") as stream:
            stream.seek(max(0, running.log.stat().st_size - 65536))
            return tuple(stream.read().decode(errors="replace").splitlines()[-LAST_LINES:])
    except OSError:
        return ()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Serves one job on standard input and output."""
    # What a process or a library prints must not come between the messages: they keep a descriptor of their own.
    messages = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lock = threading.Lock()

    def receive() -> Message | None:
        for line in sys.stdin.buffer:
            message = decode(line)
            if message is not None:
                return message
        return None

    def send(message: Message) -> None:
        with lock:
            messages.write(encode(message))

    # The terminal's signals are the launcher's to pass on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Agent(receive, send).serve()


if __name__ == "__main__":
    main()
