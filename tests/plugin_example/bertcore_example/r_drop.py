"""R-Drop (Liang et al. 2021, arXiv 2106.14448): the description, which no framework is needed for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bertcore import Objective


@dataclass(frozen=True)
class RDropObjective(Objective):
    """The mean head loss of two passes with different dropout, plus their divergence.

    Attributes:
        alpha: weight of the divergence, as ``--set train.objective_options.alpha=1``.
    """

    alpha: float = 1.0

    name: ClassVar[str] = "r_drop"
