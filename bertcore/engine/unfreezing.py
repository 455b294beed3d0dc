"""Gradual unfreezing (Howard and Ruder 2018, arXiv 1801.06146, section 3.3): layers begin one by one, from above.

::

    train.unfreeze_epochs = 1, of a model with two layers

    epoch 0         epoch 1         epoch 2         epoch 3
    head, pooler    head, pooler    head, pooler    head, pooler
                    layers.1        layers.1        layers.1
                                    layers.0        layers.0
                                                    embeddings

What has not begun is as if frozen, as in a loop with torch that sets ``requires_grad``: it has no gradient, and neither
its moments nor its count of updates move.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bertcore.contracts.backend import ParameterGroup
from bertcore.contracts.parameters import ParameterSpec
from bertcore.engine.model_parts import HEAD, POOLER, ModelParts, parts_of
from bertcore.engine.parameter_groups import NO_DECAY
from bertcore.engine.training_data import SizedTrainingData, TrainingData
from bertcore.errors import ConfigError, UsageError
from bertcore.numerics.optimization import group_of


def unfrozen_by_epochs(
    groups: Sequence[ParameterGroup],
    table: Mapping[str, ParameterSpec],
    prefix: str,
    epochs: float,
    data: TrainingData,
) -> tuple[ParameterGroup, ...]:
    """Divides groups by the parts of the model, and lets each part begin so many epochs after the one above it.

    Parts of which nothing is trained are passed over. What does not fit into the run never begins.

    Args:
        groups: of the whole table.
        table: what the model has, in order.
        prefix: what stands before the encoder's canonical names.
        epochs: from one part to the next.
        data: knows how many steps an epoch has.

    Raises:
        UsageError: the data is a stream, whose epochs nobody knows beforehand.
        ConfigError: the model has no layers by their names.
    """
    if not isinstance(data, SizedTrainingData):
        raise UsageError(
            "train.unfreeze_epochs counts epochs, and the training split is a stream without a known end",
            "leave it out, or name files that are read whole",
            code="split-endless",
        )
    parts = parts_of(table, prefix)
    if not parts.layers:
        raise ConfigError(
            f"train.unfreeze_epochs = {epochs:g}: no layers are to be found in the names of the model",
            "leave it out, and freeze parts with train.freeze or train.parameters",
            code="parameters-missing",
        )
    group_numbers = {name: group_of(name, groups) for name in table}
    trained = [name for name, number in group_numbers.items() if groups[number].learning_rate > 0]
    order = _order(trained, parts)
    first_steps = {part: round(place * epochs * data.steps_per_epoch) for part, place in order.items()}
    return tuple(_divided(groups, group_numbers, parts, first_steps))


def never_begun(groups: Sequence[ParameterGroup], total_steps: int) -> str | None:
    """Says which groups the run is too short for; None where all begin."""
    late = [group.name for group in groups if group.first_step >= total_steps and not group.name.endswith(NO_DECAY)]
    if not late:
        return None
    return f"the run ends before these are trained: {', '.join(late)}; lower train.unfreeze_epochs, or train longer"


def _order(trained: Sequence[str], parts: ModelParts) -> dict[str, int]:
    """The place of each part that is trained, from above; head and pooler come together."""
    found = {parts.part_of[name] for name in trained}
    below = sorted(found - {HEAD, POOLER}, key=parts.depth, reverse=True)
    first = 1 if found & {HEAD, POOLER} else 0
    return {HEAD: 0, POOLER: 0, **{part: first + place for place, part in enumerate(below)}}


def _divided(
    groups: Sequence[ParameterGroup],
    group_numbers: Mapping[str, int],
    parts: ModelParts,
    first_steps: Mapping[str, int],
) -> Iterator[ParameterGroup]:
    for number, group in enumerate(groups):
        if group.learning_rate == 0:
            yield group
            continue
        members: dict[str, list[str]] = {}
        for name in group_numbers:
            if group_numbers[name] == number:
                members.setdefault(parts.part_of[name], []).append(name)
        for part in sorted(members, key=parts.depth, reverse=True):
            pattern = f"^(?:{'|'.join(map(re.escape, members[part]))})$"
            label = _label(group.name, part) if len(members) > 1 else group.name
            yield replace(group, name=label, pattern=pattern, first_step=first_steps[part])


def _label(name: str, part: str) -> str:
    """The part stands before what all groups without decay end in."""
    plain = name.removesuffix(NO_DECAY)
    return f"{plain}, {part}{name[len(plain) :]}"
