"""The settings of a run, changed for what is done with it later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcore.config import (
    DIVISION_OPTIONS,
    FILE_OPTIONS,
    ResolvedConfig,
    RunConfig,
    Setting,
    config_model,
    config_values,
    known_keys,
    resolve_config,
)
from bertcore.data.records.description import recorded_settings
from bertcore.engine.backend_choice import with_only_backend
from bertcore.engine.preparation import (
    absolute,
)
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.tracking import with_trackers
from bertcore.errors import ConfigError, UsageError
from bertcore.plugins.registry import Registry


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


# What a resumed run may not change: it would no longer be the same run.
FIXED_ON_RESUME = (
    "task",
    "data.",
    "head.",
    "train.batch_size",
    "train.accumulation",
    "train.group_by_length",
    "train.objective",
    "train.adversarial",
    "train.r_drop",
    "train.ema",
    "train.lora",
    "model.adapter",
    "train.unfreeze_epochs",
    "train.distill.",
    "train.metric",
    "run.seed",
)


def resolve_run(settings: Sequence[Setting], registry: Registry) -> ResolvedConfig:
    """Checks settings against the options of their task, which may add some of its own.

    Raises:
        ConfigError: an unknown key or a value that does not fit.
        UsageError: there is no such task, or it takes a folder and single files are named.
    """
    settings = with_only_backend(settings, registry)
    name = next((setting.value for setting in reversed(settings) if setting.key == "task"), None)
    if name is None:
        return resolve_config(settings)
    task = registry.task(str(name))
    for setting in settings:
        section, _, option = setting.key.partition(".")
        if section == "data" and option in FILE_OPTIONS and option not in task.data_config.model_fields:
            raise UsageError(
                f"the task {task.name} takes a folder, no single file for the split {option}",
                "give --data FOLDER; the tasks classification, regression, ner and qa read files of your own",
                code="not-offered",
            )
    path = next((setting.value for setting in reversed(settings) if setting.key == "data.path"), None)
    if path is not None:
        settings = [*recorded_settings(str(path), task.name), *settings]
    return resolve_config(settings, config_model(task.data_config, task.head_config))


def changed_config(
    folder: RunFolder, registry: Registry, changes: Sequence[Setting], trackers: Sequence[str]
) -> RunConfig:
    """The configuration of a run with changes, those of :data:`FIXED_ON_RESUME` refused."""
    own = folder.settings()
    if any(setting.key == "backend" for setting in changes):
        # Another backend must not be asked for the device of the first.
        own = [setting for setting in own if setting.key != "run.device"]
    if any(setting.key == "train.schedule" for setting in changes):
        own = [setting for setting in own if not setting.key.startswith("train.schedule_options.")]
    before = config_values(resolve_run(own, registry).config)
    config = resolve_run(with_trackers([*own, *changes], trackers, registry), registry).config
    for key, value in config_values(config).items():
        if key in {"train.distill.teacher", *(f"data.{name}" for name in FILE_OPTIONS)}:
            value = absolute(value)
        if key.startswith(FIXED_ON_RESUME) and before.get(key) != value:
            raise ConfigError(
                f"{key} was {before.get(key)!r} and cannot become {value!r} in a resumed run",
                "leave it as it was, or start a new run",
                code="setting-fixed",
            )
    return config
