"""The configuration of a run: its sections, where each value comes from, and how it is written.

``sections``
    what may be set, as pydantic models
``method_options``
    options of training methods
``parameter_rules``
    rules by which parameters get a learning rate and a decay
``resolution``
    from files, environment and command line to a checked configuration
``values``
    dotted keys and values, and TOML
"""

from __future__ import annotations

from bertcore.config.comma_lists import joined, words_of
from bertcore.config.method_options import (
    ADVERSARIES_OF_OPTION,
    SCHEDULE_OF_OPTION,
    AdversarialOptions,
    DistillOptions,
    LoraOptions,
    Schedule,
    ScheduleOptions,
)
from bertcore.config.parameter_rules import ParameterRule
from bertcore.config.resolution import (
    ENVIRONMENT_PREFIX,
    ResolvedConfig,
    Setting,
    flatten,
    gather_settings,
    resolve_config,
)
from bertcore.config.section import Section
from bertcore.config.sections import (
    DIVISION_OPTIONS,
    FILE_OPTIONS,
    OPTIONS_BESIDE_ROWS,
    DataConfig,
    EvaluateConfig,
    HeadConfig,
    ModelConfig,
    RunConfig,
    RunSection,
    TrainConfig,
    config_model,
)
from bertcore.config.values import NONE, config_toml, config_values, key_descriptions, known_keys

__all__ = [
    "ADVERSARIES_OF_OPTION",
    "DIVISION_OPTIONS",
    "ENVIRONMENT_PREFIX",
    "FILE_OPTIONS",
    "NONE",
    "OPTIONS_BESIDE_ROWS",
    "SCHEDULE_OF_OPTION",
    "AdversarialOptions",
    "DataConfig",
    "DistillOptions",
    "EvaluateConfig",
    "HeadConfig",
    "LoraOptions",
    "ModelConfig",
    "ParameterRule",
    "ResolvedConfig",
    "RunConfig",
    "RunSection",
    "Schedule",
    "ScheduleOptions",
    "Section",
    "Setting",
    "TrainConfig",
    "config_model",
    "config_toml",
    "config_values",
    "flatten",
    "gather_settings",
    "joined",
    "key_descriptions",
    "known_keys",
    "resolve_config",
    "words_of",
]
