"""CTranslate2's encoder; the classifier stands on its pooled output in numpy, for it has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np

from benchmarks.harness.rows import read
from benchmarks.harness.serving import Clock, serve


class Model:
    """One encoder for each precision.

    Args:
        model: Hugging Face folder of a sequence classifier.
        rows: file of the rows.
        folder: where the converted model is kept.
        precisions: as it calls them: ``float32``, ``int8``.
        threads: of an encoder.
    """

    def __init__(self, model: str, rows: str, folder: str, precisions: list[str], threads: int) -> None:
        from safetensors.numpy import load_file

        if not (Path(folder) / "model.bin").exists():
            self._convert(model, folder)
        self._encoders = {
            precision: ctranslate2.Encoder(folder, device="cpu", compute_type=precision, intra_threads=threads)
            for precision in precisions
        }
        tensors = load_file(Path(model) / "model.safetensors")
        self._weight, self._bias = tensors["classifier.weight"], tensors["classifier.bias"]
        self._rows = read(rows)

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"ctranslate2": ctranslate2.__version__}

    def predict(self, batches: list[list[int]], precision: str) -> dict[str, Any]:
        """The best label of each row, in the order of the batches."""
        encoder, labels = self._encoders[precision], []
        with Clock() as clock:
            for batch in batches:
                ids = [self._rows.of("input_ids", row) for row in batch]
                types = [self._rows.of("token_type_ids", row) for row in batch]
                pooled = np.array(encoder.forward_batch(ids, token_type_ids=types).pooler_output)
                labels += (pooled @ self._weight.T + self._bias).argmax(-1).tolist()
        return {"seconds": clock.seconds, "labels": labels}

    def _convert(self, model: str, folder: str) -> None:
        import tempfile

        import torch
        from transformers import AutoTokenizer, BertModel

        with tempfile.TemporaryDirectory() as kept:
            BertModel.from_pretrained(model, dtype=torch.float32).save_pretrained(kept)
            AutoTokenizer.from_pretrained(model).save_pretrained(kept)
            values = json.loads((Path(kept) / "config.json").read_text(encoding="utf-8"))
            (Path(kept) / "config.json").write_text(json.dumps(values), encoding="utf-8")
            ctranslate2.converters.TransformersConverter(kept).convert(folder, force=True)


if __name__ == "__main__":
    serve(Model)
