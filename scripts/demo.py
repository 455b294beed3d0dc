"""The main job on both backends with what the packages bring: the sample model on the sample data."""

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
# Found with benchmarks/sample_discrimination.py: a healthy model learns the sample with them, a damaged one does not.
SETTINGS: tuple[str, ...] = ()
NEEDED = 0.8


def main() -> int:
    """Trains on each backend in a process of its own and prints a table; returns 1 where a score is too low."""
    parent = ROOT / "runs" / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    bertcore = Path(sys.executable).with_name("bertcore")
    rows = [("backend", "accuracy", "majority baseline", "examples/s", "time", "run folder")]
    healthy = True
    for backend in BACKENDS:
        folder = parent / backend
        print(f"\n== {backend} ==", flush=True)
        command = [str(bertcore), "run", "--backend", backend, "--task", "rte", "--model", "sample", "--data", "sample"]
        command += ["--output", str(folder), *(part for setting in SETTINGS for part in ("--set", setting))]
        started = time.perf_counter()
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
        seconds = time.perf_counter() - started
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        accuracy = report["metrics"]["accuracy"]
        healthy &= accuracy >= NEEDED
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
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not healthy:
        print(f"error: an accuracy below {NEEDED}: this installation does not train as it should", file=sys.stderr)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
