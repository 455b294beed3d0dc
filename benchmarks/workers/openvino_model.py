"""OpenVINO on the ONNX file that torch wrote, in the precision of its hint; int8 after NNCF's calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

from benchmarks.harness.rows import read
from benchmarks.harness.sentence import Sentence
from benchmarks.harness.serving import Clock, serve

CALIBRATION = 300
"""Rows by which the ranges of activations are found."""


class Model:
    """One compiled model for each precision.

    Args:
        model: Hugging Face folder, for its tokenizer.
        plain: ONNX file.
        precisions: of ``fp32``, ``bf16``, ``int8``.
        threads: of a compiled model.
        rows: file of the rows; none for single sentences.
        calibration: file of rows for int8.
        latency: optimize for one row at a time.
    """

    def __init__(
        self,
        model: str,
        plain: str,
        precisions: list[str],
        threads: int,
        rows: str | None = None,
        calibration: str | None = None,
        latency: bool = False,
    ) -> None:
        core = openvino.Core()
        self._rows = None if rows is None else read(rows)
        self._sentence = Sentence(model)
        self._requests = {}
        for precision in precisions:
            network = core.read_model(plain)
            if precision == "int8":
                network = self._quantized(core, network, Path(plain).with_name("openvino-int8.xml"), calibration)
            settings = {
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",  # one request at a time, which has all threads, as every contender
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            }
            self._requests[precision] = core.compile_model(network, "CPU", settings).create_infer_request()

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"openvino": openvino.__version__.split("-")[0]}

    def predict(self, batches: list[list[int]], precision: str) -> dict[str, Any]:
        """The best label of each row, in the order of the batches."""
        assert self._rows is not None
        request, labels = self._requests[precision], []
        with Clock() as clock:
            for batch in batches:
                labels += request.infer(self._rows.padded(batch))[0].argmax(-1).tolist()
        return {"seconds": clock.seconds, "labels": labels}

    def sentence(self, text: str, precision: str, repeats: int) -> dict[str, Any]:
        """Seconds of one text, and the probability of the first label."""
        request = self._requests[precision]
        return self._sentence.timed(text, repeats, lambda arrays: np.asarray(request.infer(arrays)[0]))

    def _quantized(self, core: Any, network: Any, file: Path, calibration: str | None) -> Any:
        if not file.exists():
            import nncf

            assert calibration is not None
            found = read(calibration)
            data = nncf.Dataset([found.padded([row]) for row in range(min(CALIBRATION, len(found)))])
            done = nncf.quantize(
                network, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=min(CALIBRATION, len(found))
            )
            openvino.save_model(done, str(file), compress_to_fp16=False)
        return core.read_model(str(file))


if __name__ == "__main__":
    serve(Model)
