"""bertcore's way from a file of texts to rows of tokens and batches."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from benchmarks.harness.serving import Clock, serve
from bertcore.data.encoder import EncodedSplit, Encoder
from bertcore.data.plans import plan_training
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.version import __version__


class Encoding:
    """Encodes the examples of one file.

    Args:
        file: table with the columns ``text``, ``text_pair`` and ``label``.
        model: Hugging Face folder, for its tokenizer.
        threads: what the environment says already.
    """

    def __init__(self, file: str, model: str, threads: int) -> None:
        self._task: Any = Registry().task("classification")
        self._options = self._task.data_config(train=file, cache=False)
        self._tokenizer = Tokenizer.load(Path(model))
        self._imported = _peak()

    def versions(self) -> dict[str, str]:
        """Of what computes."""
        import tokenizers

        return {"bertcore": __version__, "tokenizers": tokenizers.__version__}

    def encode(self) -> dict[str, float]:
        """Seconds of encoding what was read before."""
        dataset = self._task.open(self._options)
        split = dataset.split("train")
        with Clock() as clock:
            found = self._encoder(dataset).whole(split)
        return {"seconds": clock.seconds, "tokens": int(found.batch.offsets[-1])}

    def whole(self, batch_size: int) -> dict[str, float]:
        """Reads, encodes and plans an epoch; seconds of both parts, and MiB at most above what the imports took."""
        with Clock() as reading:
            dataset = self._task.open(self._options)
            split = dataset.split("train")
        with Clock() as encoding:
            found: EncodedSplit = self._encoder(dataset).whole(split)
            batches = plan_training(found.batch.lengths, batch_size, seed=1, epoch=0, group_by_length=True)
        return {
            "seconds": reading.seconds + encoding.seconds,
            "encoding": encoding.seconds,
            "mebibytes": _peak() - self._imported,
            "tokens": int(found.batch.offsets[-1]),
            "batches": len(batches),
        }

    def _encoder(self, dataset: Any) -> Encoder:
        return Encoder(self._task, self._options, self._tokenizer, SequenceClassification(dataset.labels), 128)


def _peak() -> float:
    """The most MiB that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    serve(Encoding)
