"""Training steps of bertcore on both backends beside transformers: the same rows, weights and number of steps.

    python -m benchmarks.training --sizes L6/H384,L12/H768 --precisions fp32,bf16 --rounds 5

Every contender trains on the same rows in every round. Those that group by length get them as batches of like rows, the
others in any order: rows of a round are drawn from the quarters (or halves) of a shuffled group of batches sorted by
length, which is how transformers' sampler and bertcore's plans make batches, so that a round stands for an epoch. What
transformers' Trainer costs beside forward, backward and update (loader, callbacks, logs) is left out, in its favour.
Dropout is on, AdamW is torch's fused one for transformers, the norm is clipped at 1, and losses are read at the
end of a round.

The rate of products of these shapes by kernels that torch ships is measured in the same rounds; the share is that of
the products with the layers' matrices, 6 operations a parameter and token, in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, Spread, interleave, ratios
from benchmarks.harness.rows import read
from benchmarks.harness.workers import Worker, Workers

MAX_LENGTH = 128
GROUP = 50
"""Batches that are sorted together, as in transformers."""

REFERENCE = "transformers, grouped by length"


@dataclass(frozen=True)
class Round:
    """The rows of one round, as batches."""

    mixed: list[list[int]]
    grouped: list[list[int]]


def rounds_of(lengths: np.ndarray, batch_size: int, batches: int) -> Iterator[Round]:
    """Rows of each round: one batch of each stratum of a sorted group, and the same rows shuffled."""
    generator = np.random.default_rng(1)
    while True:
        group = generator.permutation(len(lengths))[: batch_size * GROUP]
        ordered = group[np.argsort(-lengths[group], kind="stable")]
        sorted_batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
        whole = [batch for batch in sorted_batches if len(batch) == batch_size]
        strata = np.array_split(np.arange(len(whole)), batches)
        chosen = [whole[int(generator.choice(stratum))] for stratum in strata]
        rows = generator.permutation(np.concatenate(chosen))
        yield Round(
            mixed=[part.tolist() for part in rows.reshape(batches, batch_size)],
            grouped=[batch.tolist() for batch in generator.permutation(np.array(chosen))],
        )


@dataclass(frozen=True)
class Way:
    """One contender.

    Attributes:
        name: as in the table.
        worker: which computes.
        precision: of the step.
        grouped: whether rows are grouped by length.
        arguments: of the worker's method beside.
    """

    name: str
    worker: Worker | None
    precision: str
    grouped: bool
    arguments: dict[str, Any]


def ways(workers: Workers, model: Path, rows: Path, options: argparse.Namespace, precision: str) -> list[Way]:
    """Who takes part with a precision; bf16 has MindSpore's fp32 beside it, to show what bf16 brings."""
    made_of: dict[str, Any] = {"model": str(model), "rows": str(rows)}
    theirs = workers.own("transformers_model", "transformers", **made_of, train=True)
    made_of["batch_size"] = options.batch_size
    ours = workers.own("bertcore_session", "bertcore on torch", backend="torch", **made_of, precisions=[precision])
    found = []
    if precision == "fp32" and not options.best:
        found.append(Way("transformers, padded to 128 (run_glue)", theirs, precision, False, {"pad_to": MAX_LENGTH}))
    if not options.best:
        found.append(Way("transformers, padded to the longest row", theirs, precision, False, {}))
    found.append(Way(REFERENCE, theirs, precision, True, {}))
    if options.compile:
        found.append(Way(f"{REFERENCE}, torch.compile", theirs, precision, True, {"compiled": True}))
    found += [
        Way("bertcore on torch", ours, precision, False, {}),
        Way("bertcore on torch, grouped by length", ours, precision, True, {}),
    ]
    if not options.no_mindspore:
        for one in dict.fromkeys(("fp32", precision)):
            name = "bertcore on MindSpore" + ("" if one == precision else f" in {one}")
            worker = workers.own("bertcore_session", name, backend="mindspore", **made_of, precisions=[one])
            found.append(Way(name, worker, one, False, {}))
    return found


