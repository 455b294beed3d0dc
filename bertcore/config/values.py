"""A configuration as dotted keys and values, and as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from bertcore.config.sections import RunConfig

NONE = "none"
"""How a value is switched off in a file, in the environment and in ``--set``; TOML has no null."""


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each dotted key of a configuration model with its type in words."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from known_keys(annotation, f"{prefix}{name}.")
        else:
            words = annotation.__name__ if isinstance(annotation, type) else re.sub(r"\b(\w+\.)+", "", str(annotation))
            yield f"{prefix}{name}", words


def key_descriptions(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Returns each dotted key of a configuration model with its description."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= key_descriptions(annotation, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field.description or ""
    return found


def config_values(config: RunConfig) -> dict[str, Any]:
    """Returns each dotted key with its value, in the order of the sections."""
    return {key: _value(config, key) for key, _ in known_keys(type(config))}


def config_toml(config: RunConfig) -> str:
    """Returns the configuration as a TOML file that ``-c`` reads back, without keys that are None by default."""
    defaults = config_values(type(config)())
    sections: dict[str, list[str]] = {}
    for key, value in config_values(config).items():
        section, _, name = key.rpartition(".")
        if value is not None or defaults[key] is not None:
            sections.setdefault(section, []).append(f"{name} = {_toml_value(value)}")
    lines = sections.pop("", [])
    for section, entries in sections.items():
        lines += ["", f"[{section}]", *entries]
    return "\n".join(lines) + "\n"


def _value(config: BaseModel, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return tuple(rule.as_given() for rule in value) if key == "train.parameters" else value


def _toml_value(value: Any) -> str:
    if value is None:
        return _toml_value(NONE)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_value(str(key))} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
