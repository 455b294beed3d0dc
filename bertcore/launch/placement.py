"""Which process computes where, and how it is told so: by the variables of ``torchrun``.

::

    host a, devices 0 1    rank 0  local 0        host b, device 0    rank 2  local 0
                           rank 1  local 1

MindSpore's processes take the same ones (:mod:`bertcore.engine.ranks`), so that one launcher serves all backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcore.contracts.ranks import JOB_VARIABLE
from bertcore.engine.ranks import TIMEOUT_VARIABLE
from bertcore.launch.hostfile import Host


@dataclass(frozen=True)
class Placement:
    """One process of a job.

    Attributes:
        rank: among all, from 0; the hosts one after the other.
        host: number of its host.
        local_rank: among those of its host.
        device: number of the device on its host.
    """

    rank: int
    host: int
    local_rank: int
    device: int


@dataclass(frozen=True)
class MeetingPoint:
    """Where the processes of a job find each other.

    Attributes:
        address: of the first host, as the others reach it.
        port: there; the next one is free, too.
    """

    address: str
    port: int


def placements(hosts: Sequence[Host]) -> list[Placement]:
    """All processes, in the order of their ranks."""
    places = [
        (number, local_rank, device)
        for number, host in enumerate(hosts)
        for local_rank, device in enumerate(host.devices)
    ]
    return [Placement(rank, *place) for rank, place in enumerate(places)]


def environment(placement: Placement, hosts: Sequence[Host], point: MeetingPoint, timeout: float) -> dict[str, str]:
    """The variables of a process.

    Args:
        placement: of the process.
        hosts: all of them.
        point: where the processes meet.
        timeout: seconds that a process waits for the others.
    """
    return {
        "RANK": str(placement.rank),
        "WORLD_SIZE": str(sum(host.slots for host in hosts)),
        "LOCAL_RANK": str(placement.local_rank),
        "LOCAL_WORLD_SIZE": str(hosts[placement.host].slots),
        "MASTER_ADDR": point.address,
        "MASTER_PORT": str(point.port),
        "BERTCORE_DEVICE": str(placement.device),
        TIMEOUT_VARIABLE: f"{timeout:g}",
        JOB_VARIABLE: "1",
    }
