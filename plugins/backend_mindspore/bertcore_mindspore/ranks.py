"""The other ranks of a run: sums of tensors between them, and bytes from each to all.

A process joins once, whatever the number of its sessions. MindSpore's processes meet at one more, its scheduler; where
``msrun`` has not started one, the first rank does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mindspore
import mindspore.communication
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from bertcore.contracts.ranks import Ranks
from bertcore.errors import DeviceError
from bertcore.files.arrivals import Arrivals

_LIBRARIES = {"CPU": "mccl", "GPU": "nccl", "Ascend": "hccl"}


class Communicator:
    """What a rank shares with the others.

    Args:
        ranks: which of how many this process is.
        target: the device as ``mindspore.set_device`` knows it.

    Raises:
        DeviceError: the others did not come, or the port where they meet is taken.
    """

    def __init__(self, ranks: Ranks, target: str) -> None:
        self._ranks = ranks
        self._arrivals = Arrivals.from_environment()
        if "MS_ROLE" not in os.environ:  # msrun has started a scheduler, and told where
            place = _scheduler_place(ranks)
            if ranks.is_first:
                ranks.refuse_taken_port(ranks.port + 1)
                _start_scheduler(place)
            os.environ.update({**place, "MS_ROLE": "MS_WORKER", "MS_NODE_ID": str(ranks.rank)})
        with self.meeting("did not all come"):
            mindspore.communication.init(_LIBRARIES[target])
        self._sum = ops.AllReduce()
        self._gather = ops.AllGather()

    def sum(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Adds up an array over all ranks; all of them get the same bits."""
        with self.meeting("were lost"):
            total: NDArray[np.float32] = self._sum(Tensor(values)).asnumpy()
        return total

    def exchange(self, content: bytes) -> list[bytes]:
        """Gives something to all ranks, and returns what each of them gave."""
        with self.meeting("were lost"):
            sizes = self._gather(Tensor(np.array([len(content)], dtype=np.int32))).asnumpy()
            words = (int(sizes.max()) + 3) // 4
            if not words:
                return [b""] * self._ranks.size
            padded = np.frombuffer(content.ljust(4 * words, b"\0"), dtype=np.int32)
            received = self._gather(Tensor(padded)).asnumpy().reshape(self._ranks.size, words)
        return [values.tobytes()[:size] for values, size in zip(received, sizes, strict=True)]

    @contextmanager
    def meeting(self, problem: str) -> Iterator[None]:
        """Around whatever waits for the other ranks.

        Raises:
            DeviceError: they are lost.
        """
        self._arrivals.arrive()
        try:
            yield
            self._arrivals.leave()
        except RuntimeError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DeviceError(
                f"the other ranks {problem}: {reason[:300]}",
                "the first rank that failed says why; go on with --resume",
                code="ranks-lost",
            ) from None


_joined: Communicator | None = None


def join(ranks: Ranks, target: str) -> Communicator | None:
    """Joins the other ranks, once for a process; None of a process alone.

    Raises:
        DeviceError: the others did not come.
    """
    global _joined
    if not ranks.is_alone and _joined is None:
        _joined = Communicator(ranks, target)
    return None if ranks.is_alone else _joined


def _scheduler_place(ranks: Ranks) -> dict[str, str]:
    return {
        "MS_WORKER_NUM": str(ranks.size),
        "MS_SCHED_HOST": ranks.address,
        # The port itself is that of whoever started the processes: torchrun's store listens there.
        "MS_SCHED_PORT": str(ranks.port + 1),
        "MS_TOPO_TIMEOUT": str(max(1, round(ranks.timeout))),
    }


def _start_scheduler(place: Mapping[str, str]) -> None:
    """Starts the process at which all others meet; it ends when they have left, and soon after this one."""
    subprocess.Popen(
        [sys.executable, "-m", "bertcore_mindspore.scheduler", str(os.getpid())],
        env={**os.environ, **place, "MS_ROLE": "MS_SCHED"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
