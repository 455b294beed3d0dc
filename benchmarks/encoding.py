"""From a file of pairs to token ids: pairs a second beside ``datasets.map``, and the memory of many pairs.

    python -m benchmarks.encoding --pairs 40000 --many 400000 --rounds 5

The pairs are RTE's, again and again, with a number in front, so that no two are the same. Reading the file is not
counted in the first case; the second is the whole way, with the plan of an epoch, in a process of its own for each, and
says by how much its memory grew above what the imports took. ``datasets.map`` runs in batches, once with the threads of
its tokenizer and once in as many processes.
"""

from __future__ import annotations

import argparse
import csv
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, compared, interleave
from benchmarks.harness.workers import Worker, Workers

REFERENCE = "datasets.map, threads"


def write_pairs(options: argparse.Namespace, count: int) -> Path:
    """A CSV of so many pairs."""
    texts, labels = material.texts_of(options.glue, "rte", "train")
    file: Path = options.workspace / "rows" / f"pairs-{count}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "text_pair", "label"))
        for number in range(count):
            first, second = texts[number % len(texts)]
            writer.writerow((f"{number} {first}", second, labels[number % len(texts)]))
    return file


def measure_speed(options: argparse.Namespace) -> results.Case:
    """Pairs a second."""
    count = options.pairs
    made_of = {"file": str(write_pairs(options, count)), "model": str(material.minilm())}

    def ask(worker: Worker, arguments: dict[str, Any], number: int) -> float:
        return float(worker.ask("encode", **arguments)["seconds"])

    with Workers(options.peers, options.threads) as workers:
        theirs = workers.peer("datasets", "datasets_map", **made_of)
        ours = workers.own("bertcore_encoding", "bertcore", **made_of)
        contenders: dict[str, Ask] = {}
        if theirs is not None:
            contenders[REFERENCE] = partial(ask, theirs, {"processes": False})
            contenders["datasets.map, processes"] = partial(ask, theirs, {"processes": True})
        assert ours is not None, workers.absent
        contenders["bertcore"] = partial(ask, ours, {})
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, absent=absent)
        versions = workers.versions
    table = compared(seconds, REFERENCE, "speed", lambda one: count / one)
    return results.case(
        "encoding",
        "speed",
        threads=options.threads,
        versions=versions,
        unit="pairs/s",
        contenders=table,
        absent=absent,
        settings={"pairs": count, "rounds": options.rounds},
        reference=REFERENCE,
    )


def measure_memory(options: argparse.Namespace) -> results.Case:
    """MiB above the imports."""
    made_of = {"file": str(write_pairs(options, options.many)), "model": str(material.minilm())}
    table, absent, versions = [], {}, {}
    for name in ("datasets.map", "bertcore"):
        with Workers(options.peers, options.threads) as workers:  # each alone: a peak does not come down again
            if name == "bertcore":
                worker = workers.own("bertcore_encoding", "bertcore", **made_of)
                call: tuple[str, dict[str, Any]] = ("whole", {"batch_size": 32})
            else:
                worker = workers.peer("datasets", "datasets_map", **made_of)
                call = ("encode", {"processes": False})
            if worker is not None:
                answer = worker.ask(call[0], **call[1])
                table.append({"name": name, "memory": round(answer["mebibytes"]), "time": round(answer["seconds"], 1)})
            absent |= workers.absent
            versions |= workers.versions
    return results.case(
        "encoding",
        "memory",
        threads=options.threads,
        versions=versions,
        unit="MiB",
        contenders=table,
        absent=absent,
        settings={"pairs": options.many},
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=5)
    parser.add_argument("--pairs", type=int, default=40_000)
    parser.add_argument("--many", type=int, default=400_000)
    parser.add_argument("--cases", default="speed,memory")
    given = parser.parse_args(words)
    if given.quick:
        given.pairs, given.many = 200, 400
    measures = {"speed": measure_speed, "memory": measure_memory}
    for name in given.cases.split(","):
        found = measures[name](given)
        results.store(found, given.results)
        results.show(found)


if __name__ == "__main__":
    main()
