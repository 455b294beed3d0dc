r"""Learning-rate schedules, as transformers defines them.

    peak      /\__
             /    \__        each schedule is a decay;
            /        \__     the warm-up is common to all
    0      /            \
          |--|-----------|
       warm-up   decay      updates
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bertcore.config import Schedule, TrainConfig


def warmup_steps(total: int, warmup_ratio: float) -> int:
    """Number of warm-up steps, rounded up as in transformers' ``TrainingArguments.get_warmup_steps``."""
    # From total alone, not from the count of epochs: a resumed run, which knows its total, gets the same.
    return math.ceil(total * warmup_ratio)


def learning_rate_factor(update: int, total: int, options: TrainConfig) -> float:
    """Returns the part of the peak rate that an update uses.

    Args:
        update: updates done before this one, 0 to total; the first update of a warm-up has a rate of 0.
        total: updates of the whole run.
        options: the schedule and its options, the warm-up, and the peak that rates among the options are below.
    """
    # A rate belongs to the updates done before it, as in transformers: the first update of a warm-up has the rate 0,
    # and the last one of a run a rate above 0. Shifted by one, no step would equal its counterpart.
    warmup = warmup_steps(total, options.warmup_ratio)
    if update < warmup:
        return update / warmup
    return _DECAYS[options.schedule](_Moment(update, total, warmup), options)


def nothing_is_learned(total: int, options: TrainConfig, peaks: Iterable[float]) -> str | None:
    """Says why no step of a run changes a weight, and what helps; None where one does.

    Args:
        total: updates of the whole run.
        options: as in :func:`learning_rate_factor`.
        peaks: the peak rate of each group of parameters.
    """
    if not any(peak > 0 for peak in peaks):
        return "no weight will change: the learning rate is 0; --set train.learning_rate=2e-5 is usual"
    if any(learning_rate_factor(update, total, options) > 0 for update in range(total)):
        return None
    steps = "the only step" if total == 1 else f"each of the {total} steps"
    return (
        f"no weight will change: {steps} has the learning rate 0, as the first step of a warm-up has; "
        "train more steps, or --set train.warmup_ratio=0"
    )


@dataclass(frozen=True)
class _Moment:
    """An update after the warm-up."""

    update: int
    total: int
    warmup: int

    @property
    def progress(self) -> float:
        """The part of the decay that is done, 0 to 1."""
        return min(1.0, (self.update - self.warmup) / max(1, self.total - self.warmup))


def _linear(moment: _Moment, options: TrainConfig) -> float:
    return 1.0 - moment.progress


def _constant(moment: _Moment, options: TrainConfig) -> float:
    return 1.0


def _cosine(moment: _Moment, options: TrainConfig) -> float:
    """transformers' ``cosine``, and with a minimum its ``cosine_with_min_lr``."""
    return _down_to(options.schedule_options.minimum_rate, _half_wave(moment.progress), options)


def _cosine_with_restarts(moment: _Moment, options: TrainConfig) -> float:
    waves = options.schedule_options.cycles * moment.progress
    return _half_wave(waves % 1.0) if moment.progress < 1.0 else 0.0


def _polynomial(moment: _Moment, options: TrainConfig) -> float:
    remaining = 1.0 - moment.progress
    return _down_to(options.schedule_options.end_rate, remaining**options.schedule_options.power, options)


def _inverse_sqrt(moment: _Moment, options: TrainConfig) -> float:
    """Falls for ever; the total counts only for the warm-up."""
    timescale = options.schedule_options.timescale or moment.warmup or 10_000
    return math.sqrt(timescale / (moment.update - moment.warmup + timescale))


def _warmup_stable_decay(moment: _Moment, options: TrainConfig) -> float:
    steps = math.ceil(moment.total * options.schedule_options.decay_ratio)
    done = max(0, moment.update - (moment.total - steps))
    return _FALLS[options.schedule_options.decay_type](done / steps)


_DECAYS: Mapping[Schedule, Callable[[_Moment, TrainConfig], float]] = {
    "linear": _linear,
    "cosine": _cosine,
    "constant": _constant,
    "polynomial": _polynomial,
    "cosine_with_restarts": _cosine_with_restarts,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": _warmup_stable_decay,
}


def _half_wave(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


_FALLS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda progress: 1.0 - progress,
    "cosine": _half_wave,
    "1-sqrt": lambda progress: 1.0 - math.sqrt(progress),
}


def _down_to(rate: float, factor: float, options: TrainConfig) -> float:
    """Squeezes a factor of 1 to 0 between 1 and a final learning rate."""
    # A factor is common to all groups. As in transformers the rate is that of the encoder, and a head with a peak of
    # its own falls in proportion; without an encoder's peak there is no proportion, and all fall to 0.
    end = rate / options.learning_rate if options.learning_rate > 0 else 0.0
    return end + (1.0 - end) * factor
