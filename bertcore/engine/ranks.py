"""Which rank this process is, as whoever started it says in the environment.

bertcore's own launcher says it as ``torchrun`` does. Of the others each has variables of its own::

    torchrun, bertcore    RANK             WORLD_SIZE            LOCAL_RANK             MASTER_ADDR     MASTER_PORT
    msrun                 MS_NODE_ID       MS_WORKER_NUM         DEVICE_ID              MS_SCHED_HOST   MS_SCHED_PORT
    mpirun (Open MPI)     OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE
    mpirun (MPICH)        PMI_RANK         PMI_SIZE              MPI_LOCALRANKID
    srun                  SLURM_PROCID     SLURM_STEP_NUM_TASKS  SLURM_LOCALID          the first of SLURM_STEP_NODELIST
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.errors import UsageError

DEFAULT_PORT = 29500
TIMEOUT = 1800.0
"""Seconds that ranks wait for each other where nobody said otherwise; as torch's default for Gloo."""

TIMEOUT_VARIABLE = "BERTCORE_RANK_TIMEOUT"


@dataclass(frozen=True)
class _Launcher:
    """The variables by which a launcher tells a process who it is; empty where it says nothing.

    Attributes:
        name: of the command.
        rank, size, local_rank, local_size: of :class:`Ranks`.
        address, port: where the processes meet.
        job: names the job, so that two on one machine do not meet at one port.
    """

    name: str
    rank: str
    size: str
    local_rank: str = ""
    local_size: str = ""
    address: str = "MASTER_ADDR"
    port: str = "MASTER_PORT"
    job: str = ""


_LAUNCHERS = (
    # msrun comes before those whose variables it may have been started under.
    _Launcher("msrun", "MS_NODE_ID", "MS_WORKER_NUM", "DEVICE_ID", address="MS_SCHED_HOST", port="MS_SCHED_PORT"),
    _Launcher("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    _Launcher(
        "mpirun",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        job="PMIX_NAMESPACE",
    ),
    _Launcher("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", job="SLURM_JOB_ID"),
    # MPICH and Intel MPI.
    _Launcher("mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def this_rank(environment: Mapping[str, str] | None = None) -> Ranks:
    """Reads from the environment which of how many processes this one is.

    Args:
        environment: by default that of this process.

    Raises:
        UsageError: a launcher says it only in part.
    """
    variables = os.environ if environment is None else environment
    for launcher in _LAUNCHERS:
        size = variables.get(launcher.size, "")
        # WORLD_SIZE alone may be anybody's variable.
        if launcher.rank in variables and size.isdecimal() and int(size) > 1:
            return _ranks(launcher, int(size), variables)
    return ALONE


def _ranks(launcher: _Launcher, size: int, variables: Mapping[str, str]) -> Ranks:
    rank = _number(launcher, launcher.rank, variables)
    if rank >= size:
        raise _wrong(launcher, f"{launcher.rank}={rank} is none of {launcher.size}={size} processes")
    local_rank = _number(launcher, launcher.local_rank, variables, rank)
    local_size = _local_size(launcher, size, variables)
    address = variables.get(launcher.address) or _address(launcher, size, local_size, variables)
    port = variables.get(launcher.port) or str(_port(launcher, variables))
    if not port.isdecimal() or not 0 < int(port) < 65535:
        raise _wrong(launcher, f"{launcher.port or 'MASTER_PORT'}={port} is no port")
    ranks = Ranks(
        rank=rank,
        size=size,
        local_rank=local_rank,
        local_size=local_size,
        device=_number(launcher, "BERTCORE_DEVICE", variables, local_rank),
        address=address,
        port=int(port) + (launcher.name == "msrun"),  # at the port itself listens msrun's scheduler
        timeout=_timeout(variables),
        started_by=launcher.name,
    )
    return replace(ranks, interface=interface_towards(address))


def _local_size(launcher: _Launcher, size: int, variables: Mapping[str, str]) -> int:
    if launcher.name == "srun":
        # As 4, or 4(x2),3 where hosts differ; the first is that of the most.
        counts = re.findall(r"\d+", variables.get("SLURM_STEP_TASKS_PER_NODE", ""))
        return int(counts[0]) if counts else size
    return _number(launcher, launcher.local_size, variables, size)


def _address(launcher: _Launcher, size: int, local_size: int, variables: Mapping[str, str]) -> str:
    """Where the first process runs, which mpirun does not say."""
    if launcher.name == "srun" and variables.get("SLURM_STEP_NODELIST"):
        return first_of_nodelist(variables["SLURM_STEP_NODELIST"])
    if local_size == size:
        return "127.0.0.1"
    raise UsageError(
        f"{launcher.name} started {size} processes on several hosts, and does not say where the first one runs",
        f"name its host: {launcher.name} -x MASTER_ADDR=HOST ...",
        code="processes-wrong",
    )


def first_of_nodelist(text: str) -> str:
    """The first host of a list as Slurm writes it: ``node[03-07,9],other`` gives ``node03``."""
    match = re.match(r"([^,\[]+)(?:\[([^\],-]+))?", text)
    return text if match is None else match.group(1) + (match.group(2) or "")


def _port(launcher: _Launcher, variables: Mapping[str, str]) -> int:
    """The same in all processes of a job, and another one in another job."""
    number = sum(variables.get(launcher.job, "").encode()) if launcher.job else 0
    return DEFAULT_PORT + 2 * (number % 5000)


def _timeout(variables: Mapping[str, str]) -> float:
    text = variables.get(TIMEOUT_VARIABLE, "")
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) > 0 else TIMEOUT


def _number(launcher: _Launcher, name: str, variables: Mapping[str, str], default: int | None = None) -> int:
    text = variables.get(name, "") if name else ""
    if not text and default is not None:
        return default
    if not text.isdecimal():
        raise _wrong(launcher, f"{name}={text} is no number" if text else f"{name} is not set")
    return int(text)


def _wrong(launcher: _Launcher, problem: str) -> UsageError:
    return UsageError(
        f"started by {launcher.name} as one of several processes ({launcher.size}), but {problem}",
        f"start it by {launcher.name} itself, or unset {launcher.size}",
        code="processes-wrong",
    )


def interface_towards(address: str) -> str:
    """Name of the network interface through which this machine reaches an address; empty where nobody knows.

    No packet is sent: choosing a route is what ``connect`` of a datagram socket does.
    """
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)
            own = str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""
    return _interfaces().get(own, "")


def _interfaces() -> dict[str, str]:
    """Address of each interface of this machine to its name; empty where the system is not Linux."""
    found: dict[str, str] = {}
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                request = name.encode()[:15].ljust(256, b"\0")
                try:
                    answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                except OSError:  # it has no address of this kind
                    continue
                found[socket.inet_ntoa(answer[20:24])] = name
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, *_, name = line.split()
            found[socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))] = name
    except (ImportError, OSError, ValueError):
        return found
    return found


_SIOCGIFADDR = 0x8915
