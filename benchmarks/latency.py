"""How long one sentence of 20 tokens takes through a model that stays open, from text to probabilities.

    python -m benchmarks.latency --rounds 30

All contenders tokenize the text each time. bertcore is asked through ``bertcore.open``; peers that bring no tokenizer
use the ``tokenizers`` library directly. A round asks each five times and takes the median.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, Spread, interleave, ratios
from benchmarks.harness.workers import Worker, Workers
from benchmarks.inference import calibration_rows, onnx_files

SENTENCE = "The food was cold when it came, and nobody in the place seemed to care much."
REFERENCE = "transformers, model and tokenizer alone, fp32"
REPEATS = 5
ALLOWED = {"fp32": 1e-3, "bf16": 5e-2, "int8": 5e-1}
"""Largest difference of a probability from the reference."""

Way = tuple[Worker | None, dict[str, Any]]


def ways(workers: Workers, options: argparse.Namespace) -> dict[str, Way]:
    """Who takes part: the worker and what it is asked."""
    run = material.fine_tuned(options.workspace, options.glue, "sst2", quick=options.quick)
    model, label = run / "best", material.labels_in_order(run / "best")[0]
    theirs = workers.own("transformers_sentence", "transformers", model=str(model))
    found: dict[str, Way] = {
        REFERENCE: (theirs, {"precision": "fp32", "label": label, "pipeline": False}),
        "transformers, model and tokenizer alone, bf16": (
            theirs,
            {"precision": "bf16", "label": label, "pipeline": False},
        ),
        "transformers, pipeline, fp32": (theirs, {"precision": "fp32", "label": label, "pipeline": True}),
    }
    for backend, shown in (("torch", "torch"), ("mindspore", "MindSpore")):
        if backend == "mindspore" and options.no_mindspore:
            continue
        for precision in ("fp32", "bf16"):
            name = f"bertcore on {shown}, {precision}"
            ours = workers.own("bertcore_open", name, run=str(run), backend=backend, precisions=[precision])
            found[name] = (ours, {"precision": precision, "label": label})
    files = onnx_files(workers, options.workspace, f"sst2{'-quick' * options.quick}", model)
    if files:
        onnx = {"fp32": files["fused"], "int8": files["int8"]}
        runtime = workers.peer("onnxruntime", "onnxruntime_model", model=str(model), files=onnx)
        found |= {f"onnxruntime, {one}": (runtime, {"precision": one}) for one in onnx}
        calibration = calibration_rows(options, "sst2", model)
        precisions = ["fp32", "bf16", "int8"]
        made_of = {"model": str(model), "plain": files["plain"], "calibration": str(calibration)}
        vino = workers.peer("openvino", "openvino_model", **made_of, precisions=precisions)
        found |= {f"OpenVINO, {one}": (vino, {"precision": one}) for one in precisions}
    return found


def measure(options: argparse.Namespace) -> results.Case:
    """The one case."""
    answers: dict[str, float] = {}

    def ask(name: str, worker: Worker, arguments: dict[str, Any], number: int) -> float:
        answer = worker.ask("sentence", text=SENTENCE, repeats=REPEATS, **arguments)
        answers[name] = answer["probability"]
        return float(answer["seconds"])

    with Workers(options.peers, options.threads) as workers:
        taking_part = ways(workers, options)
        contenders: dict[str, Ask] = {
            name: partial(ask, name, worker, arguments) for name, (worker, arguments) in taking_part.items() if worker
        }
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, warm_up=2, absent=absent)
        versions = workers.versions
    table = []
    for name, taken in seconds.items():
        precision = taking_part[name][1]["precision"]
        difference = abs(answers[name] - answers[REFERENCE])
        if difference > ALLOWED[precision]:
            raise SystemExit(f"{name} answers {answers[name]:.4f} and {REFERENCE} {answers[REFERENCE]:.4f}")
        table.append(
            {
                "name": name,
                "precision": precision,
                "time": Spread.of([1e3 * one for one in taken]).as_json(),
                "ratio": ratios(seconds[REFERENCE], taken).as_json(),
                "difference": float(f"{difference:.1e}"),
            }
        )
    return results.case(
        "latency",
        "one sentence",
        threads=options.threads,
        versions=versions,
        unit="ms",
        contenders=table,
        absent=absent,
        settings={"rounds": options.rounds, "repeats": REPEATS, "tokens": 20},
        reference=REFERENCE,
    )


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=30)
    parser.add_argument("--no-mindspore", action="store_true")
    found = measure(given := parser.parse_args(words))
    results.store(found, given.results)
    results.show(found)


if __name__ == "__main__":
    main()
