"""What losses give, and the scores that they take, as tuples: autograd passes tensors alone."""

from __future__ import annotations

from torch import Tensor

Scores = tuple[Tensor, Tensor, Tensor]
"""Transitions ``[from, to]``, start ``[tags]`` and end ``[tags]``."""

Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Losses ``[rows]``, and the gradients of each row: emissions ``[positions, tags]``, transitions
``[rows, tags, tags]``, start and end ``[rows, tags]``; all float32."""
