"""Writes a transformers classifier as ONNX: as torch exports it, fused and quantized by onnxruntime's own tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness.serving import serve


class Export:
    """Export of one model.

    Args:
        model: Hugging Face folder of a sequence classifier.
        folder: where the files go.
        threads: not needed.
    """

    def __init__(self, model: str, folder: str, threads: int) -> None:
        import onnx

        self._model = model
        self._folder = Path(folder)
        self._version = onnx.__version__

    def versions(self) -> dict[str, str]:
        """Of what writes the files."""
        return {"onnx": self._version}

    def write(self) -> dict[str, str]:
        """The files by what they hold: ``plain``, ``fused``, ``int8``; kept where they are there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = {name: self._folder / f"{name}.onnx" for name in ("plain", "fused", "int8")}
        if not files["plain"].exists():
            self._export(files["plain"])
        if not files["fused"].exists():
            self._fuse(files["plain"], files["fused"])
        if not files["int8"].exists():
            from onnxruntime.quantization import QuantType, quantize_dynamic

            # Of the graph that is not fused: its tool knows the products there, and quantizes most of them.
            quantize_dynamic(files["plain"], files["int8"], weight_type=QuantType.QInt8, per_channel=True)
        return {name: str(file) for name, file in files.items()}

    def _export(self, file: Path) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification

        names = ["input_ids", "attention_mask", "token_type_ids"]
        model = AutoModelForSequenceClassification.from_pretrained(
            self._model, dtype=torch.float32, attn_implementation="eager"
        )
        model = model.eval()
        model.config.return_dict = False

        class Logits(torch.nn.Module):
            def __init__(self, inner: Any) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
                return self.inner(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]

        example = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in names)
        axes = {0: "rows", 1: "tokens"}
        with torch.no_grad():
            torch.onnx.export(
                Logits(model),
                example,
                str(file),
                input_names=names,
                output_names=["logits"],
                dynamic_axes={**dict.fromkeys(names, axes), "logits": {0: "rows"}},
                opset_version=17,
                dynamo=False,
            )

    def _fuse(self, plain: Path, fused: Path) -> None:
        from onnxruntime.transformers import optimizer

        values = json.loads((Path(self._model) / "config.json").read_text(encoding="utf-8"))
        done = optimizer.optimize_model(
            str(plain),
            model_type="bert",
            num_heads=values["num_attention_heads"],
            hidden_size=values["hidden_size"],
            opt_level=1,
        )
        done.save_model_to_file(str(fused))


if __name__ == "__main__":
    serve(Export)
