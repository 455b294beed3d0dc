"""Entries of a ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertcore.errors import ModelError, Origin

_LARGEST_SIZE = 2**31


def stated_architecture(config: Mapping[str, Any]) -> str:
    """The class of transformers that a ``config.json`` names, as ``BertForTokenClassification``, or ""."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def whole_number(config: Mapping[str, Any], key: str, origin: str, least: int = 1) -> int:
    """An entry as a whole number of at least ``least``; raises ModelError where it is none."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < _LARGEST_SIZE:
        raise ModelError(
            f"{key} is {value!r}, not a whole number from {least} on that an array can have",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    return value


def number(config: Mapping[str, Any], key: str, origin: str) -> float:
    """An entry that is there as a number; raises ModelError where it is none."""
    value = config[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ModelError(
            f"{key} is {value!r}, not a number",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    return float(value)
