"""From a file, the environment and the command line to a checked configuration.

Defaults < TOML file (``-c``) < environment (``BERTCORE_TRAIN__EPOCHS=3``) < command line (``--set train.epochs=3``).
"""

from __future__ import annotations

import difflib
import json
import os
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bertcore.config.sections import RunConfig
from bertcore.config.values import NONE, known_keys
from bertcore.errors import ConfigError, Origin
from bertcore.near_misses import did_you_mean, nearest_path

ENVIRONMENT_PREFIX = "BERTCORE_"

TABLES = ("train.objective_options", "head.class_weights")
"""Keys whose value is a table as a whole: its keys are no options, and may hold dots."""


@dataclass(frozen=True)
class Setting:
    """One value before it is checked.

    Attributes:
        key: dotted, as ``train.epochs``.
        value: as TOML reads it, or a string where it is no TOML.
        origin: where it comes from, in words.
        text: as it was written in the environment or on the command line; a key that holds text takes it as it is,
            so that a revision ``1234567`` is no number and a folder ``2024-05-01`` no date.
    """

    key: str
    value: Any
    origin: str
    text: str | None = None


@dataclass(frozen=True)
class ResolvedConfig:
    """A checked configuration and where each value that is not a default comes from."""

    config: RunConfig
    origins: Mapping[str, str]


def gather_settings(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> list[Setting]:
    """Collects settings in rising precedence: file, environment, ``--set`` assignments, command-line options.

    Raises:
        ConfigError: the file is missing or no TOML, or an assignment has no ``=``.
    """
    settings: list[Setting] = []
    if file is not None:
        settings += [Setting(key, _without_none(value), str(file)) for key, value in flatten(_read_toml(file))]
    variables = os.environ if environment is None else environment
    for name in sorted(variables):
        # Only names with a section or a top-level key are settings; BERTCORE_CACHE and the like are not.
        key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        if name.startswith(ENVIRONMENT_PREFIX) and ("." in key or key in ("task", "backend")):
            settings.append(Setting(key, _parse(variables[name]), f"environment {name}", variables[name]))
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key.strip():
            raise ConfigError(
                f"--set {assignment!r} is no assignment", "write --set section.key=value", code="assignment-wrong"
            )
        settings.append(Setting(key.strip(), _parse(value.strip()), "--set", value.strip()))
    for key, value in (options or {}).items():
        if value is not None:
            settings.append(Setting(key, value, "command line"))
    return settings


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values of nested sections by dotted keys."""
    for key, value in tree.items():
        if isinstance(value, dict) and f"{prefix}{key}" not in TABLES:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def resolve_config(settings: Sequence[Setting], model: type[RunConfig] = RunConfig) -> ResolvedConfig:
    """Checks settings against the model; the last setting of a key counts.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that does not fit (with its origin).
    """
    known = dict(known_keys(model))
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for setting in settings:
        parts = setting.key.split(".")
        # Dictionaries such as train.objective_options take keys of their own.
        key = next((".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in known), None)
        if key is None or (key != setting.key and "dict" not in known[key]):
            nearest = difflib.get_close_matches(setting.key, known, n=1, cutoff=0.5)
            tail = difflib.get_close_matches(parts[-1], [name.rpartition(".")[2] for name in known], n=1, cutoff=0.6)
            by_tail = [name for name in known if tail and name.rpartition(".")[2] == tail[0]]
            guess = (nearest or by_tail or [""])[0]
            raise ConfigError(
                f"unknown key {setting.key!r}",
                f"did you mean {guess!r}?" if guess else "bertcore config schema lists all keys",
                origin=Origin(setting.origin),
                code="setting-unknown",
            )
        node = tree
        for part in parts[:-1]:
            if not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        takes_text = known[key] in ("str", "str | None") and not isinstance(setting.value, str | None)
        value = setting.text if takes_text and setting.text is not None else setting.value
        node[parts[-1]] = dict(value) if isinstance(value, dict) else value  # a copy: later settings add keys to it
        origins[key] = setting.origin
    try:
        return ResolvedConfig(model.model_validate(tree), origins)
    except ValidationError as error:
        first = error.errors()[0]
        location = [str(part) for part in first["loc"]]
        key = next(
            (".".join(location[:end]) for end in range(len(location), 0, -1) if ".".join(location[:end]) in known),
            ".".join(location),
        )
        origin = next(
            (text for name, text in reversed(origins.items()) if name == key or name.startswith(key + ".")), ""
        )
        shown = " ".join(repr(first["input"]).split())
        # Of a table in a list, as train.parameters.0.factor, the entry is named; of a plain list only its key.
        named = ".".join(location) if location[:-2] and ".".join(location[:-2]) in known else key
        raise ConfigError(
            f"{named} = {textwrap.shorten(shown, 200)}: {first['msg'][0].lower()}{first['msg'][1:]}",
            f"bertcore config schema says what {key} may be",
            origin=Origin(origin) if origin else None,
            code="setting-wrong",
        ) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            str(error.strerror),
            did_you_mean(nearest_path(file), "give an existing TOML file with -c"),
            origin=Origin(str(file)),
            code="settings-unreadable",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(error), "correct the TOML file", origin=Origin(str(file)), code="settings-damaged"
        ) from None


def _without_none(value: Any) -> Any:
    """What a value of a file means, at any depth."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return None if value == NONE else value


def _parse(text: str) -> Any:
    """Reads a value as TOML or JSON does, and as a plain string where it is neither (paths, names)."""
    if text.lower() == NONE:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return _parse_json(text)


def _parse_json(text: str) -> Any:
    """Reads the lists and tables of JSON; what else JSON reads is TOML, too."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return _without_none(json.loads(text))
    except ValueError:
        return text
