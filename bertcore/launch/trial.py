"""``python -m bertcore.launch.trial BACKEND DEVICE``: what each rank of ``bertcore doctor --hostfile`` does."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from bertcore.config import RunConfig
from bertcore.contracts.backend import Backend
from bertcore.engine.compute_target import choose_target
from bertcore.engine.ranks import this_rank
from bertcore.plugins.registry import Registry

VALUES = 4 * 2**20
REPETITIONS = 5


def sum_over_ranks(backend: Backend, device: str) -> tuple[bool, float]:
    """Adds up an array over all ranks some times.

    Returns:
        Whether the sum was right, and the median of the seconds that it took.
    """
    ranks = this_rank()
    values = np.arange(VALUES, dtype=np.float32) % 1024 + ranks.rank
    expected = (np.arange(VALUES, dtype=np.float32) % 1024) * ranks.size + ranks.size * (ranks.size - 1) / 2
    right, seconds = True, []
    for _ in range(REPETITIONS + 1):
        started = time.perf_counter()
        total = backend.sum_over_ranks(ranks, device, values)
        seconds.append(time.perf_counter() - started)
        right = right and bool(np.array_equal(total, expected))
    return right, statistics.median(seconds[1:])  # the first one connects


def main(arguments: Sequence[str]) -> int:
    """Prints a line on the first rank; returns 0 where the sum was right."""
    name, device = arguments
    registry, ranks = Registry(), this_rank()
    target = choose_target(RunConfig.model_validate({"backend": name, "run": {"device": device}}), registry, ranks)
    right, seconds = sum_over_ranks(target.backend, target.device)
    if ranks.is_first:
        rate = VALUES * 4 / seconds / 1e6
        outcome = "right" if right else "wrong"
        print(
            f"{name}: a sum of {VALUES * 4 // 2**20} MiB over {ranks.size} ranks on {target.device}: {outcome}, "
            f"{seconds * 1000:.1f} ms, {rate:.0f} MB/s",
            flush=True,
        )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
