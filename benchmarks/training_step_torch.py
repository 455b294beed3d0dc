"""One training step on torch: bertcore's packed rows against transformers, on the lengths of real RTE.

Every round takes one step with each candidate, in turn, so that what else the machine does meets all of them; the
speed-up is the median over the rounds of the ratio within a round. Dropout is on, AdamW is torch's fused one
everywhere, the norm is clipped at 1.

    python benchmarks/training_step_torch.py --data GLUE_DIR/RTE --model MODEL --rounds 12 --precisions fp32,bf16
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from bertcore_torch.session import TorchSession

from bertcore.contracts.backend import ParameterGroup, Precision, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.training_step import StepContext
from bertcore.data.plans import plan_training
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer

HEAD = SequenceClassification(("entailment", "not_entailment"))
RATE = 2e-5


def read_rows(data: Path, tokenizer: Tokenizer, max_length: int) -> Batch:
    with (data / "train.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    encoded = tokenizer.encode([row["sentence1"] for row in rows], [row["sentence2"] for row in rows], max_length)
    labels = np.array([HEAD.labels.index(row["label"]) for row in rows], dtype=np.int64)
    return from_rows(encoded.input_ids, encoded.token_type_ids, {"labels": Column(labels, "row")})


def batches(rows: Batch, size: int, group_by_length: bool) -> Iterator[Batch]:
    epoch = 0
    while True:
        for chosen in plan_training(rows.lengths, size, seed=1, epoch=epoch, group_by_length=group_by_length):
            if len(chosen) == size:
                yield rows.select(chosen)
        epoch += 1


def bertcore_step(model: transformers.PreTrainedModel, config_json: dict, precision: Precision) -> Callable:
    family = BertFamily()
    config = family.parse_config(config_json)
    groups = (ParameterGroup("no decay", r"bias$|LayerNorm", RATE, 0.0), ParameterGroup("rest", ".", RATE, 0.01))
    table = family.parameter_table(config, HEAD)
    nothing = np.zeros(0, dtype=np.int64)
    session = TorchSession(
        SessionSpecification(
            config=config,
            head=HEAD,
            table=table,
            device="cpu",
            precision=precision,
            prediction_precision="fp32",
            workload=Workload(nothing, nothing, 32, 32, config.max_length),
            code_of=partial(Registry().code_of, "torch"),
            training=TrainingSpecification(groups),
        )
    )
    state = model.state_dict()
    session.load({name: state[name].numpy() for name in table})
    steps = iter(range(1 << 60))

    def step(batch: Batch) -> float:
        context = StepContext(next(steps), 1, (RATE, RATE), float(len(batch)))
        return session.train_step([batch], context).loss_sum

    return step


def transformers_step(model: transformers.PreTrainedModel, pad_to: int | None, precision: Precision) -> Callable:
    model.train()
    spared = {name for name, _ in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name}
    groups = [
        {"params": [p for name, p in model.named_parameters() if (name in spared) == chosen], "weight_decay": decay}
        for chosen, decay in ((True, 0.0), (False, 0.01))
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)

    def step(batch: Batch) -> float:
        padded = batch.padded(len(batch), pad_to or int(batch.lengths.max()))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = model(
                input_ids=torch.from_numpy(padded.input_ids).long(),
                token_type_ids=torch.from_numpy(padded.token_type_ids).long(),
                attention_mask=torch.from_numpy(padded.attention_mask).long(),
                labels=torch.from_numpy(batch.columns["labels"].values),
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--precisions", default="fp32", help="comma-separated: fp32, bf16")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()

    rows = read_rows(arguments.data, Tokenizer.load(arguments.model), arguments.max_length)
    config_json = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))

    def model() -> transformers.PreTrainedModel:
        return transformers.AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=2)

    candidates: dict[str, tuple[Callable, Iterator[Batch]]] = {}
    for precision in arguments.precisions.split(","):
        for name, pad_to, grouped in (
            (f"transformers, padded to {arguments.max_length}", arguments.max_length, False),
            ("transformers, padded to the longest row", None, False),
            ("transformers, grouped by length", None, True),
        ):
            step = transformers_step(model(), pad_to, precision)
            candidates[f"{name}, {precision}"] = (step, batches(rows, arguments.batch_size, grouped))
        for name, grouped in (("bertcore", False), ("bertcore, grouped by length", True)):
            step = bertcore_step(model(), config_json, precision)
            candidates[f"{name}, {precision}"] = (step, batches(rows, arguments.batch_size, grouped))

    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(arguments.rounds + 1):
        for name, (step, stream) in candidates.items():
            batch = next(stream)
            start = time.perf_counter()
            step(batch)
            if round_number:
                seconds[name].append(time.perf_counter() - start)

    first = next(iter(candidates))
    report = []
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], times, strict=True))
        speed = arguments.batch_size / statistics.median(times)
        report.append({"candidate": name, "examples_per_second": round(speed, 2), "speed_up": round(ratio, 2)})
        print(f"{name:55} {speed:7.1f} examples/s   {ratio:5.2f} x")
    share = float(np.minimum(rows.lengths, arguments.max_length).mean() / arguments.max_length)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {share:.0%} of padded positions are tokens")
    if arguments.output:
        facts = {"torch": torch.__version__, "transformers": transformers.__version__, "rounds": arguments.rounds}
        arguments.output.write_text(json.dumps({**facts, "results": report}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
