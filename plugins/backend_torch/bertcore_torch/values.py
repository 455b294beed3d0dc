"""Values into parts of a buffer, and out of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from bertcore.contracts.parameters import Parameters
from torch import Tensor


def to_numpy(views: Iterator[tuple[str, Tensor]]) -> Parameters:
    """Copies parts of a buffer to the host."""
    return {name: view.detach().cpu().numpy().copy() for name, view in views}


def from_numpy(views: Iterator[tuple[str, Tensor]], values: Parameters) -> None:
    """Copies arrays into parts of a buffer."""
    for name, view in views:
        view.copy_(torch.from_numpy(np.ascontiguousarray(values[name], dtype=np.float32)))
