"""Compares a quick subset of ratios with the stored ones; a loss above 15 % fails.

    python -m benchmarks.check
    python -m benchmarks.check --write    stores what was measured as what is to be kept

Only what this environment holds takes part: bertcore on both backends beside transformers, pytorch-crf and a script of
Trainer. It takes under five minutes on two cores and is no part of the tests: ratios of one host say little of another.
What seems lost is measured once more, alone, before it counts as lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from benchmarks import crf, inference, latency, startup, training
from benchmarks.harness import host, material, options, results
from benchmarks.harness.results import Case

ALLOWED = 0.15
"""Part of a stored ratio that may be lost."""


def subset(given: argparse.Namespace) -> dict[str, Callable[[], Case]]:
    """What is measured, with few rounds."""
    size = material.TINY if given.quick else material.Size(6, 384)

    def with_options(**changes: object) -> argparse.Namespace:
        return argparse.Namespace(**{**vars(given), **changes})

    steps = partial(with_options, batch_size=4 if given.quick else 32, batches=1, warm_up=1, compile=False, best=True)
    small = {"rows": 2, "positions": 12} if given.quick else {"rows": 16, "positions": 256}
    return {
        "training fp32": lambda: training.measure(steps(rounds=3), size, "fp32"),
        "training bf16": lambda: training.measure(steps(rounds=3), size, "bf16"),
        "inference rte": lambda: inference.measure(with_options(rounds=3, phrases=0), "rte"),
        "latency": lambda: latency.measure(with_options(rounds=10)),
        "crf loss": lambda: crf.measure(with_options(rounds=9, **small), "loss", 31),
        "crf decode": lambda: crf.measure(with_options(rounds=9, **small), "decode", 31),
        "startup": lambda: startup.measure(with_options(rounds=2)),
    }


def ratios_of(case: Case) -> dict[str, float]:
    """bertcore's ratios over the reference."""
    return {one["name"]: one["ratio"][0] for one in case["contenders"] if one["name"].startswith("bertcore")}


def lost(now: dict[str, float], stored: dict[str, float]) -> list[str]:
    """Contenders that lost more than is allowed."""
    return [name for name, ratio in now.items() if name in stored and ratio < (1 - ALLOWED) * stored[name]]


def main(words: list[str] | None = None) -> int:
    """Measures and compares; returns 1 where something is lost."""
    parser = options.parser(__doc__, rounds=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--no-mindspore", action="store_true")
    given = parser.parse_args(words)
    given.peers = given.workspace / "none"
    stored = {case["case"]: case for case in results.read("check", given.results)}
    failed = False
    for name, measure in subset(given).items():
        case = measure()
        found = ratios_of(case)
        known = stored.get(name, {}).get("ratios", {})
        if not given.write and lost(found, known):
            again = ratios_of(measure())
            found = {one: max(ratio, again.get(one, 0)) for one, ratio in found.items()}
        for one, ratio in found.items():
            beside = f"{known[one]:6.2f} stored" if one in known else "nothing stored"
            gone = not given.write and one in lost(found, known)
            failed |= gone
            print(f"{name:16}{one:42}{ratio:8.2f} x {case['reference']}, {beside}{'   LOST' * gone}", flush=True)
        if given.write:
            kept = {"benchmark": "check", "case": name, "date": host.today(), "commit": host.commit()}
            results.store({**kept, "host": case["host"], "ratios": found}, given.results)
        elif name in stored and stored[name]["host"]["processor"] != case["host"]["processor"]:
            print(f"{'':16}stored on {stored[name]['host']['processor']}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
