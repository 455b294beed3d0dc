"""Options that every benchmark has."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.harness import results
from benchmarks.harness.workers import ROOT


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that are the same everywhere.

    Args:
        description: of the benchmark.
        rounds: counted ones, by default.
    """
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--rounds", type=int, default=rounds)
    found.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each contender")
    found.add_argument(
        "--glue", type=Path, default=ROOT.parent / "shared" / "data" / "glue", help="folder of GLUE's official files"
    )
    found.add_argument(
        "--peers", type=Path, default=ROOT / ".benchmarks" / "peers", help="their environments: NAME/bin/python"
    )
    found.add_argument("--workspace", type=Path, default=ROOT / ".benchmarks", help="keeps models and encoded rows")
    found.add_argument("--results", type=Path, default=results.RESULTS, help="folder of the JSON lines")
    found.add_argument("--quick", action="store_true", help="a tiny model and few rows, to see that everything runs")
    return found
