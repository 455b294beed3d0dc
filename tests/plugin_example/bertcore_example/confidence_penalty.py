"""Confidence penalty (Pereyra et al. 2017, arXiv 1701.06548): the description, which no framework is needed for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bertcore import Objective


@dataclass(frozen=True)
class ConfidencePenalty(Objective):
    """The head's loss, less by the entropy of what it predicts: to be sure costs.

    Attributes:
        beta: weight of the entropy, as ``--set train.objective_options.beta=0.2``.
    """

    beta: float = 0.1

    name: ClassVar[str] = "confidence_penalty"
