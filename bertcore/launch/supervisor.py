"""Runs a job on agents, and ends all of it when a part of it fails.

What the user reads is the first failure: of several processes that end at once the one that was killed, since the
others end because they lost it.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Any

from bertcore.contracts.ranks import LOST_OTHERS
from bertcore.launch.attendance import Attendance
from bertcore.launch.failures import TO_BLAME, Failure, Outcome, first_failure
from bertcore.launch.messages import (
    BEAT,
    SILENCE,
    Alive,
    Ended,
    Job,
    Message,
    Output,
    Stop,
    decode,
    encode,
)

AFTER_A_FAILURE = 1.0
"""Seconds that the other processes have to end; they wait for one that is gone, and cannot go on."""

_TICK = 0.2


@dataclass(frozen=True)
class AgentCommand:
    """How the agent of a host is started.

    Attributes:
        host: its name, for messages.
        command: program and arguments.
        job: what it is told to do.
    """

    host: str
    command: Sequence[str]
    job: Job


@dataclass
class _Connection:
    """An agent, while it works."""

    host: str
    process: subprocess.Popen[bytes]
    waiting: set[str]
    heard: float
    errors: list[str] = field(default_factory=list)
    gone: bool = False

    def send(self, message: Message) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # its end is noticed by its silence, and told of with its reason
            self.process.stdin.write(encode(message))
            self.process.stdin.flush()


class Supervisor:
    """Runs one job.

    Args:
        agents: of each host.
        patience: seconds that the processes have to end when the user stops the job, which for a run is a step and a
            checkpoint.
        show: takes what the processes that are shown write: the stream's name and the text.
        limit: seconds that the others may wait for a process; None for a limit that follows from the run's own steps.
    """

    def __init__(
        self,
        agents: Sequence[AgentCommand],
        patience: float,
        show: Callable[[str, str], None] | None = None,
        limit: float | None = None,
    ) -> None:
        self._attendance = Attendance(limit)
        self._agents = agents
        self._patience = patience
        self._show = show or _to_own_streams
        self._inbox: queue.Queue[tuple[_Connection, Message | None]] = queue.Queue()
        self._connections: list[_Connection] = []
        self._failures: list[Failure] = []
        self._codes: dict[str, int] = {}
        self._stopped: int | None = None
        self._stop_at: float | None = None
        self._signalled: list[int] = []
        self._began = time.monotonic()

    def run(self) -> Outcome:
        """Returns when every process of the job has ended, on every host that can be reached."""
        with self._signals():
            try:
                self._connections = [self._connect(agent) for agent in self._agents]
                beat = 0.0
                while any(not connection.gone for connection in self._connections):
                    self._handle_next()
                    self._pass_on()
                    self._stop_others()
                    if time.monotonic() - beat >= BEAT:
                        beat = time.monotonic()
                        self._send_all(Alive())
                        self._look_for_silence()
                        self._look_for_absent()
            finally:
                self._leave_nothing()
        failure = None if self._stopped is not None else first_failure(self._failures)
        return Outcome(failure, self._stopped, self._codes)

    def _connect(self, agent: AgentCommand) -> _Connection:
        process = subprocess.Popen(
            agent.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        names = {started.name for started in agent.job.processes}
        connection = _Connection(agent.host, process, names, time.monotonic())
        connection.send(agent.job)
        assert process.stdout is not None
        assert process.stderr is not None
        for target, pipe in ((self._listen, process.stdout), (_keep_lines, process.stderr)):
            threading.Thread(target=target, args=(connection, pipe), daemon=True).start()
        return connection

    def _listen(self, connection: _Connection, pipe: IO[bytes]) -> None:
        for line in pipe:
            message = decode(line)
            if message is not None:
                self._inbox.put((connection, message))
        self._inbox.put((connection, None))

    def _handle_next(self) -> None:
        try:
            connection, message = self._inbox.get(timeout=_TICK)
        except queue.Empty:
            return
        connection.heard = time.monotonic()
        if isinstance(message, Alive):
            self._attendance.saw(message.arrivals, message.stopped)
        elif isinstance(message, Output):
            self._show(message.stream, message.text)
        elif isinstance(message, Ended):
            self._end(connection, message)
        elif message is None and not connection.gone:
            connection.gone = True
            if connection.waiting:
                self._lose(connection)

    def _end(self, connection: _Connection, ended: Ended) -> None:
        connection.waiting.discard(ended.name)
        self._codes[ended.name] = ended.code
        if ended.code != 0:
            seconds = time.monotonic() - self._began
            self._fail(Failure(connection.host, ended.name, ended.code, ended.last_lines, seconds))

    def _lose(self, connection: _Connection) -> None:
        self._fail(Failure(connection.host, "", None, tuple(connection.errors[-5:]), time.monotonic() - self._began))

    def _fail(self, failure: Failure) -> None:
        self._failures.append(failure)
        # Who fails by an error of its own may not be the only one: rank 0 then says the same, and better.
        has_spoken = failure.code is not None and failure.code > 0
        if self._stopped is None:
            delay = TO_BLAME if has_spoken else 0.0
            if failure.code == LOST_OTHERS:  # the reason is still to come, at the latest when a host has been silent
                delay = SILENCE + BEAT
            at = time.monotonic() + delay
            self._stop_at = at if self._stop_at is None else min(at, self._stop_at)

    def _stop_others(self) -> None:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self._stop_at = float("inf")
            self._send_all(Stop(signal.SIGTERM, AFTER_A_FAILURE))

    def _look_for_silence(self) -> None:
        for connection in self._connections:
            if not connection.gone and time.monotonic() - connection.heard > SILENCE:
                connection.gone = True
                connection.errors.append(f"no sign of life for {SILENCE:.0f} s")
                self._lose(connection)
                connection.process.kill()

    def _look_for_absent(self) -> None:
        if self._stop_at == float("inf") or self._stopped is not None:
            return
        hosts = {name: connection.host for connection in self._connections for name in connection.waiting}
        found = self._attendance.absent(hosts)
        if found is not None:
            name, waited = found
            self._fail(Failure(hosts[name], name, None, (), time.monotonic() - self._began, absent=waited))

    def _send_all(self, message: Message) -> None:
        for connection in self._connections:
            if not connection.gone:
                connection.send(message)

    def _leave_nothing(self) -> None:
        """Lets go of the agents: each ends what it started when its pipe closes."""
        for connection in self._connections:
            assert connection.process.stdin is not None
            with suppress(OSError):
                connection.process.stdin.close()
        for connection in self._connections:
            try:
                connection.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                connection.process.kill()
                connection.process.wait()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Passes Ctrl-C, SIGTERM and SIGUSR1 on: the first asks, the second makes the processes end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        previous: dict[int, Any] = {number: signal.signal(number, self._keep) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self._signalled.append(number)  # and nothing else: the loop may be writing to an agent at this moment

    def _pass_on(self) -> None:
        while self._signalled:
            number = self._signalled.pop(0)
            patience = self._patience if self._stopped is None else 0.0
            self._stopped = self._stopped or number
            self._send_all(Stop(number, patience))


def _keep_lines(connection: _Connection, pipe: IO[bytes]) -> None:
    for line in pipe:
        connection.errors.append(line.decode(errors="replace").rstrip())
        del connection.errors[:-50]


def _to_own_streams(stream: str, text: str) -> None:
    # Not sys.stdout, which a command may have turned to standard error to keep it for its result: this is the result.
    with suppress(OSError):
        os.write(1 if stream == "stdout" else 2, text.encode(errors="replace"))
