"""Objectives: frozen descriptions of what a training step minimizes.

The default is the head's own loss. An objective that needs a second forward pass (R-Drop, FGM, distillation) is a
description of its own, with an :class:`~bertcore.contracts.implementations.Implementation` for each backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head


@dataclass(frozen=True)
class Objective:
    """Base of all objectives; a subclass is a frozen dataclass whose fields are its options (all with defaults)."""

    kind: ClassVar[str] = "objective"
    name: ClassVar[str]

    def loss_count(self, head: Head, batch: Batch) -> float:
        """Number of things that the loss of a batch sums over; by default the head's own count."""
        return head.loss_count(batch)


@dataclass(frozen=True)
class HeadLoss(Objective):
    """The head's own loss, one forward pass."""

    name: ClassVar[str] = "head_loss"
