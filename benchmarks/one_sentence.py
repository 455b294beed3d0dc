"""How long one sentence takes: a model that stays open, `bertcore.predict` each time, and transformers.

Every round asks each of them once, in turn, so that what else the machine does meets all of them; shown are medians,
and the median over the rounds of the ratio to transformers' pipeline within a round. The sentence has 20 tokens.

    python benchmarks/one_sentence.py --model MODEL --rounds 50
    python benchmarks/one_sentence.py --model MODEL --rounds 20 --backend mindspore
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

import bertcore

SENTENCE = "The food was cold when it came, and nobody in the place seemed to care much."
ROWS = [{"text": text, "label": label} for text, label in (("fine", "good"), ("poor", "bad")) for _ in range(4)]
ORACLE = "transformers, pipeline"


def train(model: Path, output: Path) -> Path:
    """A classifier after one step; its speed is that of any other."""
    settings = {"train.max_steps": 1, "run.trackers": []}
    task = {"task": "classification", "backend": "torch", "train": ROWS, "dev": ROWS}
    return bertcore.run(**task, model=model, output=output, settings=settings).folder


def candidates(run: Path, model: bertcore.api.OpenModel, backend: str) -> dict[str, Callable[[], Any]]:
    """What is compared, by name; each returns the probability of the first label."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "best")
    network = transformers.AutoModelForSequenceClassification.from_pretrained(run / "best").eval()
    pipeline = transformers.pipeline("text-classification", model=network, tokenizer=tokenizer, top_k=None)
    label = network.config.id2label[0]

    def bare() -> float:
        with torch.inference_mode():
            return float(network(**tokenizer(SENTENCE, return_tensors="pt")).logits.softmax(-1)[0, 0])

    return {
        "bertcore.open": lambda: model.predict(SENTENCE)[0]["probabilities"][label],
        "bertcore.predict": lambda: bertcore.predict(run, SENTENCE, backend=backend)[0]["probabilities"][label],
        ORACLE: lambda: next(entry["score"] for entry in pipeline(SENTENCE)[0] if entry["label"] == label),
        "transformers, model and tokenizer alone": bare,
    }


def measure(compared: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, after two rounds that are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds + 2):
        for name, ask in compared.items():
            started = time.perf_counter()
            ask()
            seconds[name].append(time.perf_counter() - started)
    return {name: values[2:] for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--rounds", default=50, type=int)
    parser.add_argument("--batch-size", default=1, type=int, help="evaluate.batch_size of the open model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = train(options.model, Path(folder) / "run")
        batch_size = {"evaluate.batch_size": options.batch_size}
        with bertcore.open(run, backend=options.backend, settings=batch_size) as model:
            compared = candidates(run, model, options.backend)
            answers = {name: ask() for name, ask in compared.items()}
            assert max(answers.values()) - min(answers.values()) < 1e-4, answers
            seconds = measure(compared, options.rounds)
    for name, values in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(values, seconds[ORACLE], strict=True))
        print(f"{name:40} {1000 * statistics.median(values):8.1f} ms {ratio:8.2f} of the pipeline")


if __name__ == "__main__":
    main()
