"""What ``compare.py`` measured: one JSON line a run, and the table of them in ``docs/results.md``.

python -m benchmarks.accuracy.results benchmarks/accuracy/results.jsonl
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.jsonl")
SIDES = ("torch", "mindspore", "transformers", "bert4torch")
TITLES = {"torch": "bertcore, torch", "mindspore": "bertcore, MindSpore"}
SAME_WORK = (
    *("task", "model", "crf", "train_examples", "dev_examples", "epochs", "batch_size"),
    *("learning_rate", "crf_learning_rate", "max_length"),
)


def append(path: Path, run: dict[str, Any]) -> None:
    """Adds a run at once, so that a benchmark that is stopped keeps what it has measured."""
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(json.dumps(run, ensure_ascii=False) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The runs of a file, in the order in which they were measured."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: one row for runs that did the same work, one column for each side.

    A cell holds the mean over seeds of the best epoch's score, in percent, with the standard deviation of the sample,
    and the number of seeds in brackets.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(tuple(run[key] for key in SAME_WORK), []).append(run)
    sides = [side for side in SIDES if any(run["side"] == side for run in runs)]
    titles = [TITLES.get(side, side) for side in sides]
    lines = [f"| task | work | score | {' | '.join(titles)} |", "|---" * (3 + len(sides)) + "|"]
    for group in sorted(groups.values(), key=lambda group: (group[0]["task"], group[0]["crf"], -size(group[0]))):
        cells = [summary([run for run in group if run["side"] == side]) for side in sides]
        first = group[0]
        head = f"{first['task']} with CRF" if first["crf"] else first["task"]
        lines.append(f"| {head} | {work(first)} | {first['metric']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def size(run: dict[str, Any]) -> float:
    """Training examples; a full set counts as more than any subset."""
    return math.inf if run["train_examples"] is None else run["train_examples"]


def work(run: dict[str, Any]) -> str:
    """What was trained on, and how, in words."""
    data = "full" if run["train_examples"] is None else f"{run['train_examples']} examples"
    if run["dev_examples"] is not None:
        data += f", {run['dev_examples']} of dev"
    epochs = "1 epoch" if run["epochs"] == 1 else f"{run['epochs']} epochs"
    rates = f"rate {run['learning_rate']:g}"
    if run["crf"]:
        rates += f", CRF {run['crf_learning_rate']:g}"
    return f"{data}; {epochs}, batch {run['batch_size']}, {rates}"


def summary(runs: list[dict[str, Any]]) -> str:
    """Mean and standard deviation of the sample, in percent, and the number of seeds."""
    if not runs:
        return ""
    best = [100 * max(run["scores"]) for run in runs]
    deviation = f" ± {statistics.stdev(best):.1f}" if len(best) > 1 else ""
    return f"{statistics.fmean(best):.1f}{deviation} ({len(best)})"


if __name__ == "__main__":
    print(table(read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)))
