"""Everything for one CUDA card: training of BERT-base and -large, and the conditional random field, beside the peers.

    bash benchmarks/gpu.sh
    python -m benchmarks.gpu --device cuda:0
    python -m benchmarks.gpu --device cpu --quick    shows that everything runs, with a tiny model

It was never run on a card. Weights are random, rows are drawn at random in lengths like those of RTE, SQuAD and Chinese
NER, and steps are in bf16. transformers is measured padded with rows grouped by length, and flattened as its collator
does it with flash attention 2 where ``flash_attn`` is installed. The rate of products is measured in the same rounds.
flash-semicrf, where it is installed, has segments of one position, and no scores of first and last tags: its answers
are not compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, Spread, compared, interleave, ratios
from benchmarks.harness.rows import read
from benchmarks.harness.workers import Worker, Workers
from benchmarks.training import rounds_of

SIZES = {"BERT-base": material.Size(12, 768), "BERT-large": material.Size(24, 1024)}
LENGTHS = {"RTE": (67, 0.5, 128, 64), "SQuAD": (170, 0.4, 384, 32), "NER": (42, 0.5, 128, 64)}
"""Median and logarithmic spread of the lengths, tokens of the longest, and rows of a batch."""

REFERENCE = "transformers, grouped by length"
CRF_REFERENCE = "pytorch-crf"
ROWS = 6400
BATCHES = 4


def measure_training(options: argparse.Namespace, shown: str, size: material.Size, lengths: str) -> results.Case:
    """One case: a model on rows of some lengths."""
    median, deviation, longest, batch_size = LENGTHS[lengths]
    count = ROWS
    if options.quick:
        batch_size, count = 2, 200
    drawn = np.random.default_rng(1).lognormal(np.log(median), deviation, count)
    model = material.random_model(options.workspace, size)
    file = material.made_rows(
        *(options.workspace, f"gpu-{lengths}{'-quick' * options.quick}"),
        *(np.clip(drawn, 8, longest).astype(int).tolist(), 2, size.vocabulary),
    )
    rows = read(file)
    stream = rounds_of(rows.lengths, batch_size, BATCHES)
    plan = [next(stream) for _ in range(options.rounds + options.warm_up)]
    made_of: dict[str, Any] = {"model": str(model), "rows": str(file), "device": options.device}

    def step(worker: Worker, arguments: dict[str, Any], number: int) -> float:
        return float(worker.ask("train", batches=plan[number].grouped, precision="bf16", **arguments)["seconds"])

    def products(worker: Worker, number: int) -> float:
        tokens = sum(int(rows.lengths[batch].sum()) for batch in plan[number].mixed) // BATCHES
        return 1 / float(worker.ask("rate", tokens=tokens, precision="bf16", backward=True)["rate"])

    with Workers(options.peers, options.threads) as workers:
        ours = workers.own(
            *("bertcore_session", "bertcore on torch"),
            **(made_of | {"backend": "torch", "batch_size": batch_size, "precisions": ["bf16"]}),
        )
        padded = workers.own("transformers_model", "transformers", **made_of, train=True)
        # On a CPU, where flash attention is none, sdpa stands in to show that the layout is right enough to run.
        attention = "sdpa" if options.device == "cpu" else "flash_attention_2"
        flat = workers.own(
            *("transformers_model", "transformers, flattened, flash attention 2"),
            **made_of,
            train=True,
            attention=attention,
        )
        gemm = workers.own("gemm", "products", hidden=size.hidden, device=options.device)
        assert gemm is not None, workers.absent
        known: dict[str, tuple[Worker | None, dict[str, Any]]] = {
            REFERENCE: (padded, {}),
            f"{REFERENCE}, torch.compile": (padded if options.compile else None, {"compiled": True}),
            f"transformers, flattened, {attention.replace('_', ' ')}": (flat, {"flattened": True}),
            "bertcore on torch": (ours, {}),
        }
        contenders: dict[str, Ask] = {
            name: partial(step, worker, arguments) for name, (worker, arguments) in known.items() if worker is not None
        }
        contenders["products"] = partial(products, gemm)
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, options.warm_up, absent)
        versions = workers.versions
    counted = plan[options.warm_up :]
    tokens = [sum(int(rows.lengths[batch].sum()) for batch in one.mixed) for one in counted]
    inverse = seconds.pop("products")
    operations = size.operations(backward=True)
    table = []
    for name, taken in seconds.items():
        shares = [operations * n * i / s for n, i, s in zip(tokens, inverse, taken, strict=True)]
        table.append(
            {
                "name": name,
                "value": Spread.of([batch_size * BATCHES / one for one in taken]).as_json(),
                "ratio": ratios(seconds[REFERENCE], taken).as_json(),
                "share": Spread.of(shares).as_json(),
            }
        )
    return results.case(
        "gpu",
        f"{shown}, {lengths}",
        threads=options.threads,
        versions=versions,
        unit="examples/s",
        contenders=table,
        absent=absent,
        settings={"batch_size": batch_size, "batches": BATCHES, "rounds": options.rounds},
        reference=REFERENCE,
        device=card(options.device),
        products={"bf16": Spread.of([1e-9 / one for one in inverse]).as_json()},
    )


def measure_crf(options: argparse.Namespace, operation: str, tags: int) -> results.Case:
    """One case: an operation of the conditional random field."""
    rows, positions = (2, 12) if options.quick else (64, 256)

    def ask(worker: Worker, number: int) -> float:
        return float(worker.ask(operation, repeats=5)["seconds"])

    with Workers(options.peers, options.threads) as workers:
        contenders: dict[str, Ask] = {}
        for kind in (CRF_REFERENCE, "flash-semicrf", "bertcore"):
            made_of = {"kind": kind, "rows": rows, "positions": positions, "tags": tags, "device": options.device}
            worker = workers.own("crf_layer", kind, **made_of)
            if worker is not None:
                contenders[kind] = partial(ask, worker)
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, 2, absent)
        versions = workers.versions
    table = compared(seconds, CRF_REFERENCE, "value", lambda one: 1e3 * one)
    return results.case(
        "gpu",
        f"CRF {'loss and gradients' if operation == 'loss' else 'decoding'}, {tags} tags",
        threads=options.threads,
        versions=versions,
        unit="ms",
        contenders=table,
        absent=absent,
        settings={"rows": rows, "positions": positions, "rounds": options.rounds},
        reference=CRF_REFERENCE,
        device=card(options.device),
    )


def card(device: str) -> str:
    """The name of the card."""
    import torch

    return device if device == "cpu" else torch.cuda.get_device_name(device)


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=8)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--warm-up", type=int, default=2, help="rounds that are not counted")
    parser.add_argument("--compile", action="store_true", help="torch.compile for transformers, too")
    parser.add_argument("--only", default="", help="cases whose name holds this, as SQuAD or CRF")
    given = parser.parse_args(words)
    sizes = {"tiny": material.TINY} if given.quick else SIZES
    cases: dict[str, Callable[[], results.Case]] = {
        f"{shown}, {name}": partial(measure_training, given, shown, size, name)
        for shown, size in sizes.items()
        for name in LENGTHS
    }
    for tags in (7, 31):
        cases |= {f"CRF {one}, {tags}": partial(measure_crf, given, one, tags) for one in ("loss", "decode")}
    for name, measure in cases.items():
        if given.only not in name:
            continue
        found = measure()
        results.store(found, given.results)  # each as soon as it is known: a machine may be taken away
        results.show(found)


if __name__ == "__main__":
    main()
