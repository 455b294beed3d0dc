"""A script of transformers' Trainer as one writes it: trains, evaluates, saves. Its argument is a JSON object.

Rows come encoded from a file, which is less than a script has to do. Where ``first_step`` is named, that file is
written when the first step is done.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.harness.rows import Rows, read


class FirstStep(TrainerCallback):  # type: ignore[misc]
    """Tells that the first step is done."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
        """Called by the Trainer."""
        self._file.touch()


class Examples(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows as a Trainer wants them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self._rows.of("input_ids", index)
        return {
            "input_ids": ids,
            "token_type_ids": self._rows.of("token_type_ids", index),
            "attention_mask": [1] * len(ids),
            "labels": int(self._rows.labels[index]),
        }


def main() -> None:
    """Trains as the argument says."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = AutoModelForSequenceClassification.from_pretrained(job["model"], num_labels=2, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                max_steps=job["steps"],
                per_device_train_batch_size=job["batch_size"],
                per_device_eval_batch_size=job["batch_size"],
                learning_rate=2e-5,
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                bf16=job["precision"] == "bf16",
            ),
            train_dataset=Examples(read(job["train"])),
            eval_dataset=Examples(read(job["dev"])),
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[FirstStep(job["first_step"])] if job.get("first_step") else [],
        )
        trainer.train()
        trainer.evaluate()
        trainer.save_model(output)


if __name__ == "__main__":
    main()