def measure(options: argparse.Namespace, size: material.Size, precision: str) -> results.Case:
    """One case: all contenders of a size and a precision."""
    model = material.random_model(options.workspace, size)
    texts, labels = material.texts_of(options.glue, "rte", "train")
    numbers = [material.LABELS["rte"].index(label) for label in labels]
    file = material.encoded(options.workspace, "rte-train", model, texts, numbers, MAX_LENGTH)
    rows = read(file)
    stream = rounds_of(rows.lengths, options.batch_size, options.batches)
    plan: list[Round] = []
    losses: dict[str, list[float]] = {}

    def round_of(number: int) -> Round:
        while len(plan) <= number:
            plan.append(next(stream))
        return plan[number]

    def step(way: Way, worker: Worker, number: int) -> float:
        batches = round_of(number).grouped if way.grouped else round_of(number).mixed
        answer = worker.ask("train", batches=batches, precision=way.precision, **way.arguments)
        losses.setdefault(way.name, []).extend(answer["losses"])
        return float(answer["seconds"])

    def products(worker: Worker, one: str, number: int) -> float:
        tokens = tokens_of(rows.lengths, round_of(number)) // options.batches
        return 1 / float(worker.ask("rate", tokens=tokens, precision=one, backward=True)["rate"])

    with Workers(options.peers, options.threads) as workers:
        contenders: dict[str, Ask] = {}
        taking_part = {
            way.name: way for way in ways(workers, model, file, options, precision) if way.worker is not None
        }
        for name, way in taking_part.items():
            assert way.worker is not None
            contenders[name] = partial(step, way, way.worker)
        gemm = workers.own("gemm", "products", hidden=size.hidden)
        assert gemm is not None, workers.absent
        rates = {one: f"products, {one}" for one in ("fp32", "bf16")}
        contenders |= {name: partial(products, gemm, one) for one, name in rates.items()}
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, options.warm_up, absent)
        versions = workers.versions
    counted = plan[options.warm_up : options.warm_up + options.rounds]
    tokens = [tokens_of(rows.lengths, one) for one in counted]
    examples = options.batch_size * options.batches
    operations = size.operations(backward=True)
    table = []
    for name, way in taking_part.items():
        if name not in seconds:
            continue
        taken = seconds[name]
        inverse_rates = seconds[rates[way.precision]]
        shares = [operations * n * inverse / s for n, inverse, s in zip(tokens, inverse_rates, taken, strict=True)]
        table.append(
            {
                "name": name,
                "precision": way.precision,
                "speed": Spread.of([examples / one for one in taken]).as_json(),
                "ratio": ratios(seconds[REFERENCE], taken).as_json(),
                "share": Spread.of(shares).as_json(),
                "loss": round(float(np.mean(losses[name])), 4),
            }
        )
    return results.case(
        "training",
        f"{size} {precision}",
        threads=options.threads,
        versions=versions,
        unit="examples/s",
        contenders=table,
        absent=absent,
        settings={
            "rows": "RTE" if (options.glue / "RTE").is_dir() else "sample",
            "batch_size": options.batch_size,
            "batches": options.batches,
            "rounds": options.rounds,
            "tokens": round(float(np.mean(tokens)) / examples, 1),
        },
        reference=REFERENCE,
        products={
            one: Spread.of([1e-9 / inverse for inverse in seconds[name]]).as_json() for one, name in rates.items()
        },
    )


def tokens_of(lengths: np.ndarray, one: Round) -> int:
    """Tokens of a round."""
    return int(lengths[np.concatenate(one.mixed)].sum())


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=5)
    parser.add_argument("--sizes", default="L6/H384,L12/H768")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--batch-size", type=int, help="by default 32, and 16 of the larger models")
    parser.add_argument("--batches", type=int, default=2, help="batches of a round")
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that are not counted")
    parser.add_argument("--compile", action="store_true", help="torch.compile for transformers, too")
    parser.add_argument("--best", action="store_true", help="leave out transformers' defaults")
    parser.add_argument("--no-mindspore", action="store_true")
    given = parser.parse_args(words)
    sizes = [material.TINY] if given.quick else [material.Size.parse(word) for word in given.sizes.split(",")]
    asked = given.batch_size
    for size in sizes:
        given.batch_size = asked or (4 if given.quick else 32 if size.hidden < 768 else 16)
        for precision in given.precisions.split(","):
            found = measure(given, size, precision)
            results.store(found, given.results)
            results.show(found)


if __name__ == "__main__":
    main()
