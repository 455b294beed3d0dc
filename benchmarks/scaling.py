"""How costs grow: with examples, tokens of a row, rows of a batch and labels. Nothing but attention may grow faster.

    python -m benchmarks.scaling --rounds 3

Shown is the cost of one unit at each size, over that at the first; 1 is in proportion, less is better. Examples are
read, encoded and planned; the other three are training steps in fp32 of a model of L6/H384 on torch: rows of a length
with 2048 tokens in all, so that what grows is attention; rows of 32 tokens; and numbers of labels of 32 such rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.encoding import write_pairs
from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, Spread, interleave
from benchmarks.harness.workers import Worker, Workers

EXAMPLES = (1_000, 10_000, 100_000, 400_000)
TOKENS = (32, 64, 128, 256, 512)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
LABELS = (2, 10, 50, 100)
SHORT = 32
"""Tokens of a row where length is not what grows."""


def examples(workers: Workers, options: argparse.Namespace) -> dict[int, Ask]:
    """Reading, encoding and planning so many pairs."""

    def ask(worker: Worker, number: int) -> float:
        return float(worker.ask("whole", batch_size=32)["seconds"])

    found: dict[int, Ask] = {}
    for count in (50, 100) if options.quick else EXAMPLES:
        made_of = {"file": str(write_pairs(options, count)), "model": str(material.minilm())}
        worker = workers.own("bertcore_encoding", "bertcore", **made_of)
        assert worker is not None, workers.absent
        found[count] = partial(ask, worker)
    return found


def steps(
    workers: Workers, options: argparse.Namespace, shapes: dict[int, tuple[int, int, int]], what: str
) -> dict[int, Ask]:
    """Training steps; a shape is rows, tokens of each, and labels."""
    size = material.TINY if options.quick else material.Size(6, 384)

    def ask(worker: Worker, rows: int, number: int) -> float:
        return float(worker.ask("train", batches=[[*range(rows)]], precision="fp32")["seconds"])

    found: dict[int, Ask] = {}
    for count, (rows, tokens, labels) in shapes.items():
        model = material.random_model(options.workspace, size, labels=labels)
        name = f"scaling-{what}-{count}{'-quick' * options.quick}"
        file = material.made_rows(options.workspace, name, [tokens] * rows, labels, size.vocabulary)
        made_of = {"backend": "torch", "model": str(model), "rows": str(file), "batch_size": rows}
        worker = workers.own("bertcore_session", "bertcore on torch", **made_of, precisions=["fp32"])
        assert worker is not None, workers.absent
        found[count] = partial(ask, worker, rows)
    return found


def tokens(workers: Workers, options: argparse.Namespace) -> dict[int, Ask]:
    """Rows of so many tokens, 2048 in all."""
    lengths = (8, 16) if options.quick else TOKENS
    return steps(workers, options, {length: (4 * TOKENS[-1] // length, length, 2) for length in lengths}, "tokens")


def rows(workers: Workers, options: argparse.Namespace) -> dict[int, Ask]:
    """So many rows in a batch."""
    counts = (1, 2) if options.quick else ROWS
    return steps(workers, options, {count: (count, SHORT, 2) for count in counts}, "rows")


def labels(workers: Workers, options: argparse.Namespace) -> dict[int, Ask]:
    """So many labels."""
    counts = (2, 3) if options.quick else LABELS
    return steps(workers, options, {count: (32, SHORT, count) for count in counts}, "labels")


DIMENSIONS: dict[str, Callable[[Workers, argparse.Namespace], dict[int, Ask]]] = {
    "examples": examples,
    "tokens": tokens,
    "rows": rows,
    "labels": labels,
}
PER_UNIT = {"examples": True, "tokens": False, "rows": True, "labels": False}
"""Whether the cost of a size is divided by it; of the others, all compute as many tokens."""


def measure(options: argparse.Namespace, dimension: str) -> results.Case:
    """One case: what grows."""
    with Workers(options.peers, options.threads) as workers:
        asked = DIMENSIONS[dimension](workers, options)
        seconds = interleave({str(count): ask for count, ask in asked.items()}, options.rounds)
        versions = workers.versions
    cost = {count: [one / (count if PER_UNIT[dimension] else 1) for one in seconds[str(count)]] for count in asked}
    first = cost[next(iter(cost))]
    table: list[dict[str, Any]] = [
        {
            "name": str(count),
            "time": Spread.of([1e3 * one for one in seconds[str(count)]]).as_json(),
            "cost": Spread.of([one / other for one, other in zip(costs, first, strict=True)]).as_json(),
        }
        for count, costs in cost.items()
    ]
    return results.case(
        "scaling",
        dimension,
        threads=options.threads,
        versions=versions,
        unit="ms",
        contenders=table,
        absent={},
        settings={"rounds": options.rounds},
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=3)
    parser.add_argument("--dimensions", default=",".join(DIMENSIONS))
    given = parser.parse_args(words)
    for dimension in given.dimensions.split(","):
        found = measure(given, dimension)
        results.store(found, given.results)
        results.show(found)


if __name__ == "__main__":
    main()
