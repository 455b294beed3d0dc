"""Entries of a ``config.json``."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LARGEST_SIZE


def stated_architecture(config: Mapping[str, Any]) -> str:
    """The class of transformers that a ``config.json`` names, as ``BertForTokenClassification``, or ""."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def whole_number(config: Mapping[str, Any], key: str, origin: str, least: int = 1) -> int:
    """An entry as a whole number of at least ``least``; raises ModelError where it is none."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < LARGEST_SIZE:
        raise ModelError(
            f"{key} is {reprlib.repr(value)}, not a whole number from {least} on that an array can have",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    return value


def number(config: Mapping[str, Any], key: str, origin: str, most: float | None = None) -> float:
    """An entry that is there as a number from 0 on, and up to ``most``; raises ModelError where it is none."""
    value = config[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= (sys.float_info.max if most is None else most):
        raise ModelError(
            f"{key} is {reprlib.repr(value)}, not a number from 0 {'on' if most is None else f'to {most:g}'}",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    return float(value) + 0.0  # a zero below zero becomes one above
