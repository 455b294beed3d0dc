"""The settings of a run, changed for what is done with it later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcore.config import DIVISION_OPTIONS, FILE_OPTIONS, Setting, config_model, known_keys
from bertcore.registry import Registry


def changed_settings(own: Sequence[Setting], changes: Sequence[Setting], registry: Registry) -> list[Setting]:
    """The settings of a run with changes, and without those of its own that the changes put out of place.

    Raises:
        UsageError: there is no task of the name that is given.
    """
    keys = {setting.key for setting in changes}
    stale: set[str] = set()
    if "backend" in keys:
        stale.add("run.device")  # another backend must not be asked for the device of the first
    files = {f"data.{name}" for name in FILE_OPTIONS}
    if "data.path" in keys:
        stale |= files  # single files would win over the folder
    if "data.path" in keys or keys & {"data.train", "data.dev"}:
        stale |= {f"data.{name}" for name in DIVISION_OPTIONS}  # it is of the examples of the run
    if keys & files and "data.path" not in keys:
        # A file of the run that is gone is not missed where another split is named.
        stale |= {setting.key for setting in own if setting.key in files and not Path(str(setting.value)).exists()}
    if "task" in keys:
        name = next(setting.value for setting in reversed(changes) if setting.key == "task")
        task = registry.task(str(name))
        known = {key for key, _ in known_keys(config_model(task.data_config, task.head_config))}
        stale |= {setting.key for setting in own if setting.key.startswith(("data.", "head."))} - known
    return [*(setting for setting in own if setting.key not in stale), *changes]
