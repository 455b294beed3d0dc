"""The conditional random field on one CPU: loss with gradients, and decoding, beside pytorch-crf and bert4torch.

Every round computes once with each candidate, in turn, so that what else the machine does meets all of them; the
speed-up is the median over the rounds of the ratio to pytorch-crf within a round. Rows hold a half to all of
``--positions``. "torch, by doubling" is what accelerators run; it is timed here on the CPU, which does not use it.

    python benchmarks/crf.py --rows 16 --positions 256 --tags 7,31 --rounds 15
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchcrf
from bertcore_torch import crf

from bertcore.heads import TokenClassification
from bertcore.numerics.crf import batched, host, kernel


def candidates(rows: int, positions: int, size: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each operation its candidates, pytorch-crf first."""
    generator = np.random.default_rng(1)
    lengths = generator.integers(positions // 2, positions + 1, rows)
    lengths[0] = positions
    inside = torch.from_numpy(np.arange(positions) < lengths[:, None])
    padded_tags = torch.from_numpy(generator.integers(0, size, (rows, positions))) * inside
    padded = torch.from_numpy(generator.normal(size=(rows, positions, size)).astype(np.float32) * 2)
    theirs = torchcrf.CRF(size, batch_first=True)
    ours = crf.ConditionalRandomField(TokenClassification(tuple(map(str, range(size))), crf=True))
    names = ("transitions", "start_transitions", "end_transitions")
    with torch.no_grad():
        for name in names:
            getattr(ours, name).copy_(getattr(theirs, name))
    packed, packed_tags = padded[inside].requires_grad_(), padded_tags[inside]
    padded.requires_grad_()
    row_of = torch.from_numpy(np.repeat(np.arange(rows), lengths))

    def of_torch(loss: Callable[[], torch.Tensor], module: torch.nn.Module, emissions: torch.Tensor) -> Callable:
        def step() -> torch.Tensor:
            module.zero_grad()
            emissions.grad = None
            value = loss()
            value.backward()
            return value

        return step

    def our_loss(implementation: host.Implementation | None) -> Callable[[], torch.Tensor]:
        def loss() -> torch.Tensor:
            host.implementation = lambda: implementation  # type: ignore[assignment]
            return ours.losses(packed, packed_tags, crf.Sequences(lengths, row_of)).sum()

        return of_torch(loss, ours, packed)

    def our_tags(implementation: host.Implementation | None) -> Callable[[], list[int]]:
        def decode() -> list[int]:
            host.implementation = lambda: implementation  # type: ignore[assignment]
            return ours.decode(packed.detach(), crf.Sequences(lengths, row_of)).tolist()

        return decode

    scores = [getattr(ours, name) for name in names]
    arguments = (packed.detach(), tuple(scores))
    losses: dict[str, Callable[[], Any]] = {
        "pytorch-crf": of_torch(lambda: -theirs(padded, padded_tags, inside), theirs, padded),
        "bertcore, numba": our_loss(kernel),
        "bertcore, numpy": our_loss(batched),
        "bertcore, torch by doubling": lambda: crf.losses_by_doubling(
            *arguments, packed_tags, crf.Sequences(lengths, row_of), None
        )[0].sum(),
    }
    tags: dict[str, Callable[[], Any]] = {
        "pytorch-crf": lambda: [tag for row in theirs.decode(padded.detach(), inside) for tag in row],
        "bertcore, numba": our_tags(kernel),
        "bertcore, numpy": our_tags(batched),
        "bertcore, torch by doubling": lambda: crf.decode_by_doubling(
            *arguments, crf.Sequences(lengths, row_of), None
        ).tolist(),
    }
    if importlib.util.find_spec("bert4torch") is not None:
        from bert4torch.layers import CRF

        bert4torch = CRF(size)
        with torch.no_grad():
            for name in names:
                getattr(bert4torch, name).copy_(getattr(theirs, name))
        losses["bert4torch"] = of_torch(lambda: bert4torch(padded, inside, padded_tags, "sum"), bert4torch, padded)
        tags["bert4torch"] = lambda: bert4torch.decode(padded.detach(), inside)[inside].tolist()
    return {"loss and gradients": losses, "decoding": tags}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--positions", type=int, default=256)
    parser.add_argument("--tags", default="7,31", help="numbers of tags, comma-separated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    report = []
    for size in map(int, arguments.tags.split(",")):
        for operation, functions in candidates(arguments.rows, arguments.positions, size).items():
            print(f"{operation}, {arguments.rows} rows of up to {arguments.positions} positions, {size} tags")
            seconds: dict[str, list[float]] = {name: [] for name in functions}
            results: dict[str, Any] = {}
            for round_number in range(arguments.rounds + 1):
                for name, function in functions.items():
                    start = time.perf_counter()
                    results[name] = function()
                    if round_number:
                        seconds[name].append(time.perf_counter() - start)
            expected = results["pytorch-crf"]
            for name, times in seconds.items():
                milliseconds = statistics.median(times) * 1e3
                ratio = statistics.median(a / b for a, b in zip(seconds["pytorch-crf"], times, strict=True))
                if isinstance(expected, list):
                    agreement = "same tags" if results[name] == expected else "OTHER TAGS"
                else:
                    difference = abs(results[name].item() / expected.item() - 1)
                    agreement = f"relative difference of the loss {difference:.0e}"
                print(f"  {name:28} {milliseconds:8.2f} ms   {ratio:6.2f} x   {agreement}")
                entry = {"operation": operation, "tags": size, "candidate": name, "agreement": agreement}
                report.append({**entry, "milliseconds": round(milliseconds, 3), "speed_up": round(ratio, 2)})
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if arguments.output:
        facts = {"torch": torch.__version__, "rounds": arguments.rounds, "threads": arguments.threads}
        arguments.output.write_text(json.dumps({**facts, "results": report}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
