"""The main job on both backends with what the packages bring: the sample model on the sample data.

Each backend trains, and then evaluates what the other trained. Accuracy shows that the encoder was read as it was
written; equal probabilities show it for every tensor, a transposed square one among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("torch", "mindspore")
# The defaults of benchmarks/sample_discrimination.py, with which a healthy model learns the sample and one with
# shuffled layers stays at the baseline.
SETTINGS = (
    "train.epochs=8",
    "train.learning_rate=1e-4",
    "train.head_learning_rate=3e-4",
    "train.warmup_ratio=0.2",
)
NEEDED_ACCURACY = 0.8
# Largest difference of a probability between the two backends for one checkpoint.
ALLOWED_DIFFERENCE = 1e-4


def main() -> int:
    """Trains on each backend in a process of its own and prints a table; returns 1 where a figure is not as it should.

    Every command runs in a process of its own, one at a time.
    """
    parent = ROOT / "runs" / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    rows = [("backend", "accuracy", "majority baseline", "examples/s", "time", "run folder")]
    problems: list[str] = []
    for backend in BACKENDS:
        folder = parent / backend
        print(f"\n== {backend} ==", flush=True)
        settings = (part for setting in SETTINGS for part in ("--set", setting))
        started = time.perf_counter()
        bertcore(
            *("run", "--backend", backend, "--task", "rte", "--model", "sample", "--data", "sample"),
            *("--output", str(folder), *settings),
        )
        seconds = time.perf_counter() - started
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        accuracy = report["metrics"]["accuracy"]
        if accuracy < NEEDED_ACCURACY:
            problems.append(f"{backend} reached {accuracy:.4f}, less than {NEEDED_ACCURACY}")
        rows.append(
            (
                backend,
                f"{accuracy:.4f}",
                f"{report['baseline']['accuracy']:.4f}",
                f"{report['examples_per_second']:.1f}",
                f"{seconds:.0f} s",
                os.path.relpath(folder),
            )
        )
    for trained, other in (BACKENDS, BACKENDS[::-1]):
        print(f"\n== what {trained} trained, evaluated on {other} ==", flush=True)
        folder = parent / trained
        bertcore("evaluate", str(folder), "--backend", other)
        difference = largest_difference(
            folder / "predictions.jsonl", folder / "evaluations" / f"dev-{other}" / "predictions.jsonl"
        )
        print(f"largest difference of a probability between the two backends: {difference:.1e}")
        if not difference <= ALLOWED_DIFFERENCE:
            problems.append(f"{other} does not predict what {trained} predicted: a difference of {difference:.1e}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def bertcore(*arguments: str) -> None:
    """Runs the command; ends this script with its exit code where it fails."""
    code = subprocess.run([str(Path(sys.executable).with_name("bertcore")), *arguments], check=False).returncode
    if code:
        sys.exit(code)


def largest_difference(file: Path, other: Path) -> float:
    """Compares the probabilities of two prediction files, example by example."""
    first, second = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line] for path in (file, other)
    )
    return max(
        abs(probability - b["probabilities"][label])
        for a, b in zip(first, second, strict=True)
        for label, probability in a["probabilities"].items()
    )


if __name__ == "__main__":
    sys.exit(main())
