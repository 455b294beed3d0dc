"""RTE with several seeds: bertcore against transformers' Trainer on the same data, weights and hyper-parameters.

Both sides train with each seed in turn, evaluate after each epoch and keep the best epoch. The means are compared with
their standard errors; one example of RTE's dev set is 0.36 points.

    python benchmarks/accuracy_rte.py --data GLUE_DIR/RTE --seeds 1,2,3,4,5 --output accuracy.json
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import bertcore

LABELS = ("entailment", "not_entailment")


def read(file: Path) -> list[dict[str, str]]:
    lines = file.read_text(encoding="utf-8").rstrip("\n").split("\n")
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]


def train_bertcore(arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        result = bertcore.run(
            task="rte",
            backend=arguments.backend,
            model=arguments.model,
            data=arguments.data,
            output=Path(folder) / "run",
            seed=seed,
            settings={
                "train.epochs": arguments.epochs,
                "train.batch_size": arguments.batch_size,
                "train.learning_rate": arguments.learning_rate,
                "data.max_length": arguments.max_length,
                "run.trackers": (),
            },
        )
        history = json.loads((Path(folder) / "run" / "report.json").read_text(encoding="utf-8"))["history"]
    scores = [entry["metrics"]["accuracy"] for entry in history if entry["kind"] == "evaluation"]
    return {"best": max(scores), "last": scores[-1], "examples_per_second": result.examples_per_second}


def train_transformers(arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    import numpy as np
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from bertcore.models import open_model
    from bertcore.registry import Registry

    set_seed(seed)
    folder = open_model(arguments.model, Registry()).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(split: str) -> list[dict[str, object]]:
        rows = read(Path(arguments.data) / f"{split}.tsv")
        return [
            {
                **tokenizer(row["sentence1"], row["sentence2"], truncation=True, max_length=arguments.max_length),
                "labels": LABELS.index(row["label"]),
            }
            for row in rows
        ]

    scores: list[float] = []

    def accuracy(prediction: object) -> dict[str, float]:
        logits, labels = prediction  # type: ignore[misc]
        scores.append(float((np.argmax(logits, axis=1) == labels).mean()))
        return {"accuracy": scores[-1]}

    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32),
            args=TrainingArguments(
                output_dir=output,
                num_train_epochs=arguments.epochs,
                per_device_train_batch_size=arguments.batch_size,
                per_device_eval_batch_size=64,
                learning_rate=arguments.learning_rate,
                warmup_steps=0.1,
                weight_decay=0.01,
                eval_strategy="epoch",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=seed,
                use_cpu=True,
            ),
            train_dataset=encode("train"),
            eval_dataset=encode("dev"),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=accuracy,
        )
        metrics = trainer.train().metrics
    return {"best": max(scores), "last": scores[-1], "examples_per_second": metrics["train_samples_per_second"]}


def summarize(values: list[float]) -> tuple[float, float, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.fmean(values), deviation, deviation / math.sqrt(len(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="sample")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    sides = {"bertcore": train_bertcore, "transformers": train_transformers}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for seed in map(int, arguments.seeds.split(",")):
        for name, train in sides.items():
            started = time.perf_counter()
            runs[name].append(train(arguments, seed))
            print(f"seed {seed} {name}: {runs[name][-1]}, {time.perf_counter() - started:.0f} s", flush=True)
            if arguments.output:
                arguments.output.write_text(json.dumps({"arguments": vars(arguments) | {"output": None}, "runs": runs}))
    for figure in ("best", "last"):
        summary = {name: summarize([run[figure] for run in results]) for name, results in runs.items()}
        for name, (mean, deviation, error) in summary.items():
            print(f"{figure} epoch, {name}: mean {mean:.4f}, standard deviation {deviation:.4f}, error {error:.4f}")
        difference = summary["bertcore"][0] - summary["transformers"][0]
        error = math.hypot(summary["bertcore"][2], summary["transformers"][2])
        print(f"{figure} epoch, difference: {difference:+.4f} with a standard error of {error:.4f}")


if __name__ == "__main__":
    main()
