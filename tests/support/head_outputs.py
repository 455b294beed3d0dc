"""Outputs of a head at random, for what is computed from outputs alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.testing.heads import CORE_HEADS, descriptions

CORE: dict[str, Head] = {name: head for name, head in descriptions().items() if head.name in CORE_HEADS}
"""The heads of the core by the names of their tests."""


def random_logits(head: Head, batch: Batch, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """All outputs of the head that are logits, as far apart as those of a trained model."""
    counts = {"row": len(batch), "token": len(batch.input_ids)}
    if batch.label_positions is not None:
        counts |= {"label": len(batch.label_positions), "pair": int(batch.pair_offsets[-1])}
    return {
        name: generator.normal(0, 2, (counts[per],) if per == "token" else (counts[per], head.output_size))
        for name, per in head.outputs.items()
        if name != "tags"
    }
