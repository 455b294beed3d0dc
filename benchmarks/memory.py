"""Peak memory of whole commands that train: ``bertcore run`` beside a script of transformers' Trainer.

    python -m benchmarks.memory --rounds 2 --steps 10

RTE with MiniLM, batches of 32, so many steps, an evaluation of dev and a saved model; the most that was resident, by
the kernel's account, with all that was imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from benchmarks.harness import options, results
from benchmarks.harness.commands import Command, Job
from benchmarks.harness.rounds import Ask, Spread, interleave
from benchmarks.harness.versions import installed

REFERENCE = "Trainer's script, {}"


def measure(options: argparse.Namespace, precision: str) -> results.Case:
    """One case: a precision."""
    job = Job.of(options)
    reference = REFERENCE.format(precision)

    def ask(make: Callable[[], AbstractContextManager[Command]], number: int) -> float:
        with make() as command:
            return job.peak_memory(command)

    contenders: dict[str, Ask] = {
        reference: partial(ask, partial(job.trainer, precision, options.steps)),
        f"bertcore on torch, {precision}": partial(ask, partial(job.bertcore, "torch", precision, options.steps)),
    }
    if not options.no_mindspore:
        contenders[f"bertcore on MindSpore, {precision}"] = partial(
            ask, partial(job.bertcore, "mindspore", precision, options.steps)
        )
    absent: dict[str, str] = {}
    found = interleave(contenders, options.rounds, warm_up=0, absent=absent)
    table = [
        {
            "name": name,
            "memory": Spread.of(values).as_json(),
            "ratio": Spread.of([one / other for one, other in zip(values, found[reference], strict=True)]).as_json(),
        }
        for name, values in found.items()
    ]
    return results.case(
        "memory",
        precision,
        threads=options.threads,
        versions=installed("bertcore", "torch", "mindspore", "transformers"),
        unit="MiB",
        contenders=table,
        absent=absent,
        settings={"rounds": options.rounds, "steps": options.steps, "batch_size": job.batch_size},
        reference=reference,
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--no-mindspore", action="store_true")
    given = parser.parse_args(words)
    for precision in given.precisions.split(","):
        found = measure(given, precision)
        results.store(found, given.results)
        results.show(found)


if __name__ == "__main__":
    main()
