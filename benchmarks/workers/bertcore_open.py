"""bertcore's open models, from texts to predictions as objects, one for each precision."""

from __future__ import annotations

from typing import Any

import bertcore
from benchmarks.harness.sentence import timed
from benchmarks.harness.serving import serve
from bertcore.plugins.registry import Registry


class Open:
    """Models that stay open.

    Args:
        run: folder of the run.
        backend: name of the backend.
        precisions: of predictions.
        threads: what the environment says already.
    """

    def __init__(self, run: str, backend: str, precisions: list[str], threads: int) -> None:
        self._backend = Registry().backend(backend)
        # A model that is asked for one text at a time is told so: what a graph is compiled for is one row.
        settings = {"evaluate.batch_size": 1}
        self._models = {
            one: bertcore.open(run, backend=backend, precision=one, settings=settings) for one in precisions
        }

    def versions(self) -> dict[str, str]:
        """Of bertcore and the framework."""
        return {"bertcore": bertcore.__version__, **self._backend.versions()}

    def sentence(self, text: str, precision: str, repeats: int, label: str) -> dict[str, Any]:
        """Seconds of one text, and the probability of a label."""
        model = self._models[precision]
        return timed(lambda: float(model.predict(text)[0]["probabilities"][label]), repeats)


if __name__ == "__main__":
    serve(Open)
