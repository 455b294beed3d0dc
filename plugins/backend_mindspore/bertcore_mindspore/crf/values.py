"""What the losses take and give, as tuples: a compiled graph knows no dataclass."""

from __future__ import annotations

from mindspore import Tensor

Scores = tuple[Tensor, Tensor, Tensor]
"""Transitions ``[from, to]``, start ``[tags]`` and end ``[tags]``, float32."""

Leaves = tuple[Tensor, Tensor, Tensor]
"""``leaf_rows``, ``leaf_tags`` and ``sequence_marks`` of :func:`bertcore_mindspore.crf.sequences.columns`."""

Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Losses ``[rows]``, and the gradients of each row: emissions ``[leaves, tags]``, transitions ``[rows, tags, tags]``,
start and end ``[rows, tags]``; all float32."""
