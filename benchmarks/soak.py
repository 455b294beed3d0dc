"""Trains and evaluates for a given time on one backend, and watches memory and open files of the process.

One run goes on and on, evaluates and writes checkpoints on its way, and is stopped by SIGUSR1 when the time is over; so
a leak of any step, evaluation or checkpoint shows. The first third of the time is warm-up, in which buffers grow to
their size and MindSpore compiles. The slope is that of a straight line through what came later, by Theil and Sen (the
median of the slopes between all pairs of samples), which single peaks do not move.

What is resident is what the C library has given out and what it keeps: only the first can leak, the second moves with
the sizes of the batches.

    python -m benchmarks.soak --backend torch --data GLUE_DIR/RTE --model MODEL --minutes 60
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import os
import signal
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import bertcore
from bertcore.engine.interrupt import Interrupted

PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 5.0
"""Seconds between two samples."""


@dataclass(frozen=True)
class Sample:
    """The process at one moment.

    Attributes:
        seconds: since the beginning.
        resident: bytes in memory.
        given_out: bytes that malloc has given out and not taken back.
        kept: bytes that malloc has taken back and not returned to the system.
        files: open file handles.
        threads: threads.
    """

    seconds: float
    resident: int
    given_out: int
    kept: int
    files: int
    threads: int


class _Mallinfo2(ctypes.Structure):
    """That of glibc."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in _names]


def look(started: float) -> Sample:
    """Takes a sample of this process."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    files, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    malloc = mallinfo2()
    given_out = malloc.uordblks + malloc.hblkhd
    return Sample(time.monotonic() - started, resident * PAGE, given_out, malloc.fordblks, files, threads)


def watch(minutes: float, samples: list[Sample]) -> None:
    """Samples this process until the time is over, and asks it to stop then."""
    started = time.monotonic()
    while time.monotonic() - started < 60 * minutes:
        samples.append(look(started))
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGUSR1)


def slope(samples: list[Sample], name: str) -> float:
    """Of one of the values, an hour."""
    thinned = samples[:: max(1, len(samples) // 400)]
    pairs = itertools.combinations(thinned, 2)
    return 3600 * statistics.median((getattr(b, name) - getattr(a, name)) / (b.seconds - a.seconds) for a, b in pairs)


def describe(samples: list[Sample]) -> None:
    """Prints the medians of each sixth of the time, and the slopes without the first two."""
    later = samples[len(samples) // 3 :]
    for name in ("resident", "given_out", "kept"):
        values = [getattr(sample, name) / 2**20 for sample in samples]
        sixths = [values[len(values) * part // 6 : len(values) * (part + 1) // 6] for part in range(6)]
        medians = " ".join(f"{statistics.median(part):.0f}" for part in sixths)
        print(f"{name}: {medians} MiB, slope {slope(later, name) / 2**20:+.1f} MiB an hour")
    for name in ("files", "threads"):
        values = [getattr(sample, name) for sample in later]
        print(f"{name}: {values[0]} after a third of the time, {values[-1]} at the end, at most {max(values)}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of GLUE's RTE")
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args()
    settings = {
        "train.max_steps": 10**7,
        "train.batch_size": 8,
        "train.evaluate_steps": 100,
        "train.save_steps": 100,
        "train.log_steps": 100,
        "data.max_length": 128,
    }
    samples: list[Sample] = []
    watching = threading.Thread(target=watch, args=(arguments.minutes, samples), daemon=True)
    with tempfile.TemporaryDirectory() as folder:
        run = {"task": "rte", "backend": arguments.backend, "model": arguments.model, "data": arguments.data}
        watching.start()
        try:
            bertcore.run(**run, output=Path(folder) / "run", settings=settings)
        except Interrupted as stop:
            print(stop.cause)
        evaluations = (Path(folder) / "run" / "run.log").read_text().count("dev at step")
    print(f"{arguments.minutes:g} minutes on {arguments.backend}, {evaluations} evaluations, as many checkpoints")
    describe(samples)


if __name__ == "__main__":
    main()
