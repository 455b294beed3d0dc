"""Learning-rate schedules, as transformers defines them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def warmup_steps(total: int, warmup_ratio: float) -> int:
    """Number of warm-up steps, rounded up as in transformers' ``TrainingArguments.get_warmup_steps``."""
    # From total alone, not from the count of epochs: a resumed run, which knows its total, gets the same.
    return math.ceil(total * warmup_ratio)


def learning_rate_factor(update: int, total: int, warmup: int, schedule: Schedule) -> float:
    """Returns the part of the peak rate that an update uses.

    Args:
        update: updates done before this one, from 0; the first update of a warm-up has a rate of 0.
        total: updates of the whole run.
        warmup: updates in which the rate rises from 0 to the peak.
        schedule: what comes after the warm-up: ``linear`` to 0, half a ``cosine`` to 0, or ``constant``.
    """
    # A rate belongs to the updates done before it, as in transformers: the first update of a warm-up has the rate 0,
    # and the last one of a run a rate above 0. Shifted by one, no step would equal its counterpart.
    if update < warmup:
        return update / max(1, warmup)
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (update - warmup) / max(1, total - warmup))
    return 1.0 - progress if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))


def nothing_is_learned(total: int, warmup: int, schedule: Schedule, peaks: Iterable[float]) -> str | None:
    """Says why no step of a run changes a weight, and what helps; None where one does.

    Args:
        total: updates of the whole run.
        warmup: as in :func:`learning_rate_factor`.
        schedule: likewise.
        peaks: the peak rate of each group of parameters.
    """
    if not any(peak > 0 for peak in peaks):
        return "no weight will change: the learning rate is 0; --set train.learning_rate=2e-5 is usual"
    if any(learning_rate_factor(update, total, warmup, schedule) > 0 for update in range(total)):
        return None
    steps = "the only step" if total == 1 else f"each of the {total} steps"
    return (
        f"no weight will change: {steps} has the learning rate 0, as the first step of a warm-up has; "
        "train more steps, or --set train.warmup_ratio=0"
    )
