"""Learning, not only running: bertcore beside a peer on the same files, weights and hyper-parameters, over seeds.

Both sides train with each seed in turn, evaluate after each epoch and keep the best epoch; the table at the end has
mean and standard deviation over the seeds, since small sets swing with the seed.

    python -m benchmarks.accuracy.compare --task cola --data GLUE_DIR/CoLA --model sample --seeds 1,2,3
    python -m benchmarks.accuracy.compare --task cluener --data CLUENER_DIR --model FOLDER --crf --sides torch,mindspore

A side is ``torch`` or ``mindspore`` (bertcore on that backend), ``transformers`` (its Trainer) or ``bert4torch``
(with ``--bert4torch-python``, an interpreter that has it). ``--train-examples`` takes a subset, the same for all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.accuracy import results
from benchmarks.accuracy.official_files import LAYOUTS, write_subset

ROOT = Path(__file__).resolve().parents[2]
BERTCORE = str(Path(sys.executable).with_name("bertcore"))
KEPT = (
    *("train_examples", "dev_examples", "epochs", "batch_size", "learning_rate", "crf", "crf_learning_rate"),
    *("max_length", "threads"),
)
METRICS = {"cola": "matthews", "stsb": "pearson", "mrpc": "f1", "cluener": "f1", "people_daily": "f1"}


def train_bertcore(job: dict[str, Any], backend: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One run in a process of its own: MindSpore gives memory back only when its process ends."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run"
        options = {
            "train.epochs": job["epochs"],
            "train.batch_size": job["batch_size"],
            "train.learning_rate": job["learning_rate"],
            "data.max_length": job["max_length"],
            "train.group_by_length": str(job["group_by_length"]).lower(),
            **settings,
        }
        command = [BERTCORE, "run", "--task", job["task"], "--backend", backend]
        command += ["--model", job["named_model"], "--data", job["data"], "--seed", str(job["seed"])]
        command += ["--output", str(output), "--precision", job["precision"] if backend == "torch" else "fp32"]
        for key, value in options.items():
            command += ["--set", f"{key}={value}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(job))
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    history = [entry["metrics"] for entry in report["history"] if entry["kind"] == "evaluation"]
    return {"history": history, "examples_per_second": report["examples_per_second"]}


def train_peer(job: dict[str, Any], script: str, python: str) -> dict[str, Any]:
    command = [python, "-m", f"benchmarks.accuracy.{script}", json.dumps(job)]
    environment_of = environment(job)
    environment_of["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment_of.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment_of)
    return json.loads(result.stdout.splitlines()[-1])


def make_bert4torch_files(model: Path, folder: Path) -> dict[str, str]:
    """Weights and configuration in bert4torch's own form."""
    weights, config_file = folder / "bert4torch.bin", folder / "bert4torch_config.json"
    convert = ["convert", str(model), str(weights), "--to", "bert4torch"]
    subprocess.run([BERTCORE, *convert], check=True, stdout=subprocess.DEVNULL)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config_file.write_text(json.dumps({**config, "model": "bert"}))
    return {"bert4torch_weights": str(weights), "bert4torch_config": str(config_file)}


def environment(job: dict[str, Any]) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(job["threads"]), "TOKENIZERS_PARALLELISM": "false"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, choices=sorted(LAYOUTS))
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", default="sample")
    parser.add_argument("--sides", default="torch,transformers")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--crf", action="store_true")
    parser.add_argument("--crf-learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--group-by-length", action="store_true", help="bertcore and transformers")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="torch and transformers")
    parser.add_argument("--train-examples", type=int)
    parser.add_argument("--dev-examples", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--bert4torch-python", default=sys.executable)
    parser.add_argument("--output", type=Path, help="file of JSON lines that every run is added to")
    arguments = parser.parse_args()

    from bertcore.plugins.registry import Registry
    from bertcore.weights.opening import open_model

    sides = arguments.sides.split(",")
    metric = METRICS.get(arguments.task, "accuracy")
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        write_subset(arguments.task, arguments.data, data, arguments.train_examples, arguments.dev_examples)
        folder = open_model(arguments.model, Registry(), tensors=False).folder.resolve()
        job: dict[str, Any] = {
            "task": arguments.task,
            "data": str(data),
            "model": str(folder),
            "named_model": arguments.model,
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "learning_rate": arguments.learning_rate,
            "crf_learning_rate": arguments.crf_learning_rate,
            "max_length": arguments.max_length,
            "threads": arguments.threads,
            "group_by_length": arguments.group_by_length,
            "precision": arguments.precision,
        }
        if "bert4torch" in sides:
            job |= make_bert4torch_files(folder, Path(temporary))
        crf = {"head.crf": "true", "head.crf_learning_rate": arguments.crf_learning_rate} if arguments.crf else {}
        runs = []
        for seed in map(int, arguments.seeds.split(",")):
            for side in sides:
                started = time.perf_counter()
                if side == "transformers":
                    result = train_peer({**job, "seed": seed}, "peer_transformers", sys.executable)
                elif side == "bert4torch":
                    python = arguments.bert4torch_python
                    result = train_peer({**job, "seed": seed}, "peer_bert4torch", python)
                else:
                    result = train_bertcore({**job, "seed": seed}, side, crf)
                run = {
                    "task": arguments.task,
                    "model": folder.name if arguments.model != "sample" else "sample",
                    "side": side,
                    "seed": seed,
                    **{key: getattr(arguments, key) for key in KEPT},
                    "group_by_length": arguments.group_by_length and side != "bert4torch",
                    "precision": arguments.precision if side in ("torch", "transformers") else "fp32",
                    "metric": metric,
                    "scores": [round(entry[metric], 4) for entry in result["history"]],
                    "examples_per_second": round(result["examples_per_second"], 2),
                    "seconds": round(time.perf_counter() - started),
                }
                runs.append(run)
                print(f"seed {seed} {side}: {metric} by epoch {run['scores']}, {run['seconds']} s", flush=True)
                if arguments.output:
                    results.append(arguments.output, run)
    print(results.table(runs))


if __name__ == "__main__":
    main()
