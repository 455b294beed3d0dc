"""Ranks: processes that train one run together, each of them on its part of every step.

What the ranks give each other is little, and the same for every backend::

    a step          the sum of all gradients and of all loss sums; each rank then makes the same update
    a prediction    every rank's outputs, by :meth:`~bertcore.contracts.backend.Session.exchange`

Everything else each rank knows by itself: all of them read the same configuration and the same data, and what is drawn
by chance is a function of the seed.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from bertcore.errors import DeviceError

JOB_VARIABLE = "BERTCORE_JOB"
"""Environment variable that is set in every process of a job that bertcore launched."""


LOST_OTHERS = 75
"""Exit code of such a process where it failed only because it lost the others: what started it tells why."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        rank: number of this process, from 0; the first one writes the run folder and speaks to the user.
        size: how many processes there are.
        local_rank: number of this process among those of its machine.
        local_size: how many there are on this machine.
        device: number of the device of its machine that it computes on.
        address: host at which the processes meet, that of the first one.
        port: there; a backend that needs a second one takes the next.
        interface: network interface through which that host is reached; empty where nobody knows.
        timeout: seconds that a process waits for the others, at the beginning and in every step.
        started_by: name of what started the processes, for messages.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    device: int = 0
    address: str = "127.0.0.1"
    port: int = 29500
    interface: str = ""
    timeout: float = 1800.0
    started_by: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run folder and speaks to the user."""
        return self.rank == 0

    def refuse_taken_port(self, port: int) -> None:
        """Called by the first process before it listens, since frameworks wait long or blame the other processes.

        Args:
            port: of this host.

        Raises:
            DeviceError: another program listens there.
        """
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that were closed take nothing
            try:
                trial.bind(("", port))
                return
            except OSError as error:
                reason = error.strerror
        raise DeviceError(
            f"the processes cannot meet at port {port} of {self.address}: {reason}",
            "start again, which takes another one"
            if JOB_VARIABLE in os.environ
            else "set MASTER_PORT (msrun: --master_port) to another one",
            code="port-taken",
        )


ALONE = Ranks()
"""A run of one process."""
