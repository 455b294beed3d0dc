"""The same work by transformers' Trainer; prints one JSON line with the scores of each epoch.

Called by ``compare.py``. It imports nothing of bertcore: it reads the official files itself, and scores with
scikit-learn, scipy and seqeval.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import f1_score as entity_f1
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch.utils.data import SequentialSampler
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.accuracy.official_files import LAYOUTS, read_pairs, read_tagged


class OrderedTrainer(Trainer):  # type: ignore[misc]
    """Evaluates in the order of the file also where training groups by length, so that tags meet their sentence."""

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler[Any]:
        return SequentialSampler(eval_dataset)


def scores_of(task: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The task's official scores by independent libraries."""
    if task == "stsb":
        predicted = logits.reshape(-1)
        return {"pearson": float(pearsonr(predicted, labels)[0]), "spearman": float(spearmanr(predicted, labels)[0])}
    predicted = logits.argmax(axis=1)
    scores = {"accuracy": float(accuracy_score(labels, predicted))}
    if task == "cola":
        scores["matthews"] = float(matthews_corrcoef(labels, predicted))
    if task == "mrpc":
        scores["f1"] = float(f1_score(labels, predicted))
    return scores


def main() -> None:
    job: dict[str, Any] = json.loads(sys.argv[1])
    task, folder, layout = job["task"], Path(job["data"]), LAYOUTS[job["task"]]
    torch.set_num_threads(job["threads"])
    set_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    history: list[dict[str, float]] = []

    if layout.kind == "tags":
        splits = {split: read_tagged(task, folder, split) for split in ("train", "dev")}
        tags = sorted({tag for _, row in splits["train"] for tag in row})
        encoded = {
            split: [encode_tags(tokenizer, units, row, tags, job["max_length"]) for units, row in rows]
            for split, rows in splits.items()
        }
        model = AutoModelForTokenClassification.from_pretrained(job["model"], num_labels=len(tags), dtype=torch.float32)
        collator: Any = DataCollatorForTokenClassification(tokenizer)

        def score(prediction: Any) -> dict[str, float]:
            best, labels = prediction.predictions.argmax(-1), prediction.label_ids
            found = []
            for row, gold, (_, full) in zip(best, labels, splits["dev"], strict=True):
                predicted = [tags[tag] for tag, label in zip(row, gold, strict=True) if label != -100]
                found.append(predicted + ["O"] * (len(full) - len(predicted)))
            gold_tags = [row for _, row in splits["dev"]]
            history.append({"f1": float(entity_f1(gold_tags, found, mode="strict", scheme=IOB2))})
            return history[-1]
    else:
        pairs = {split: read_pairs(task, folder, split) for split in ("train", "dev")}
        encoded = {
            split: [
                {**tokenizer(*texts, truncation=True, max_length=job["max_length"]), "labels": label}
                for texts, label in rows
            ]
            for split, rows in pairs.items()
        }
        regression = layout.kind == "regression"
        labels = 1 if regression else 1 + max(label for _, label in pairs["train"])
        model = AutoModelForSequenceClassification.from_pretrained(
            job["model"],
            num_labels=labels,
            problem_type="regression" if regression else "single_label_classification",
            dtype=torch.float32,
        )
        collator = DataCollatorWithPadding(tokenizer)

        def score(prediction: Any) -> dict[str, float]:
            history.append(scores_of(task, prediction.predictions, prediction.label_ids))
            return history[-1]

    with tempfile.TemporaryDirectory() as output:
        trainer = OrderedTrainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                num_train_epochs=job["epochs"],
                per_device_train_batch_size=job["batch_size"],
                per_device_eval_batch_size=64,
                learning_rate=job["learning_rate"],
                warmup_steps=0.1,
                weight_decay=0.01,
                eval_strategy="epoch",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=job["seed"],
                use_cpu=True,
                bf16=job["precision"] == "bf16",
                train_sampling_strategy="group_by_length" if job["group_by_length"] else "random",
            ),
            train_dataset=encoded["train"],
            eval_dataset=encoded["dev"],
            data_collator=collator,
            compute_metrics=score,
        )
        speed = trainer.train().metrics["train_samples_per_second"]
    print(json.dumps({"history": history, "examples_per_second": speed}))


def encode_tags(
    tokenizer: Any, units: list[str], tags: list[str], names: list[str], max_length: int
) -> dict[str, list[int]]:
    """One token a character, as the published baselines do; an unknown character stays one token."""
    pieces = [tokenizer.tokenize(unit) for unit in units]
    ids = tokenizer.convert_tokens_to_ids([piece[0] if piece else tokenizer.unk_token for piece in pieces])
    ids = ids[: max_length - 2]
    labels = [names.index(tag) for tag in tags[: max_length - 2]]
    return {
        "input_ids": [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id],
        "attention_mask": [1] * (len(ids) + 2),
        "labels": [-100, *labels, -100],
    }


if __name__ == "__main__":
    main()
