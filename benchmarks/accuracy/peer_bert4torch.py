"""The same work in the way of bert4torch's NER script: its encoder, its CRF, AdamW; prints one JSON line of scores.

Called by ``compare.py`` with the interpreter of an environment that holds bert4torch. The weights come as its own file,
which ``bertcore convert --to bert4torch`` writes. Gold is cut nowhere: what is longer than the model is scored as
outside, as its users would find on the full files.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bert4torch.callbacks import FGM
from bert4torch.layers import CRF
from bert4torch.models import build_transformer_model
from seqeval.metrics import f1_score as entity_f1
from seqeval.scheme import IOB2
from torch import nn
from transformers import AutoTokenizer, get_linear_schedule_with_warmup

from benchmarks.accuracy.official_files import read_tagged


class Tagger(nn.Module):
    """Encoder, linear layer and CRF; `[CLS]` and `[SEP]` are tagged as outside, as in the script."""

    def __init__(self, job: dict[str, Any], tags: int, hidden_size: int) -> None:
        super().__init__()
        self.bert = build_transformer_model(
            config_path=job["bert4torch_config"], checkpoint_path=job["bert4torch_weights"]
        )
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(hidden_size, tags)
        self.crf = CRF(tags)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.bert([input_ids, torch.zeros_like(input_ids)])
        hidden = hidden[0] if isinstance(hidden, tuple | list) else hidden
        return self.fc(self.dropout(hidden))


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    random.seed(job["seed"])
    np.random.seed(job["seed"])
    torch.manual_seed(job["seed"])
    folder = Path(job["data"])
    splits = {split: read_tagged(job["task"], folder, split) for split in ("train", "dev")}
    tags = ["O", *sorted({tag for _, row in splits["train"] for tag in row} - {"O"})]
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    limit = job["max_length"] - 2
    cls_id, sep_id, pad_id = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id

    def encode(units: list[str]) -> list[int]:
        pieces = [tokenizer.tokenize(unit) for unit in units[:limit]]
        ids = tokenizer.convert_tokens_to_ids([piece[0] if piece else tokenizer.unk_token for piece in pieces])
        return [cls_id, *ids, sep_id]

    rows = {
        split: [(encode(units), [0, *(tags.index(tag) for tag in gold[:limit]), 0]) for units, gold in sentences]
        for split, sentences in splits.items()
    }

    def padded(batch: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        length = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [pad_id] * (length - len(ids)) for ids, _ in batch])
        labels = torch.tensor([gold + [0] * (length - len(gold)) for _, gold in batch])
        return ids, labels, ids != pad_id

    config = json.loads(Path(job["model"], "config.json").read_text(encoding="utf-8"))
    model = Tagger(job, len(tags), config["hidden_size"])
    crf_rate = job["crf_learning_rate"]
    groups = [
        {"params": [p for n, p in model.named_parameters() if not n.startswith("crf.")], "lr": job["learning_rate"]},
        {"params": list(model.crf.parameters()), "lr": crf_rate, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = -(-len(rows["train"]) // job["batch_size"]) * job["epochs"]
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * steps), steps)
    attack = FGM(model) if job.get("fgm") else None
    history, seconds = [], 0.0
    for _ in range(job["epochs"]):
        model.train()
        random.shuffle(rows["train"])
        started = time.perf_counter()
        for first in range(0, len(rows["train"]), job["batch_size"]):
            ids, labels, mask = padded(rows["train"][first : first + job["batch_size"]])
            model.crf(model(ids), mask, labels).backward()
            if attack is not None:  # as its AdversarialTraining does between the gradient and the step
                attack.attack()
                model.crf(model(ids), mask, labels).backward()
                attack.restore(emb_name="word_embeddings")
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        seconds += time.perf_counter() - started
        history.append({"f1": evaluate(model, rows["dev"], [gold for _, gold in splits["dev"]], tags, padded)})
    examples = len(rows["train"]) * job["epochs"]
    print(json.dumps({"history": history, "examples_per_second": examples / seconds}))


def evaluate(model: Tagger, rows: Any, gold: list[list[str]], tags: list[str], padded: Any) -> float:
    """Strict entity F1 of all sentences by seqeval."""
    model.eval()
    found: list[list[str]] = []
    with torch.no_grad():
        for first in range(0, len(rows), 64):
            batch = rows[first : first + 64]
            ids, _, mask = padded(batch)
            paths = model.crf.decode(model(ids), mask)
            paths = paths[0] if isinstance(paths, torch.Tensor) and paths.dim() == 3 else paths
            for path, (tokens, _) in zip(paths, batch, strict=True):
                found.append([tags[max(int(tag), 0)] for tag in path[1 : len(tokens) - 1]])
    complete = [row + ["O"] * (len(full) - len(row)) for row, full in zip(found, gold, strict=True)]
    return float(entity_f1(gold, complete, mode="strict", scheme=IOB2))


if __name__ == "__main__":
    main()
