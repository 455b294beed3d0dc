"""What a run minimizes: the head's loss over the passes that the settings ask for, or an objective of a plugin."""

from __future__ import annotations

from dataclasses import replace

from bertcore.config import TrainConfig
from bertcore.contracts.objective import HeadLoss, Objective, Pass
from bertcore.errors import UsageError
from bertcore.plugins.registry import Registry


def choose_objective(options: TrainConfig, registry: Registry, backend: str) -> Objective:
    """The objective that the settings name, with the passes that they ask for.

    Raises:
        UsageError: the backend has no such objective, it has no such option, or passes are asked of one that is not
            the head's loss.
    """
    named = registry.objective(options.objective, options.objective_options, backend)
    asked = [f"train.{name}" for name in ("adversarial", "r_drop") if getattr(options, name) is not None]
    if options.distill.teacher is not None:
        asked.append("train.distill.teacher")
    if not isinstance(named, HeadLoss):
        if asked:
            raise UsageError(
                f"{' and '.join(asked)} belong to the head's loss, and the objective is {options.objective}",
                "leave train.objective out, or these settings",
                code="not-offered",
            )
        return named
    if options.objective_options:
        raise UsageError(
            f"the objective {options.objective} has no options to be set",
            "it follows from train.adversarial, train.r_drop and train.distill",
            code="argument-wrong",
        )
    objective = HeadLoss((*_clean(options), *_perturbed(options)), agreement=options.r_drop or 0.0)
    if options.distill.teacher is None:
        return objective
    return replace(objective, distillation=options.distill.weight, temperature=options.distill.temperature)


def _clean(options: TrainConfig) -> list[Pass]:
    return [Pass()] if options.r_drop is None else [Pass(0), Pass(1)]


def _perturbed(options: TrainConfig) -> list[Pass]:
    """Each with masks of its own, after those of the clean passes."""
    first, chosen = len(_clean(options)), options.adversarial_options
    if options.adversarial is None:
        return []
    if options.adversarial == "fgm":
        return [Pass(first, perturbed=chosen.epsilon)]
    last = chosen.steps - 1
    return [
        Pass(first + step, perturbed=chosen.alpha, weight=float(step == last), radius=chosen.epsilon)
        for step in range(chosen.steps)
    ]
