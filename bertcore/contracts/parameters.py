"""Canonical parameters: Hugging Face names and shapes, float32, checked strictly against a table."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertcore.errors import ModelError, Origin, printable

_MOST_NAMED = 8
_LONGEST_NAME = 200

Parameters = dict[str, NDArray[np.float32]]
"""Canonical name to float32 array; linear weights are ``[out, in]``."""

Initializer = Literal["normal", "uniform", "zeros", "ones"]


@dataclass(frozen=True)
class ParameterSpec:
    """What a model expects under one canonical name.

    Attributes:
        shape: the shape of the array.
        initializer: how a new one is made: normal (mean 0, standard deviation ``initializer_range``), uniform (within
            one over the root of its columns, as peft begins LoRA), zeros or ones.
        optional: None where a file must hold it, else the reason why a file may lack it.
    """

    shape: tuple[int, ...]
    initializer: Initializer = "normal"
    optional: str | None = None


@dataclass(frozen=True)
class SkipRule:
    """A rule by which a key of a weight file is left out: a pattern of canonical names and the reason."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class FitReport:
    """What became of each key when weights met a table.

    Attributes:
        loaded: canonical names that were taken from the file.
        initialized: canonical name to the reason why it was made new.
        skipped: key of the file to the reason why it was left out.
    """

    loaded: tuple[str, ...]
    initialized: Mapping[str, str]
    skipped: Mapping[str, str]


class FittedParameters(NamedTuple):
    """Weights that fit a table.

    Attributes:
        parameters: all of the table, float32.
        report: what became of each key.
    """

    parameters: Parameters
    report: FitReport


def fit_parameters(
    table: Mapping[str, ParameterSpec],
    source: Mapping[str, NDArray[np.generic]],
    *,
    skip_rules: Sequence[SkipRule] = (),
    initializer_range: float = 0.02,
    seed: int = 0,
    new: Sequence[str] = (),
    origin: str = "the weights",
    encoder: str = "",
) -> FittedParameters:
    """Fits weights to a table: every name and shape must agree, but for what the table and the rules allow.

    Args:
        table: what the model expects.
        source: weights under canonical names, of any float dtype.
        skip_rules: keys of the source that carry nothing for this model.
        initializer_range: standard deviation of new normal parameters.
        seed: seed of new parameters, which depend on nothing but the seed and their name.
        new: names that are made new whatever the source holds.
        origin: where the weights come from, for the message.
        encoder: what names of the encoder begin with; others are of a head, which may be replaced.

    Raises:
        ModelError: keys are missing, unexpected or of another shape; the first of each kind are named.
    """
    parameters: Parameters = {}
    initialized: dict[str, str] = {}
    missing, misshapen = [], []
    for name, spec in table.items():
        if name in new:
            initialized[name] = "made new on request"
        elif name in source:
            if tuple(source[name].shape) == spec.shape:
                # A copy: whoever gets the parameters may change them, and the source may be a file map.
                parameters[name] = np.array(source[name], dtype=np.float32, order="C")
            else:
                misshapen.append(name)
        elif spec.optional is not None:
            initialized[name] = spec.optional
        else:
            missing.append(name)
    skipped: dict[str, str] = {}
    unexpected = []
    for name in source:
        if name in table:
            continue
        reason = next((rule.reason for rule in skip_rules if re.fullmatch(rule.pattern, name)), None)
        if reason is None:
            unexpected.append(name)
        else:
            skipped[name] = reason
    if missing or misshapen or unexpected:
        shapes = [
            f"{name}: shape {list(source[name].shape)} instead of {list(table[name].shape)}" for name in misshapen
        ]
        parts = [
            *_some([f"{printable(name, _LONGEST_NAME)}: missing" for name in missing], "missing"),
            *_some(shapes, "of another shape"),
            *_some([f"{printable(name, _LONGEST_NAME)}: unexpected" for name in unexpected], "unexpected"),
        ]
        odd = [*missing, *misshapen, *unexpected]
        of_head = encoder != "" and not any(name.startswith(encoder) for name in odd)
        raise ModelError(
            f"does not fit the model: {'; '.join(parts)}{_beginnings(missing, unexpected)}",
            "for another head, start a new one with --set model.new_head=true"
            if of_head
            else "check that config.json and the weights belong together",
            origin=Origin(origin),
            code="weights-mismatch",
        )
    # Made last, when every size is known to be one that the file has.
    made = {name: initial_value(name, table[name], initializer_range, seed) for name in initialized}
    parameters = {name: made[name] if name in made else parameters[name] for name in table}
    report = FitReport(tuple(name for name in table if name not in made), initialized, skipped)
    return FittedParameters(parameters, report)


def _some(problems: list[str], kind: str) -> list[str]:
    """The first problems of a kind and the last one, and how many there are between."""
    if len(problems) <= _MOST_NAMED:
        return problems
    return [*problems[: _MOST_NAMED - 1], f"{len(problems) - _MOST_NAMED} more {kind}", problems[-1]]


def _beginnings(missing: list[str], unexpected: list[str]) -> str:
    """What names that are unexpected begin with, where others are missing: they may be the same under other names."""
    if not missing or not unexpected:
        return ""
    counts = Counter(name.partition(".")[0] for name in unexpected).most_common(3)
    found = ", ".join(f"{printable(first, _LONGEST_NAME)}. ({count})" for first, count in counts)
    return f"; names of the file begin with {found}, those of the model with {missing[0].partition('.')[0]}."


def initial_value(name: str, spec: ParameterSpec, initializer_range: float, seed: int) -> NDArray[np.float32]:
    """Returns a new parameter, a pure function of its name and the seed, the same for every backend."""
    if spec.initializer == "zeros":
        return np.zeros(spec.shape, dtype=np.float32)
    if spec.initializer == "ones":
        return np.ones(spec.shape, dtype=np.float32)
    generator = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(name.encode())]))
    if spec.initializer == "uniform":
        bound = spec.shape[-1] ** -0.5
        return generator.uniform(-bound, bound, spec.shape).astype(np.float32)
    return generator.normal(0.0, initializer_range, spec.shape).astype(np.float32)
