"""What a training method changes: the same work with and without it, over seeds, each seed with every method in turn.

    python -m benchmarks.accuracy.methods --task rte --data GLUE_DIR/RTE --methods fgm,r_drop,ema --precision bf16
    python -m benchmarks.accuracy.methods --task cluener --data CLUENER_DIR --model FOLDER --train-examples 2000 \
        --methods fgm,ema --crf --bert4torch-python PYTHON

The baseline is always among them. The table has the mean of the best epoch's score, the difference from the baseline
seed by seed with its 95 % confidence interval (Student's t), and the time of a training step as a multiple of the
baseline's. Every run is added to ``--output``, and what stands there already is not run again.

With ``--bert4torch-python``, an interpreter that has bert4torch, its own FGM is run beside, on the tasks of entities.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.accuracy import results
from benchmarks.accuracy.compare import METRICS, make_bert4torch_files, train_bertcore, train_peer
from benchmarks.accuracy.official_files import LAYOUTS, write_subset

METHODS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "fgm": {"train.adversarial": "fgm"},
    "pgd": {"train.adversarial": "pgd"},
    "r_drop": {"train.r_drop": 4.0},
    "ema": {"train.ema": 0.99},
    "layer_decay": {"train.layer_decay": 0.9},
    "freeze_bottom": {"train.freeze": "embeddings,layers.0-1"},
    "label_smoothing": {"head.label_smoothing": 0.1},
    "focal": {"head.focal_gamma": 2.0},
    "class_weights": {"head.class_weights": "balanced"},
    "lora": {"train.lora.rank": 8},
    "unfreeze": {"train.unfreeze_epochs": 0.25},
    "global_pointer": {"head.kind": "efficient_global_pointer"},
}
BESIDE = {"baseline": "bert4torch", "fgm": "bert4torch_fgm"}
SAME_WORK = ("task", "model", "crf", "train_examples", "epochs", "batch_size", "learning_rate", "precision")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(LAYOUTS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="sample")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--methods", default="", help=f"of {', '.join(METHODS)}")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME:KEY=VALUE", help="changes a method's setting"
    )
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--crf", action="store_true")
    parser.add_argument("--crf-learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--train-examples", type=int)
    parser.add_argument("--dev-examples", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--bert4torch-python")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("methods.jsonl"))
    parser.add_argument("--table", action="store_true", help="shows what --output holds, and runs nothing")
    return parser.parse_args()


def settings_of(method: str, changes: list[str]) -> dict[str, Any]:
    """A method's settings, with those of ``--set NAME:KEY=VALUE``."""
    given = dict(METHODS[method])
    for change in changes:
        name, _, assignment = change.partition(":")
        if name == method:
            key, _, value = assignment.partition("=")
            given[key] = value
    return given


def measure(arguments: argparse.Namespace) -> None:
    """Runs what is not in the file of results yet."""
    from bertcore.plugins.registry import Registry
    from bertcore.weights.opening import open_model

    done = results.read(arguments.output) if arguments.output.exists() else []
    methods = ["baseline", *(name for name in arguments.methods.split(",") if name not in ("", "baseline"))]
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        write_subset(arguments.task, arguments.data, data, arguments.train_examples, arguments.dev_examples)
        folder = open_model(arguments.model, Registry(), tensors=False).folder.resolve()
        job: dict[str, Any] = {
            **{key: getattr(arguments, key) for key in ("task", "epochs", "batch_size", "learning_rate", "precision")},
            **{key: getattr(arguments, key) for key in ("crf_learning_rate", "max_length", "threads")},
            "group_by_length": False,
            "data": str(data),
            "model": str(folder),
            "named_model": arguments.model,
        }
        if arguments.bert4torch_python:
            job |= make_bert4torch_files(folder, Path(temporary))
        crf = {"head.crf": "true", "head.crf_learning_rate": arguments.crf_learning_rate} if arguments.crf else {}
        for seed in map(int, arguments.seeds.split(",")):
            for method in methods:
                given = settings_of(method, arguments.set)
                facts = _facts(arguments, folder, method, seed, given)
                if not _is_done(facts, done):
                    found = train_bertcore({**job, "seed": seed}, arguments.backend, {**crf, **given})
                    _keep(arguments.output, facts, found)
                if arguments.bert4torch_python and method in BESIDE:
                    facts = _facts(arguments, folder, BESIDE[method], seed, {}) | {"precision": "fp32"}
                    if not _is_done(facts, done):
                        beside = {**job, "seed": seed, "fgm": method == "fgm"}
                        found = train_peer(beside, "peer_bert4torch", arguments.bert4torch_python)
                        _keep(arguments.output, facts, found)


