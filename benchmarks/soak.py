"""Trains and evaluates for a given time on one backend, and watches memory and open files of the process.

One run goes on and on, evaluates and writes checkpoints on its way, and is stopped by SIGUSR1 when the time is over; so
a leak of any step, evaluation or checkpoint shows. The first third of the time is warm-up, in which buffers grow to
their size and MindSpore compiles. The slope is that of a straight line through what came later, by Theil and Sen (the
median of the slopes between all pairs of samples), which single peaks do not move.

    python benchmarks/soak.py --backend torch --data GLUE_DIR/RTE --model MODEL --minutes 60
"""

from __future__ import annotations

import argparse
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
        memory: bytes that are resident.
        files: open file handles.
        threads: threads.
    """

    seconds: float
    memory: int
    files: int
    threads: int


def watch(minutes: float, samples: list[Sample]) -> None:
    """Samples this process until the time is over, and asks it to stop then."""
    started = time.monotonic()
    while (seconds := time.monotonic() - started) < 60 * minutes:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        files, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
        samples.append(Sample(seconds, resident * PAGE, files, threads))
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGUSR1)


def slope(samples: list[Sample]) -> float:
    """Bytes an hour."""
    thinned = samples[:: max(1, len(samples) // 200)]
    pairs = itertools.combinations(thinned, 2)
    return 3600 * statistics.median((b.memory - a.memory) / (b.seconds - a.seconds) for a, b in pairs)


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
    later = samples[len(samples) // 3 :]
    mebibytes = [sample.memory / 2**20 for sample in later]
    print(f"{arguments.minutes:g} minutes on {arguments.backend}, {evaluations} evaluations, as many checkpoints")
    print(f"memory {mebibytes[0]:.0f} MiB after a third of the time, {mebibytes[-1]:.0f} at the end, slope", end=" ")
    print(f"{slope(later) / 2**20:+.1f} MiB an hour")
    for name in ("files", "threads"):
        values = [getattr(sample, name) for sample in later]
        print(f"{name}: {values[0]} after a third of the time, {values[-1]} at the end, at most {max(values)}")


if __name__ == "__main__":
    main()
