"""transformers with one sentence at a time: its pipeline, and model with tokenizer alone."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from benchmarks.harness.sentence import timed
from benchmarks.harness.serving import serve


class Model:
    """A fine-tuned model.

    Args:
        model: Hugging Face folder of a sequence classifier.
        threads: of torch.
    """

    def __init__(self, model: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        networks = transformers.AutoModelForSequenceClassification
        self._network = networks.from_pretrained(model, dtype=torch.float32).eval()
        self._pipeline = transformers.pipeline(
            "text-classification", model=self._network, tokenizer=self._tokenizer, top_k=None, device="cpu"
        )

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def sentence(self, text: str, precision: str, repeats: int, label: str, pipeline: bool) -> dict[str, Any]:
        """Seconds of one text, and the probability of a label."""
        index = self._network.config.label2id[label]

        def whole() -> float:
            return next(float(entry["score"]) for entry in self._pipeline(text)[0] if entry["label"] == label)

        def alone() -> float:
            with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                logits = self._network(**self._tokenizer(text, return_tensors="pt")).logits
                return float(logits.float().softmax(-1)[0, index])

        return timed(whole if pipeline else alone, repeats)


if __name__ == "__main__":
    serve(Model)