def _facts(
    arguments: argparse.Namespace, folder: Path, method: str, seed: int, given: dict[str, Any]
) -> dict[str, Any]:
    work = ("task", "crf", "train_examples", "dev_examples", "epochs", "batch_size", "learning_rate", "precision")
    return {
        **{key: getattr(arguments, key) for key in work},
        "model": "sample" if arguments.model == "sample" else folder.name,
        "backend": arguments.backend,
        "method": method,
        "settings": {key: str(value) for key, value in given.items()},
        "seed": seed,
        "metric": METRICS.get(arguments.task, "accuracy"),
    }


def _is_done(facts: dict[str, Any], done: list[dict[str, Any]]) -> bool:
    return any(all(run[key] == value for key, value in facts.items()) for run in done)


def _keep(output: Path, facts: dict[str, Any], found: dict[str, Any]) -> None:
    scores = [round(entry[facts["metric"]], 4) for entry in found["history"]]
    run = {**facts, "scores": scores, "examples_per_second": round(found["examples_per_second"], 2)}
    results.append(output, run)
    print(f"seed {run['seed']} {run['method']}: {run['metric']} by epoch {scores}", flush=True)


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: a row for each method beside its baseline, work by work."""
    lines = ["| work | method | score | against the baseline | time of a step |", "|---|---|---|---|---|"]
    works: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        key = tuple(run[name] for name in SAME_WORK if name != "precision")
        works.setdefault(key, []).append(run)
    for of_work in works.values():
        methods = dict.fromkeys((run["method"], str(run["settings"])) for run in of_work)
        for method, given in methods:
            own = {run["seed"]: run for run in of_work if (run["method"], str(run["settings"])) == (method, given)}
            base = "bertcore" if method in METHODS else "bert4torch"
            reference = "baseline" if base == "bertcore" else "bert4torch"
            others = {run["seed"]: run for run in of_work if run["method"] == reference}
            first = next(iter(own.values()))
            cells = [_work(first), _name(first), _score(own), _difference(own, others), _time(own, others)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _work(run: dict[str, Any]) -> str:
    data = "full" if run["train_examples"] is None else f"{run['train_examples']} examples"
    crf = " with CRF" if run["crf"] else ""
    return (
        f"{run['task']}{crf}, {data}, {run['epochs']} epochs of batches of {run['batch_size']}, "
        f"rate {run['learning_rate']:g}, {run['precision']}"
    )


def _name(run: dict[str, Any]) -> str:
    settings = ", ".join(f"`{key}={value}`" for key, value in run["settings"].items())
    return settings or run["method"]


def _best(run: dict[str, Any]) -> float:
    return 100 * max(run["scores"])


def _score(runs: dict[int, dict[str, Any]]) -> str:
    best = [_best(run) for run in runs.values()]
    deviation = f" ± {statistics.stdev(best):.1f}" if len(best) > 1 else ""
    return f"{statistics.fmean(best):.1f}{deviation} ({len(best)})"


def _difference(own: dict[int, dict[str, Any]], others: dict[int, dict[str, Any]]) -> str:
    """Mean of the differences of equal seeds, and half the width of its confidence interval."""
    differences = [_best(own[seed]) - _best(others[seed]) for seed in own if seed in others]
    if not differences or own == others:
        return ""
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return f"{mean:+.1f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.1f} ± {half:.1f}"


def _time(own: dict[int, dict[str, Any]], others: dict[int, dict[str, Any]]) -> str:
    """Median over seeds of how much longer a step takes than the baseline's of the same seed, which ran before it."""
    ratios = [others[seed]["examples_per_second"] / own[seed]["examples_per_second"] for seed in own if seed in others]
    return "" if own == others or not ratios else f"{statistics.median(ratios):.2f}"


def main() -> None:
    arguments = parse_arguments()
    if not arguments.table:
        measure(arguments)
    print(table(results.read(arguments.output)))


if __name__ == "__main__":
    main()
