"""The conditional random field on a CPU: loss with gradients, and decoding, beside pytorch-crf and bert4torch.

    python -m benchmarks.crf --tags 7,31 --rounds 15

Sixteen sequences of 128 to 256 positions, the same numbers for all; losses must agree to 1e-4, and tags but for one in
a thousand, where two paths are as good within the rounding of float32.
bertcore computes by what it chooses on this host.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from benchmarks.harness import options, results
from benchmarks.harness.rounds import Ask, compared, interleave
from benchmarks.harness.workers import Worker, Workers

REFERENCE = "pytorch-crf"
REPEATS = 5
"""Of which a round takes the median."""
KINDS = {"pytorch-crf": "", "bert4torch": "bert4torch", "bertcore": ""}
"""Contenders with the environment that each needs beside this one's."""


def measure(options: argparse.Namespace, operation: str, tags: int) -> results.Case:
    """One case: an operation with so many tags."""
    answers: dict[str, Any] = {}

    def ask(name: str, worker: Worker, number: int) -> float:
        answer = worker.ask(operation, repeats=REPEATS)
        answers[name] = answer["loss" if operation == "loss" else "tags"]
        return float(answer["seconds"])

    made_of = {"rows": options.rows, "positions": options.positions, "tags": tags}
    with Workers(options.peers, options.threads) as workers:
        contenders: dict[str, Ask] = {}
        for kind, environment in KINDS.items():
            if environment:
                worker = workers.peer(environment, "crf_layer", kind=kind, **made_of)
            else:
                worker = workers.own("crf_layer", kind, kind=kind, **made_of)
            if worker is not None:
                contenders[kind] = partial(ask, kind, worker)
        seconds = interleave(contenders, options.rounds, warm_up=2)
        versions, absent = workers.versions, workers.absent
    for name, answer in answers.items():
        expected = answers[REFERENCE]
        if operation == "loss":
            agrees = abs(answer / expected - 1) < 1e-4
        else:
            agrees = sum(one != other for one, other in zip(answer, expected, strict=True)) * 1000 <= len(expected)
        if not agrees:
            raise SystemExit(f"{name} and {REFERENCE} do not agree: {answer!r:.60} and {expected!r:.60}")
    table = compared(seconds, REFERENCE, "time", lambda one: 1e3 * one)
    return results.case(
        "crf",
        f"{'loss and gradients' if operation == 'loss' else 'decoding'}, {tags} tags",
        threads=options.threads,
        versions=versions,
        unit="ms",
        contenders=table,
        absent=absent,
        settings={"rows": options.rows, "positions": options.positions, "rounds": options.rounds},
        reference=REFERENCE,
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=15)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--positions", type=int, default=256)
    parser.add_argument("--tags", default="7,31", help="numbers of tags, comma-separated")
    given = parser.parse_args(words)
    if given.quick:
        given.rows, given.positions, given.tags = 2, 12, "5"
    for tags in map(int, given.tags.split(",")):
        for operation in ("loss", "decode"):
            found = measure(given, operation, tags)
            results.store(found, given.results)
            results.show(found)


if __name__ == "__main__":
    main()
