"""What a model folder remembers of its run, so that whoever has the folder alone predicts as the run did.

It is one entry of ``config.json``, which transformers reads, keeps and writes back as it is, and which conversion
carries along: the length, the columns and all other options by which the model was trained and judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertcore.config import OPTIONS_BESIDE_ROWS, RunConfig, Setting, config_values, flatten
from bertcore.contracts.loss_options import LOSS_OPTIONS
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.model_folder import config_beside

ENTRY = "bertcore"
"""Name of the entry of ``config.json``."""

_SECTIONS = ("data", "head")
_SINGLE = ("task", "backend", "evaluate.precision")
# Names of files are none of a folder's business, also where a stranger wrote its config.json; and no prediction depends
# on how a loss was shaped.
_LEFT_OUT = {*(f"data.{name}" for name in OPTIONS_BESIDE_ROWS), *(f"head.{name}" for name in LOSS_OPTIONS)}


def remembered_settings(config: RunConfig, max_length: int) -> dict[str, Any]:
    """The entry for a model: whatever is no default, without the files of the run.

    Args:
        config: of the run, with the options that its data decided.
        max_length: tokens of the longest row.
    """
    defaults = config_values(type(config)())
    entry: dict[str, Any] = {}
    for key, value in {**config_values(config), "data.max_length": max_length}.items():
        if _is_remembered(key) and value != defaults.get(key):
            section, _, name = key.rpartition(".")
            (entry.setdefault(section, {}) if section else entry)[name] = value
    return entry


def settings_of_model(folder: Path, registry: Registry) -> list[Setting]:
    """The settings that a model folder remembers; none where it was not made by a run.

    Args:
        folder: the model folder.
        registry: the plugins; a backend that none of them brings is left out.

    Raises:
        ModelError: ``config.json`` is damaged.
    """
    entry = (config_beside(folder) or {}).get(ENTRY)
    origin = f"{folder / 'config.json'}: {ENTRY}"
    return [Setting(key, value, origin) for key, value in _entries(entry) if _applies(key, value, registry)]


def _entries(entry: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(entry, Mapping):
        yield from flatten(entry)


def _applies(key: str, value: Any, registry: Registry) -> bool:
    return _is_remembered(key) and (key != "backend" or value in registry.backends)


def _is_remembered(key: str) -> bool:
    return key not in _LEFT_OUT and (key in _SINGLE or key.startswith(tuple(f"{name}." for name in _SECTIONS)))
