"""The other ranks of a run: sums of tensors between them, and bytes from each to all.

A process joins once, whatever the number of its sessions. Sums go through NCCL or HCCL on an accelerator and Gloo on a
CPU; bytes always through Gloo, so that they do not wait for a device.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as distributed
from bertcore.contracts.ranks import Ranks
from bertcore.errors import DeviceError
from bertcore.files.arrivals import Arrivals
from torch import Tensor

_LIBRARIES = {"cuda": "cpu:gloo,cuda:nccl", "npu": "cpu:gloo,npu:hccl"}


class Communicator:
    """What a rank shares with the others.

    Args:
        ranks: which of how many this process is.
        device: what it computes on.

    Raises:
        DeviceError: the others did not come, or the port where they meet is taken.
    """

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        self._ranks = ranks
        self._arrivals = Arrivals.from_environment()
        # What torchrun has set stays: it keeps a store of its own.
        os.environ.setdefault("MASTER_ADDR", ranks.address)
        os.environ.setdefault("MASTER_PORT", str(ranks.port))
        if ranks.interface:
            # Left alone, Gloo asks for the address of the host name, which often is one that only the host itself has.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", ranks.interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", ranks.interface)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # torchrun keeps a store of its own at this port.
        if ranks.is_first and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            ranks.refuse_taken_port(ranks.port)
        with self._meeting("did not all come"):
            distributed.init_process_group(
                _LIBRARIES.get(device.type, "gloo"),
                "env://",
                timeout=timedelta(seconds=ranks.timeout),
                rank=ranks.rank,
                world_size=ranks.size,
            )
        atexit.register(self._leave)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Adds up each tensor over all ranks, in place; all of them get the same bits."""
        with self._meeting("were lost"):
            works = [distributed.all_reduce(tensor, async_op=True) for tensor in tensors if tensor.numel()]
            for work in works:
                work.wait()

    def exchange(self, content: bytes) -> list[bytes]:
        """Gives something to all ranks, and returns what each of them gave."""
        with self._meeting("were lost"):
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self._ranks.size)]
            distributed.all_gather(sizes, torch.tensor([len(content)]))
            longest = max(int(size) for size in sizes)
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(content)] = torch.from_numpy(np.frombuffer(bytearray(content), dtype=np.uint8))
            received = [torch.empty_like(padded) for _ in sizes]
            if longest:
                distributed.all_gather(received, padded)
        return [values[: int(size)].numpy().tobytes() for values, size in zip(received, sizes, strict=True)]

    @contextmanager
    def _meeting(self, problem: str) -> Iterator[None]:
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

    def _leave(self) -> None:
        if distributed.is_initialized():
            distributed.destroy_process_group()


_joined: Communicator | None = None


def join(ranks: Ranks, device: torch.device) -> Communicator | None:
    """Joins the other ranks, once for a process; None of a process alone.

    Raises:
        DeviceError: the others did not come.
    """
    global _joined
    if not ranks.is_alone and _joined is None:
        _joined = Communicator(ranks, device)
    return None if ranks.is_alone else _joined
