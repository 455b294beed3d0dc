"""How much faster N processes with one core each are than one process with one core, on the same run.

    python -m benchmarks.ranks.efficiency --model MODEL --backend torch --ranks 1,2 --rounds 3

Runs are interleaved, each process is bound to a core of its own, and what counts is the time of a training step in the
steady part of a run, as its log says: the median over the steps, then over the rounds. A model of the step is printed
beside what was measured::

    T(n) = T(1) / n * imbalance + bytes / rate(n)

Imbalance is the largest share of tokens that any rank has in a step, times n; rate is that of a sum over the ranks, as
``bertcore.launch.trial`` measures it in the same round; bytes are those that a step adds up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def step_seconds(folder: Path, batch_size: int) -> float:
    """The median over the logged steps but the first three."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    speeds = [line["examples_per_second"] for line in lines if "learning_rates" in line][3:]
    return batch_size / statistics.median(speeds)


def run(options: argparse.Namespace, ranks: int, folder: Path) -> float:
    """Trains in so many processes on as many cores; returns the seconds of a step."""
    cores = sorted(os.sched_getaffinity(0))[:ranks]
    arguments = [
        *("--task", options.task, "--model", options.model, "--data", options.data, "--backend", options.backend),
        *("--batch-size", str(options.batch_size), "--set", "train.log_steps=1", "--output", str(folder)),
        *("--set", f"train.max_steps={options.steps}", "--set", "train.evaluate_steps=100000"),
        *(["--nproc", str(ranks)] if ranks > 1 else []),
    ]
    words = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "bertcore", "run", *arguments]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return step_seconds(folder, options.batch_size)


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="rte")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--model", default="sample")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    counts = [int(word) for word in options.ranks.split(",")]
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for count in counts:
                seconds[count].append(run(options, count, Path(folder) / f"{count}-{number}"))
    medians = {count: statistics.median(values) for count, values in seconds.items()}
    first = medians[counts[0]] * counts[0]
    efficiency = {count: round(first / (count * value), 3) for count, value in medians.items()}
    print(
        json.dumps(
            {
                "backend": options.backend,
                "model": options.model,
                "batch_size": options.batch_size,
                "step_seconds": {count: round(value, 4) for count, value in medians.items()},
                "efficiency": efficiency,
                "rounds": options.rounds,
                "load": os.getloadavg()[0],
            }
        )
    )


if __name__ == "__main__":
    main()
