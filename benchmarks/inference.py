"""Inference of bertcore on both backends beside transformers, onnxruntime, OpenVINO and CTranslate2.

    python -m benchmarks.inference --tasks rte,sst2 --rounds 3

MiniLM, fine-tuned by bertcore for a few steps on the task, predicts RTE's dev pairs, and phrases of SST-2, which are
short. All are given the same rows of token ids, sorted by length, in batches of 32, with the same number of threads,
one batch after the other. Peers have their best files: onnxruntime its fused graph and its own dynamic int8, OpenVINO
its hints of precision and NNCF's int8, calibrated on the training set. Labels are compared with transformers' in fp32.

The rate of products of these shapes by kernels that torch ships is measured in the same rounds; the share is that of
the products with the layers' matrices, 2 operations a parameter and token, in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import material, options, results
from benchmarks.harness.rounds import Ask, Spread, interleave, ratios
from benchmarks.harness.rows import Rows, read
from benchmarks.harness.workers import Worker, Workers

BATCH_SIZE = 32
MAX_LENGTH = 256
REFERENCE = "transformers, fp32"


@dataclass(frozen=True)
class Way:
    """One contender: who is asked, in which precision, which has the rate that counts for its share."""

    worker: Worker | None
    asked: str
    precision: str


def onnx_files(workers: Workers, workspace: Path, name: str, model: Path) -> dict[str, str]:
    """The model as ONNX, by onnxruntime's environment; nothing where it cannot be written."""
    exporter = workers.peer("onnxruntime", "onnx_export", model=str(model), folder=str(workspace / "onnx" / name))
    found: dict[str, str] = {} if exporter is None else exporter.ask("write")
    if not found:
        workers.absent["OpenVINO"] = "no ONNX file, which onnxruntime's environment writes"
    return found


def ways(
    workers: Workers, options: argparse.Namespace, task: str, model: Path, rows: Path, other: Path
) -> dict[str, Way]:
    """Who takes part."""
    made_of: dict[str, Any] = {"model": str(model), "rows": str(rows)}
    model_of = workers.own("transformers_model", "transformers", **made_of)
    found = {REFERENCE: Way(model_of, "fp32", "fp32"), "transformers, bf16": Way(model_of, "bf16", "bf16")}
    for backend, shown in (("torch", "torch"), ("mindspore", "MindSpore")):
        if backend == "mindspore" and options.no_mindspore:
            continue
        for precision in ("fp32", "bf16"):
            name = f"bertcore on {shown}, {precision}"
            ours = {"backend": backend, **made_of, "batch_size": BATCH_SIZE, "predict": [precision]}
            found[name] = Way(workers.own("bertcore_session", name, **ours), precision, precision)
    files = onnx_files(workers, options.workspace, f"{task}{'-quick' * options.quick}", model)
    if files:
        onnx = {"fp32": files["fused"], "int8": files["int8"]}
        runtime = workers.peer("onnxruntime", "onnxruntime_model", **made_of, files=onnx)
        found |= {f"onnxruntime, {one}": Way(runtime, one, one) for one in ("fp32", "int8")}
        precisions = ["fp32", "bf16", "int8"]
        vino = workers.peer(
            *("openvino", "openvino_model"),
            **made_of,
            plain=files["plain"],
            precisions=precisions,
            calibration=str(other),
        )
        found |= {f"OpenVINO, {one}": Way(vino, one, one) for one in precisions}
    folder = options.workspace / "ctranslate2" / f"{task}{'-quick' * options.quick}"
    translate = workers.peer(
        *("ctranslate2", "ctranslate2_model"), **made_of, folder=str(folder), precisions=["float32", "int8"]
    )
    found |= {
        f"CTranslate2, {one}": Way(translate, asked, one) for one, asked in (("fp32", "float32"), ("int8", "int8"))
    }
    return found


def rows_of(options: argparse.Namespace, task: str, model: Path) -> Path:
    """RTE's dev pairs, or the last phrases of SST-2's training set, which are a few words long, most of them."""
    texts, labels = material.texts_of(options.glue, task, "dev" if task == "rte" else "train")
    last = 24 if options.quick else len(texts) if task == "rte" else options.phrases
    return encode(options, f"{task}-predict", task, model, texts[-last:], labels[-last:])


def calibration_rows(options: argparse.Namespace, task: str, model: Path) -> Path:
    """The first rows of the training set, by which int8 finds its ranges."""
    texts, labels = material.texts_of(options.glue, task, "train")
    first = 24 if options.quick else 300
    return encode(options, f"{task}-calibrate", task, model, texts[:first], labels[:first])


