"""What is told of a run before its first step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from bertcore.config import RunConfig, TrainConfig
from bertcore.contracts.parameters import FitReport
from bertcore.contracts.ranks import Ranks
from bertcore.engine.adapters import describe_adapter
from bertcore.engine.choice import describe
from bertcore.engine.loss_options import describe_loss
from bertcore.engine.parameter_groups import describe_groups, trained_names
from bertcore.engine.preparation import data_names
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.schedule import nothing_is_learned
from bertcore.engine.teacher import TeacherOutputs
from bertcore.engine.unfreezing import never_begun


def run_header(prepared: PreparedRun, config: RunConfig, folder: Path) -> dict[str, str]:
    """What the run does, in the order in which it is shown.

    Args:
        prepared: what all seeds share.
        config: of this seed.
        folder: of this seed.
    """
    source, train = prepared.source, config.train
    training = prepared.training
    kernels = prepared.target.describe_kernels()
    splits = ["train (stream)" if training is None else training.describe(), prepared.evaluation.describe()]
    return {
        "task": prepared.task.name,
        "backend": prepared.target.describe(),
        "device": prepared.target.device,
        **({"kernels": kernels} if kernels is not None else {}),
        **({} if prepared.ranks.is_alone else {"ranks": _ranks(prepared.ranks)}),
        "precision": f"{config.run.precision}, evaluation {config.evaluate.precision}",
        "model": f"{config.model.path} ({source.family.name}, {source.config.num_hidden_layers} layers, "
        f"hidden size {source.config.hidden_size})",
        "data": f"{data_names(config.data)}: {', '.join(splits)}, at most {prepared.encoder.max_length} tokens",
        "training": f"{prepared.data.total_steps} steps of {train.batch_size * train.accumulation} examples, "
        f"learning rate {train.learning_rate:g}, seed {config.run.seed}",
        **({"loss": describe_loss(prepared.head)} if prepared.head.loss.given else {}),
        **_adapter(prepared),
        **({"groups": _groups(prepared)} if _has_rules(train) else {}),
        **({"teacher": _teacher(prepared.teacher, train)} if prepared.teacher is not None else {}),
        **({"best by": describe(prepared.metric)} if train.metric is not None else {}),
        "output": str(folder),
    }


def _ranks(ranks: Ranks) -> str:
    here = "" if ranks.local_size == ranks.size else f", {ranks.local_size} of them on this host"
    return f"{ranks.size} processes{here}, each on its part of every step"


def _teacher(teacher: TeacherOutputs, train: TrainConfig) -> str:
    return f"{teacher.origin}; temperature {train.distill.temperature:g}, weight {train.distill.weight:g}"


def _has_rules(train: TrainConfig) -> bool:
    settings = (train.layer_decay, train.freeze, train.unfreeze_epochs, train.lora.rank)
    return any(setting is not None for setting in settings) or bool(train.parameters)


def _groups(prepared: PreparedRun) -> str:
    """A line for each, for rules are easily written wrong."""
    return "\n".join(describe_groups(prepared.specification.groups, prepared.table))


def _adapter(prepared: PreparedRun) -> dict[str, str]:
    """What it is, and how little is trained."""
    if prepared.adapter is None:
        return {}
    sizes = {name: math.prod(spec.shape) for name, spec in prepared.table.items()}
    trained = sum(sizes[name] for name in trained_names(prepared.specification.groups, prepared.table))
    share = trained / sum(sizes.values())
    return {
        "adapter": describe_adapter(prepared.adapter),
        "trained": f"{trained:,} of {sum(sizes.values()):,} parameters ({share:.2%})",
    }


def run_notes(prepared: PreparedRun, fit: FitReport) -> Iterator[str]:
    """What the user should read: of data and tokenizer, of the weights, of the schedule."""
    yield from prepared.notes
    yield from prepared.source.weights.notes
    yield from _fit_notes(fit)
    late = never_begun(prepared.specification.groups, prepared.data.total_steps)
    if late is not None:
        yield late
    peaks = [group.learning_rate for group in prepared.specification.groups]
    note = nothing_is_learned(prepared.data.total_steps, prepared.config.train, peaks)
    if note is not None:
        yield note


def _fit_notes(fit: FitReport) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for name, reason in fit.initialized.items():
        groups.setdefault(reason, []).append(name)
    for reason, names in groups.items():
        yield f"new ({reason}): {', '.join(names)}"
    if fit.skipped:
        reasons = sorted(set(fit.skipped.values()))
        yield f"not used: {len(fit.skipped)} tensors ({', '.join(reasons)})"
