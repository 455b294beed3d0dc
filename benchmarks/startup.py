"""Seconds from the command to the end of the first training step: ``bertcore run`` beside a script of Trainer.

    python -m benchmarks.startup --rounds 5

RTE with MiniLM, batches of 32; encoded data and, on MindSpore, compiled graphs are cached by a first round that is not
counted. The script is given its rows encoded. Each command is ended when its first step is done.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from benchmarks.harness import options, results
from benchmarks.harness.commands import Command, Job
from benchmarks.harness.rounds import Ask, compared, interleave
from benchmarks.harness.versions import installed

REFERENCE = "Trainer's script"


def measure(options: argparse.Namespace) -> results.Case:
    """The one case."""
    job = Job.of(options)

    def ask(make: Callable[[], AbstractContextManager[Command]], number: int) -> float:
        with make() as command:
            return job.seconds_to_first_step(command)

    contenders: dict[str, Ask] = {
        REFERENCE: partial(ask, partial(job.trainer, "fp32", 3)),
        "bertcore on torch": partial(ask, partial(job.bertcore, "torch", "fp32", 3)),
    }
    if not options.no_mindspore:
        contenders["bertcore on MindSpore"] = partial(ask, partial(job.bertcore, "mindspore", "fp32", 3))
    absent: dict[str, str] = {}
    seconds = interleave(contenders, options.rounds, absent=absent)
    table = compared(seconds, REFERENCE, "time", float)
    return results.case(
        "startup",
        "first step",
        threads=options.threads,
        versions=installed("bertcore", "torch", "mindspore", "transformers"),
        unit="s",
        contenders=table,
        absent=absent,
        settings={"rounds": options.rounds, "batch_size": job.batch_size},
        reference=REFERENCE,
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=5)
    parser.add_argument("--no-mindspore", action="store_true")
    found = measure(given := parser.parse_args(words))
    results.store(found, given.results)
    results.show(found)


if __name__ == "__main__":
    main()