def encode(
    options: argparse.Namespace, name: str, task: str, model: Path, texts: list[tuple[str, ...]], labels: list[str]
) -> Path:
    """Writes rows of token ids, with the numbers of the labels."""
    known = material.LABELS[task]
    numbers = [known.index(label) if label in known else 0 for label in labels]
    return material.encoded(options.workspace, f"{name}{'-quick' * options.quick}", model, texts, numbers, MAX_LENGTH)


def measure(options: argparse.Namespace, task: str) -> results.Case:
    """One case: all contenders on the rows of a task."""
    model = material.fine_tuned(options.workspace, options.glue, task, quick=options.quick) / "best"
    file, calibration = rows_of(options, task, model), calibration_rows(options, task, model)
    rows = read(file)
    order = np.argsort(-rows.lengths, kind="stable")
    batches = [order[start : start + BATCH_SIZE].tolist() for start in range(0, len(order), BATCH_SIZE)]
    labels: dict[str, list[int]] = {}

    def predict(name: str, worker: Worker, asked: str, number: int) -> float:
        answer = worker.ask("predict", batches=batches, precision=asked)
        labels[name] = answer["labels"]
        return float(answer["seconds"])

    def products(worker: Worker, one: str, number: int) -> float:
        tokens = int(rows.lengths.sum()) // len(batches)
        return 1 / float(worker.ask("rate", tokens=tokens, precision=one, backward=False)["rate"])

    with Workers(options.peers, options.threads) as workers:
        known = ways(workers, options, task, model, file, calibration)
        taking_part = {name: way for name, way in known.items() if way.worker is not None}
        contenders: dict[str, Ask] = {
            name: partial(predict, name, way.worker, way.asked) for name, way in taking_part.items() if way.worker
        }
        size = material.size_of(model)
        gemm = workers.own("gemm", "products", hidden=size.hidden)
        assert gemm is not None, workers.absent
        rates = {one: f"products, {one}" for one in ("fp32", "bf16")}
        contenders |= {name: partial(products, gemm, one) for one, name in rates.items()}
        absent = dict(workers.absent)
        seconds = interleave(contenders, options.rounds, absent=absent)
        versions = workers.versions
    return results.case(
        "inference",
        task,
        threads=options.threads,
        versions=versions,
        unit="examples/s",
        contenders=table(taking_part, seconds, rows, labels, size.operations(backward=False), rates),
        absent=absent,
        settings={
            "rows": len(rows),
            "tokens": round(float(rows.lengths.mean()), 1),
            "batch_size": BATCH_SIZE,
            "rounds": options.rounds,
        },
        reference=REFERENCE,
        products={one: Spread.of([1e-9 / value for value in seconds[name]]).as_json() for one, name in rates.items()},
    )


def table(
    taking_part: dict[str, Way],
    seconds: dict[str, list[float]],
    rows: Rows,
    labels: dict[str, list[int]],
    operations: int,
    rates: dict[str, str],
) -> list[dict[str, Any]]:
    """What is said of each contender."""
    tokens, found = int(rows.lengths.sum()), []
    agreement: Callable[[str], int] = lambda name: sum(  # noqa: E731
        one == other for one, other in zip(labels[name], labels[REFERENCE], strict=True)
    )
    for name, way in taking_part.items():
        if name not in seconds:
            continue
        taken = seconds[name]
        share = None
        if way.precision in rates:  # no rate of int8 is measured
            inverse = seconds[rates[way.precision]]
            share = Spread.of([operations * tokens * i / s for i, s in zip(inverse, taken, strict=True)]).as_json()
        found.append(
            {
                "name": name,
                "precision": way.precision,
                "speed": Spread.of([len(rows) / one for one in taken]).as_json(),
                "ratio": ratios(seconds[REFERENCE], taken).as_json(),
                "share": share,
                "labels": agreement(name),
            }
        )
    return found


def main(words: list[str] | None = None) -> None:
    """The command line."""
    parser = options.parser(__doc__, rounds=3)
    parser.add_argument("--tasks", default="rte,sst2")
    parser.add_argument("--phrases", type=int, default=1000, help="of SST-2")
    parser.add_argument("--no-mindspore", action="store_true")
    given = parser.parse_args(words)
    for task in given.tasks.split(","):
        found = measure(given, task)
        results.store(found, given.results)
        results.show(found)


if __name__ == "__main__":
    main()
