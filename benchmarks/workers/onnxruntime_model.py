"""onnxruntime on the files that its own tools wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from benchmarks.harness.rows import read
from benchmarks.harness.sentence import Sentence
from benchmarks.harness.serving import Clock, serve


class Model:
    """One session for each file.

    Args:
        model: Hugging Face folder, for its tokenizer.
        rows: file of the rows; none for single sentences.
        files: by precision.
        threads: of a session.
    """

    def __init__(self, model: str, files: dict[str, str], threads: int, rows: str | None = None) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        self._sessions = {
            precision: onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
            for precision, file in files.items()
        }
        self._rows = None if rows is None else read(rows)
        self._sentence = Sentence(model)

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        return {"onnxruntime": onnxruntime.__version__}

    def predict(self, batches: list[list[int]], precision: str) -> dict[str, Any]:
        """The best label of each row, in the order of the batches."""
        assert self._rows is not None
        session, labels = self._sessions[precision], []
        with Clock() as clock:
            for batch in batches:
                labels += session.run(None, self._rows.padded(batch))[0].argmax(-1).tolist()
        return {"seconds": clock.seconds, "labels": labels}

    def sentence(self, text: str, precision: str, repeats: int) -> dict[str, Any]:
        """Seconds of one text, and the probability of the first label."""
        session = self._sessions[precision]
        return self._sentence.timed(text, repeats, lambda arrays: np.asarray(session.run(None, arrays)[0]))


if __name__ == "__main__":
    serve(Model)
