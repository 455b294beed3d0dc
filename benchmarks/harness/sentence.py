"""One sentence through a peer that brings no tokenizer: the ``tokenizers`` library, as fast as it can be asked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Sentence:
    """Tokenizes one text at a time.

    Args:
        model: Hugging Face folder with ``tokenizer.json``.
    """

    def __init__(self, model: str) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
        self._tokenizer.no_padding()

    def arrays(self, text: str) -> dict[str, np.ndarray]:
        """The inputs of a batch of one row."""
        found = self._tokenizer.encode(text)
        return {
            "input_ids": np.array([found.ids], dtype=np.int64),
            "attention_mask": np.ones((1, len(found.ids)), dtype=np.int64),
            "token_type_ids": np.array([found.type_ids], dtype=np.int64),
        }

    def timed(self, text: str, repeats: int, compute: Callable[[dict[str, np.ndarray]], np.ndarray]) -> dict[str, Any]:
        """Asks again and again, tokenizing each time; see :func:`timed`."""

        def ask() -> float:
            logits = compute(self.arrays(text))[0]
            exponents = np.exp(logits - logits.max())
            return float(exponents[0] / exponents.sum())

        return timed(ask, repeats)


def timed(ask: Callable[[], float], repeats: int) -> dict[str, Any]:
    """The median of the seconds of each answer, and the last answer."""
    seconds, answer = [], 0.0
    for _ in range(repeats):
        started = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - started)
    return {"seconds": statistics.median(seconds), "probability": answer}
