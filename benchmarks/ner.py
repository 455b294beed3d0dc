"""Named entities with a conditional random field: training and tagging beside the way of bert4torch's script.

    python -m benchmarks.ner --rounds 5

Rows are as long as CLUENER's sentences, with 21 tags, of an encoder of L12/H384 with random weights, the same for all;
batches of 16 in training and of 64 in tagging. The script pads to the longest row, in its order of rows; bertcore is
given the same batches.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.accuracy.compare import make_bert4torch_files
from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, compared, interleave
from benchmarks.harness.workers import Worker, Workers

REFERENCE = "bert4torch"
TAGS = 21
SIZE = material.Size(12, 384, 21128)
OPERATIONS = {"train": "training", "predict": "tagging"}


def measure(options: argparse.Namespace, operation: str) -> results.Case:
    """One case: training or tagging."""
    size = material.TINY if options.quick else SIZE
    batch_size = 2 if options.quick else 16 if operation == "train" else 64
    count = 2 * batch_size
    model = material.random_model(options.workspace, size)
    drawn = np.random.default_rng(1).lognormal(np.log(38), 0.3, count * (options.rounds + 1))  # CLUENER's are like that
    lengths = np.clip(drawn, 8, 52).astype(int).tolist()
    file = material.made_rows(options.workspace, f"ner-{operation}", lengths, 2, size.vocabulary)
    made_of: dict[str, Any] = {"model": str(model), "rows": str(file), "tags": TAGS}

    def ask(worker: Worker, number: int) -> float:
        rows = np.arange(count * number, count * (number + 1)).reshape(-1, batch_size)
        return float(worker.ask(operation, batches=rows.tolist())["seconds"])

    with TemporaryDirectory() as folder, Workers(options.peers, options.threads) as workers:
        contenders: dict[str, Ask] = {}
        files = make_bert4torch_files(model, Path(folder))
        theirs = workers.peer(
            *("bert4torch", "ner_model"),
            kind="bert4torch",
            weights=files["bert4torch_weights"],
            config=files["bert4torch_config"],
            **made_of,
        )
        if theirs is not None:
            contenders[REFERENCE] = partial(ask, theirs)
        backends = {"torch": "torch"} if options.no_mindspore else {"torch": "torch", "mindspore": "MindSpore"}
        for backend, shown in backends.items():
            for precision in ("fp32", "bf16"):
                name = f"bertcore on {shown}, {precision}"
                ours = {"kind": "bertcore", "backend": backend, "batch_size": batch_size, "precision": precision}
                worker = workers.own("ner_model", name, **ours, **made_of)
                if worker is not None:
                    contenders[name] = partial(ask, worker)
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, absent=absent)
        versions = workers.versions
    table = compared(seconds, REFERENCE, "speed", lambda one: count / one)
    return results.case(
        "ner",
        OPERATIONS[operation],
        threads=options.threads,
        versions=versions,
        unit="sentences/s",
        contenders=table,
        absent=absent,
        settings={"batch_size": batch_size, "rounds": options.rounds, "tags": TAGS},
        reference=REFERENCE,
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=5)
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--no-mindspore", action="store_true")
    given = parser.parse_args(words)
    for operation in given.operations.split(","):
        found = measure(given, operation)
        results.store(found, given.results)
        results.show(found)


if __name__ == "__main__":
    main()
