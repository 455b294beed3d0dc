"""What launcher and agents tell each other: one JSON object a line, over the pipes of the agent's process.

::

    launcher                          agent on a host                    processes
       | -- Job ------------------------> |  starts them  ----------------> rank 0, rank 1
       | <-- Started -------------------- |
       | -- Alive (every second) -------> |   without one for a while, or with the pipe closed, it ends them
       | <-- Alive (every second) ------- |   without one for a while, the launcher takes the host for lost
       | -- Stop -----------------------> |  signals them ---------------->
       | <-- Output, Ended -------------- | <------------------------------- lines of rank 0, exit codes

Over ssh a host that is cut off sends no end of file, so silence counts as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

BEAT = 1.0
"""Seconds between two signs of life."""

SILENCE = 15.0
"""Seconds without one after which the other side counts as lost."""


@dataclass(frozen=True)
class Process:
    """A process that an agent is to start.

    Attributes:
        name: as ``rank 3``, for messages.
        command: program and arguments.
        environment: variables on top of the agent's own.
        log: file that takes its output; None to hand the output on.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: str | None = None


@dataclass(frozen=True)
class Job:
    """The first message to an agent.

    Attributes:
        folder: working folder of the processes.
        processes: of this host.
        patience: seconds from a signal that asks a process to end to the one that makes it.
    """

    folder: str
    processes: tuple[Process, ...]
    patience: float


@dataclass(frozen=True)
class Stop:
    """Ask all processes to end.

    Attributes:
        signal: number of the signal.
        patience: seconds that they have for it.
    """

    signal: int
    patience: float


@dataclass(frozen=True)
class Alive:
    """A sign of life.

    Attributes:
        arrivals: of an agent, the count of each of its processes; see :mod:`bertcore.files.arrivals`.
        stopped: processes that the system has halted, as SIGSTOP does.
    """

    arrivals: Mapping[str, int] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """A process runs.

    Attributes:
        name: of the process.
        process: its number on its host.
    """

    name: str
    process: int


@dataclass(frozen=True)
class Output:
    """Something that a process wrote.

    Attributes:
        stream: ``stdout`` or ``stderr``.
        text: what.
    """

    stream: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A process has ended.

    Attributes:
        name: of the process.
        code: exit code, negative for the number of a signal.
        last_lines: of its standard error or log.
        seconds: since the start of the job on this host.
    """

    name: str
    code: int
    last_lines: tuple[str, ...]
    seconds: float


Message = Job | Stop | Alive | Started | Output | Ended

_KINDS: Mapping[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Job, Stop, Alive, Started, Output, Ended)}


def encode(message: Message) -> bytes:
    """A message as a line."""
    return json.dumps({"kind": type(message).__name__.lower(), **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message | None:
    """The message of a line; None where it is none, as what a shell on the other host printed of its own."""
    try:
        values = json.loads(line)
        kind = _KINDS[values.pop("kind")]
        if kind is Job:
            values["processes"] = tuple(
                Process(**{**process, "command": tuple(process["command"])}) for process in values["processes"]
            )
        if kind is Ended:
            values["last_lines"] = tuple(values["last_lines"])
        if kind is Alive:
            values["stopped"] = tuple(values["stopped"])
        message: Message = kind(**values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return message
