"""Speed and memory of reading large tables, this tree against another checkout.

    git worktree add /tmp/before COMMIT
    python -m benchmarks.reading /tmp/before --rows 400000 --repeat 5

The files hold real sentences of ../shared where they are there, else made ones. Each read is a process of its own, the
trees take turns, and medians are shown. A read is what a run does with a training file: examples with their labels.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SHARED = HERE.parent / "shared" / "data"
PLUGINS = ("plugins/backend_torch", "plugins/backend_mindspore", "plugins/tasks")

READ = """
import json, resource, sys, time
try:
    from bertcore.plugins.registry import Registry
except ImportError:  # a checkout from before it moved
    from bertcore.registry import Registry
task = Registry().task("classification")
started = time.perf_counter()
dataset = task.open(task.data_config(train=sys.argv[1]))
examples = dataset.split("train")
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak / 1024, len(examples), len(dataset.labels)]))
"""
"""Seconds, mebibytes at most, and what was read, to compare."""

Row = tuple[str, str, str]


def sentences(count: int) -> Iterator[Row]:
    """Identifiers, texts and labels: news titles in Chinese and film reviews in English, by turns."""
    texts: list[tuple[str, str]] = []
    for name in ("tnews/dev.json", "glue/SST-2/dev.tsv"):
        file = SHARED / name
        if not file.is_file():
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        if file.suffix == ".json":
            texts += [(record["sentence"], record["label"]) for record in map(json.loads, lines)]
        else:
            texts += [(line.rpartition("\t")[0], line.rpartition("\t")[2]) for line in lines[1:]]
    made = 'the film, number {}, was "good" enough, so I saw it again'
    texts = texts or [(made.format(number), str(number % 5)) for number in range(999)]
    for number, (text, label) in enumerate(islice(cycle(texts), count)):
        yield str(number), text.replace("\t", " "), label


def write_csv(file: Path, rows: Iterator[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("id", "text", "label"), *rows])


def write_tsv(file: Path, rows: Iterator[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines("\t".join(row) + "\n" for row in (("id", "text", "label"), *rows))


def write_jsonl(file: Path, rows: Iterator[Row]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for identifier, text, label in rows:
            record = {"id": identifier, "text": text, "label": label}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


FORMS: dict[str, Callable[[Path, Iterator[Row]], None]] = {"csv": write_csv, "tsv": write_tsv, "jsonl": write_jsonl}


def read(tree: Path, file: Path) -> tuple[float, float, list[int]]:
    """Seconds, mebibytes, and the counts of examples and labels of one read by a tree."""
    path = os.pathsep.join([str(tree), *(str(tree / plugin) for plugin in PLUGINS)])
    command = [sys.executable, "-P", "-c", READ, str(file)]  # -P: not the code of the current folder
    found = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True, text=True)
    seconds, peak, *counts = json.loads(found.stdout.splitlines()[-1])
    return seconds, peak, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="another checkout of this repository")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeat", type=int, default=5, help="reads of each tree and file")
    parser.add_argument("--forms", nargs="+", default=[*FORMS], choices=[*FORMS])
    options = parser.parse_args()
    trees = {"other": options.other.resolve(), "this": HERE}
    print(f"{'form':<8}{'MB':>6}{'other s':>10}{'this s':>10}{'ratio':>8}{'other MiB':>12}{'this MiB':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for form in options.forms:
            file = Path(folder) / f"train.{form}"
            FORMS[form](file, sentences(options.rows))
            seconds: dict[str, list[float]] = {name: [] for name in trees}
            peaks: dict[str, list[float]] = {name: [] for name in trees}
            for _ in range(options.repeat):
                counts = []
                for name, tree in trees.items():
                    taken, peak, found = read(tree, file)
                    seconds[name].append(taken)
                    peaks[name].append(peak)
                    counts.append(found)
                assert counts[0] == counts[1], f"the trees read {counts[0]} and {counts[1]} examples and labels"
            before, now = (statistics.median(seconds[name]) for name in trees)
            most, least = (statistics.median(peaks[name]) for name in trees)
            size = file.stat().st_size / 1e6
            print(
                f"{form:<8}{size:>6.0f}{before:>10.2f}{now:>10.2f}{now / before:>8.2f}"
                f"{most:>12.0f}{least:>12.0f}{least / most:>8.2f}",
                flush=True,
            )
            file.unlink()


if __name__ == "__main__":
    main()
