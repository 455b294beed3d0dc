"""The configuration of a run: pydantic models, and where each value comes from.

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
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from bertcore.errors import ConfigError, Origin
from bertcore.near_misses import did_you_mean, nearest_path

ENVIRONMENT_PREFIX = "BERTCORE_"

FILE_OPTIONS = ("path", "train", "dev", "test")
"""Data options that name files or folders; a task's own options of these names count, too."""

DIVISION_OPTIONS = ("dev_fraction", "division", "division_seed")
"""Data options that take the split to evaluate from the training examples."""

OPTIONS_BESIDE_ROWS = frozenset({*FILE_OPTIONS, *DIVISION_OPTIONS, "cache", "stream_window"})
"""Data options that say where data lies or how it is held, and not what its rows are."""

NONE = "none"
"""How a value is switched off in a file, in the environment and in ``--set``; TOML has no null."""


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Section):
    """Where the weights come from."""

    path: str | None = Field(None, description="Hugging Face folder, weight file, hub name, or 'sample'")
    revision: str | None = Field(None, description="branch, tag or commit of a hub name")
    new_head: bool = Field(False, description="start a new head whatever the weights hold")


class DataConfig(Section):
    """What is read and how it becomes tokens. A task may add options of its own."""

    path: str | None = Field(None, description="folder of the task's files, or 'sample'")
    dev_fraction: float | None = Field(
        None, gt=0, lt=1, description="part of the training examples to evaluate on, where there is no file for that"
    )
    division: str | None = Field(None, description="file that names that part, as a run keeps it")
    division_seed: int = Field(42, ge=0, lt=2**63, description="seed of that part, and of folds")
    max_length: int | None = Field(None, ge=4, description="tokens of the longest row; default: what the model allows")
    lowercase: bool | None = Field(None, description="default: as the tokenizer's own files say")
    cache: bool = Field(True, description="keep encoded splits on disk")
    stream_window: int = Field(10_000, ge=1, description="examples held at a time of a streamed split")


class HeadConfig(Section):
    """What stands on top of the encoder. A task may add options of its own."""


class TrainConfig(Section):
    """How the model is trained."""

    epochs: float = Field(3.0, gt=0, description="passes over the training split")
    max_steps: int | None = Field(None, ge=1, description="optimizer steps, instead of epochs")
    batch_size: int = Field(32, ge=1, description="rows of a forward pass")
    accumulation: int = Field(1, ge=1, description="forward passes of an optimizer step")
    learning_rate: float = Field(5e-5, ge=0, description="peak learning rate")
    head_learning_rate: float | None = Field(
        None, ge=0, description="peak learning rate of the head; default: learning_rate"
    )
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="decay after the warm-up")
    warmup_ratio: float = Field(0.1, ge=0, le=1, description="part of all steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0, description="decoupled decay; biases and LayerNorm are spared")
    betas: tuple[float, float] = Field((0.9, 0.999), description="decay rates of AdamW's moments")
    eps: float = Field(1e-8, gt=0, description="AdamW's epsilon")
    clip_norm: float | None = Field(1.0, gt=0, description="largest global gradient norm; 'none' switches it off")
    dropout: bool = Field(True, description="false sets every dropout to zero")
    group_by_length: bool = Field(False, description="batches of rows of similar length")
    objective: str = Field("head_loss", description="what is minimized")
    objective_options: dict[str, Any] = Field(default_factory=dict, description="options of the objective")
    evaluate_steps: int | None = Field(None, ge=1, description="steps between evaluations; default: an epoch")
    metric: str | None = Field(
        None, description="what chooses the best checkpoint: a metric of the task, or loss; default: the task's own"
    )
    early_stopping: int | None = Field(None, ge=1, description="stop after so many evaluations without a better one")
    save_steps: int | None = Field(None, ge=1, description="steps between complete checkpoints; default: an epoch")
    keep_checkpoints: int = Field(
        2, ge=1, description="complete checkpoints that are kept; an earlier one is used where the last is damaged"
    )
    stop_after: int | None = Field(
        None, ge=1, description="stop with a checkpoint after so many steps; the schedule stays as it is"
    )
    log_steps: int = Field(10, ge=1, description="steps between logged losses")

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError("each must be at least 0 and below 1")
        return betas


class EvaluateConfig(Section):
    """How a model is evaluated."""

    batch_size: int = Field(64, ge=1, description="rows of a forward pass")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of predictions")


class RunSection(Section):
    """Where and how the run takes place."""

    output: str | None = Field(None, description="run folder; default: runs/TASK-BACKEND-TIME")
    device: str = Field("auto", description="device of the backend, as cpu or cuda:0")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of training")
    seed: int = Field(42, ge=0, lt=2**63, description="seed of data order, dropout and new parameters")
    trackers: tuple[str, ...] | None = Field(None, description="names of trackers; default: those on by default")


class RunConfig(Section):
    """Everything that determines a run."""

    task: str | None = Field(None, description="name of the task")
    backend: str | None = Field(None, description="name of the backend")
    model: ModelConfig = Field(default_factory=ModelConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    head: HeadConfig = Field(default_factory=HeadConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    run: RunSection = Field(default_factory=RunSection)


def config_model(data: type[DataConfig] = DataConfig, head: type[HeadConfig] = HeadConfig) -> type[RunConfig]:
    """Returns the configuration model with the options of a task."""
    if data is DataConfig and head is HeadConfig:
        return RunConfig
    return create_model(
        "RunConfig",
        __base__=RunConfig,
        data=(data, Field(default_factory=data)),
        head=(head, Field(default_factory=head)),
    )


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
        if isinstance(value, dict) and f"{prefix}{key}" != "train.objective_options":
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
        origins[setting.key] = setting.origin
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
        raise ConfigError(
            f"{key} = {textwrap.shorten(shown, 200)}: {first['msg'][0].lower()}{first['msg'][1:]}",
            f"bertcore config schema says what {key} may be",
            origin=Origin(origin) if origin else None,
            code="setting-wrong",
        ) from None


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each dotted key of a configuration model with its type in words."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from known_keys(annotation, f"{prefix}{name}.")
        else:
            words = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
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
    return value


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
    """Reads a value as TOML does, and as a plain string where that is no TOML (paths, names)."""
    if text.lower() == NONE:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
