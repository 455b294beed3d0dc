"""Which share of a run is spent on writing checkpoints, and what of it another thread could take over.

A checkpoint is copied out of the session (which a thread could not do, for the parameters change), and written: files,
checksums, and the wait for the disk. Shown are medians, and the share of an epoch of RTE, after which a run writes one.

    python -m benchmarks.checkpoint_share --data GLUE_DIR/RTE --model MODEL --checkpoints 8
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bertcore
from bertcore.engine import seed_run
from bertcore.engine.training import Trainer


def timed(seconds: list[float], call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose seconds are noted."""

    def with_clock(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            seconds.append(time.perf_counter() - started)

    return with_clock


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of GLUE's RTE")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    steps: list[float] = []
    writing: list[float] = []
    whole: list[float] = []
    Trainer._step = timed(steps, Trainer._step)  # type: ignore[method-assign]
    Trainer._save_checkpoint = timed(whole, Trainer._save_checkpoint)  # type: ignore[method-assign]
    seed_run.save_checkpoint = timed(writing, seed_run.save_checkpoint)
    settings = {
        "train.max_steps": 4 * arguments.checkpoints,
        "train.stop_after": 4 * arguments.checkpoints - 1,
        "train.batch_size": arguments.batch_size,
        "train.save_steps": 4,
        "train.evaluate_steps": 10**6,
    }
    with tempfile.TemporaryDirectory(dir=".") as folder:  # not in memory, as /tmp may be
        run = {"task": "rte", "backend": "torch", "model": arguments.model, "data": arguments.data}
        bertcore.run(**run, output=Path(folder) / "run", settings=settings)
        size = sum(path.stat().st_size for path in (Path(folder) / "run" / "checkpoint").rglob("*") if path.is_file())
    step, checkpoint, written = (statistics.median(values[1:]) for values in (steps, whole, writing))
    run_seconds = step * -(-2490 // arguments.batch_size) + checkpoint
    print(f"a step {step:.2f} s; a checkpoint of {size / 1e6:.0f} MB {checkpoint:.2f} s, {written:.2f} s of it writing")
    print(f"one after each epoch: {checkpoint / run_seconds:.1%} of the run, writing {written / run_seconds:.1%}")


if __name__ == "__main__":
    main()
