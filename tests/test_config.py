"""Where each value of a configuration comes from, what is refused, and that a written file reads back the same."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from bertcore.config import (
    AdversarialOptions,
    DataConfig,
    DistillOptions,
    LoraOptions,
    ParameterRule,
    RunConfig,
    ScheduleOptions,
    Section,
    Setting,
    config_model,
    config_toml,
    config_values,
    gather_settings,
    key_descriptions,
    known_keys,
    resolve_config,
)
from bertcore.errors import ConfigError


def resolve(file: Path | None = None, environment: dict[str, str] | None = None, *assignments: str, **options: Any):
    return resolve_config(gather_settings(file, environment or {}, assignments, options))


def toml(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


def value_of(assignment: str) -> Any:
    """What a key is after ``--set``."""
    return config_values(resolve(None, None, assignment).config)[assignment.partition("=")[0].strip()]


# Precedence and origins


def test_a_later_source_wins_and_is_named(tmp_path):
    file = toml(tmp_path, 'task = "file"\nbackend = "file"\n[train]\nepochs = 1\nbatch_size = 1\nlog_steps = 1\n')
    environment = {
        "BERTCORE_BACKEND": "environment",
        "BERTCORE_TRAIN__BATCH_SIZE": "2",
        "BERTCORE_TRAIN__LOG_STEPS": "2",
    }
    settings = gather_settings(file, environment, ["train.log_steps=3", "train.log_steps=4"], {"run.seed": 5})
    resolved = resolve_config(settings)
    config = resolved.config
    assert (config.task, config.backend) == ("file", "environment")
    assert (config.train.epochs, config.train.batch_size, config.train.log_steps) == (1.0, 2, 4)
    assert config.run.seed == 5
    assert resolved.origins == {
        "task": str(file),
        "backend": "environment BERTCORE_BACKEND",
        "train.epochs": str(file),
        "train.batch_size": "environment BERTCORE_TRAIN__BATCH_SIZE",
        "train.log_steps": "--set",
        "run.seed": "command line",
    }


def test_an_option_of_the_command_line_wins_over_all(tmp_path):
    file = toml(tmp_path, "[run]\nseed = 1\n")
    settings = gather_settings(file, {"BERTCORE_RUN__SEED": "2"}, ["run.seed=3"], {"run.seed": 4, "run.device": None})
    resolved = resolve_config(settings)
    assert resolved.config.run.seed == 4
    assert resolved.config.run.device == "auto", "an option that was not given sets nothing"


def test_without_settings_all_is_default():
    resolved = resolve()
    assert resolved.config == RunConfig()
    assert resolved.origins == {}


def test_variables_that_are_no_settings_are_left_alone():
    environment = {"BERTCORE_CACHE": "/x", "PATH": "/y", "BERTCORE": "z", "OTHER_TRAIN__EPOCHS": "1"}
    assert gather_settings(None, environment) == []


def test_the_environment_is_the_process_by_default(monkeypatch):
    monkeypatch.setenv("BERTCORE_TRAIN__EPOCHS", "7")
    assert resolve_config(gather_settings()).config.train.epochs == 7


# What --set understands


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("train.epochs=2", 2.0),
        ("train.learning_rate=3e-5", 3e-5),
        ("train.learning_rate = 3e-5 ", 3e-5),
        ("train.dropout=false", False),
        ("train.dropout=False", False),
        ("train.clip_norm=none", None),
        ("train.clip_norm=None", None),
        ("train.max_steps=none", None),
        ("train.betas=[0.8, 0.9]", (0.8, 0.9)),
        ('run.trackers=["console", "curve"]', ("console", "curve")),
        ("run.trackers=[]", ()),
        ("train.schedule=cosine", "cosine"),
        ("train.schedule_options.timescale=none", None),
        ("model.path=/a/b c/d", "/a/b c/d"),
        ('model.path="quoted"', "quoted"),
        ("model.path=a=b", "a=b"),
        ("model.path=", ""),
        ("model.path=[brackets", "[brackets"),
        # Text stays text, whatever TOML would read in it.
        ("model.revision=1234567", "1234567"),
        ("model.revision=12e4", "12e4"),
        ("data.path=2024-05-01", "2024-05-01"),
        ("data.path=true", "true"),
        ("run.output=7 # the seventh", "7 # the seventh"),
        ('train.objective_options={alpha = 1, name = "x"}', {"alpha": 1, "name": "x"}),
        ('train.objective_options={"alpha": 1, "name": "none"}', {"alpha": 1, "name": None}),
        ("train.freeze=embeddings,layers.0-5", "embeddings,layers.0-5"),
        # Rules as TOML and as JSON.
        ('train.parameters=[{pattern = "head", factor = 2}]', ({"pattern": "head", "factor": 2.0},)),
        ('train.parameters=[{"pattern": "head", "frozen": true}]', ({"pattern": "head", "frozen": True},)),
    ],
)
def test_values_are_read_as_the_key_wants_them(assignment, value):
    found = value_of(assignment)
    assert found == value
    assert type(found) is type(value)


def test_options_of_an_objective_are_set_one_by_one_or_together(tmp_path):
    file = toml(tmp_path, "[train.objective_options]\nalpha = 1\nbeta = {deep = 2}\n")
    settings = gather_settings(file, {}, ["train.objective_options.alpha=3", "train.objective_options.gamma=x"])
    for _ in range(2):  # resolving changes no setting
        options = resolve_config(settings).config.train.objective_options
        assert options == {"alpha": 3, "beta": {"deep": 2}, "gamma": "x"}
    assert resolve_config(settings[:1]).config.train.objective_options == {"alpha": 1, "beta": {"deep": 2}}


# What is refused


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("train.epoch", "train.epochs"),
        ("train.leraning_rate", "train.learning_rate"),
        ("epochs", "train.epochs"),
        ("batch_sise", "batch_size"),
        ("train.warmup", "train.warmup_ratio"),
        ("trian.epochs", "train.epochs"),
        ("taks", "task"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(wrong, right):
    with pytest.raises(ConfigError) as caught:
        resolve(None, None, f"{wrong}=1")
    assert f"unknown key {wrong!r}" in caught.value.cause
    assert right in caught.value.remedy


@pytest.mark.parametrize("key", ["train", "train.epochs.x", "qqqq", ".", "train."])
def test_other_unknown_keys_are_refused_as_well(key):
    with pytest.raises(ConfigError, match="unknown key"):
        resolve(None, None, f"{key}=1")


def test_the_origin_of_an_unknown_key_is_named(tmp_path):
    file = toml(tmp_path, "[train]\nepoch = 1\n")
    with pytest.raises(ConfigError, match=r"run\.toml: unknown key 'train\.epoch'"):
        resolve(file)
    with pytest.raises(ConfigError, match=r"environment BERTCORE_TRAIN__EPOCH: unknown key"):
        resolve(None, {"BERTCORE_TRAIN__EPOCH": "1"})
    with pytest.raises(ConfigError, match=r"--set: unknown key"):
        resolve(None, None, "train.epoch=1")


@pytest.mark.parametrize(
    "assignment",
    [
        "train.epochs=0",
        "train.epochs=many",
        "train.epochs=inf",
        "train.epochs=none",
        "train.learning_rate=-1",
        "train.learning_rate=nan",
        "train.weight_decay=inf",
        "train.batch_size=0",
        "train.batch_size=1.5",
        "train.schedule=square",
        "train.betas=[0.9]",
        "train.betas=[0.9, 1.0]",
        "train.betas=[-0.1, 0.9]",
        "train.dropout=perhaps",
        "train.objective_options=5",
        "run.precision=fp8",
        "run.seed=-1",
        f"run.seed={2**63}",
        "run.trackers=console",
        "data.max_length=3",
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_origin(assignment):
    key, _, value = assignment.partition("=")
    with pytest.raises(ConfigError) as caught:
        resolve(None, None, assignment)
    assert caught.value.cause.startswith(f"--set: {key} = ")
    assert "\n" not in caught.value.cause
    assert key in caught.value.remedy
    with pytest.raises(ConfigError, match=f"environment BERTCORE_{key.upper().replace('.', '__')}"):
        resolve(None, {f"BERTCORE_{key.upper().replace('.', '__')}": value})


def test_the_origin_of_a_wrong_value_is_that_of_the_last_setting(tmp_path):
    file = toml(tmp_path, "[train]\nepochs = -1\n")
    with pytest.raises(ConfigError, match="--set: "):
        resolve(file, None, "train.epochs=-2")
    assert resolve(file, None, "train.epochs=2").config.train.epochs == 2, "only what counts is checked"


@pytest.mark.parametrize("assignment", ["train.epochs", "=3", " =3"])
def test_an_assignment_without_key_or_sign_is_refused(assignment):
    with pytest.raises(ConfigError, match="no assignment"):
        resolve(None, None, assignment)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[train\n", "line 1"),
        (b"task = \xff\n", "utf-8"),
        (b"task = 'a'\ntask = 'b'\n", "overwrite"),
        (None, "No such"),
    ],
)
def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path, content, words):
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        resolve(file)
    assert str(file) in caught.value.cause
    assert words in caught.value.cause
    assert "\n" not in str(caught.value.cause)


def test_a_configuration_does_not_change():
    config = RunConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.task = "other"
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 1.0


# Options of a task


class NewsData(DataConfig):
    column: str = Field("text", description="column of the text")
    parts: int = Field(1, ge=1, description="parts of a text")


def test_a_task_adds_options_of_its_own():
    model = config_model(data=NewsData)
    resolved = resolve_config([Setting("data.column", "title", "--set")], model)
    assert config_values(resolved.config)["data.column"] == "title"
    assert config_values(resolved.config)["data.parts"] == 1
    assert "data.column" in dict(known_keys(model))
    assert key_descriptions(model)["data.parts"] == "parts of a text"
    with pytest.raises(ConfigError, match=r"unknown key 'data\.column'"):
        resolve_config([Setting("data.column", "title", "--set")])
    with pytest.raises(ConfigError) as caught:
        resolve_config([Setting("data.colum", "title", "--set")], model)
    assert "data.column" in caught.value.remedy


def test_entries_of_a_table_of_weights_may_be_set_one_by_one():
    """The table says where its last entry comes from; names of labels may hold dots, if it is given as a whole."""
    whole = Setting("head.class_weights", {"a.b": 2.0}, "run.toml")
    resolved = resolve_config([whole, Setting("head.class_weights.c", 3, "--set")])
    assert resolved.config.head.class_weights == {"a.b": 2.0, "c": 3.0}
    assert resolved.origins["head.class_weights"] == "--set"


def test_every_key_is_described():
    described = key_descriptions(RunConfig)
    assert list(described) == [key for key, _ in known_keys(RunConfig)] == list(config_values(RunConfig()))
    assert [key for key, text in described.items() if not text] == []


# A written file reads back the same

TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: text != "none")  # how a file says None
NUMBERS = st.floats(min_value=1e-300, max_value=1e300)
OPTIONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


RULES = st.builds(
    lambda pattern, change: ParameterRule(pattern=re.escape(pattern), **change),
    TEXT.filter(bool),
    st.fixed_dictionaries({}, optional={"weight_decay": NUMBERS, "factor": NUMBERS})
    | st.fixed_dictionaries({"learning_rate": NUMBERS})
    | st.fixed_dictionaries({"frozen": st.booleans()}),
)


def values_for(model: type[Section]) -> st.SearchStrategy[Section]:
    """Any valid section: each key by its type, and the few that have bounds by these."""
    bounded = {
        "warmup_ratio": st.floats(0, 1),
        "layer_decay": st.none() | st.floats(0.001, 1),
        "micro_batch": st.none() | st.just("auto") | st.integers(1, 2**40),
        "parameters": st.lists(RULES, max_size=3).map(tuple),
        "dev_fraction": st.none() | st.floats(0.001, 0.999),
        "betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
        "objective_options": st.dictionaries(TEXT, OPTIONS, max_size=3),
        "schedule": st.sampled_from(["linear", "constant", "inverse_sqrt"]),  # the final rate of others has a bound
        "adversarial": st.sampled_from([None, "fgm", "pgd"]),
        "adversarial_options": st.just(AdversarialOptions()),  # with those of a method: tests/engine/test_objectives.py
        "r_drop": st.none(),  # which needs dropout
        "lora": st.sampled_from([LoraOptions(), LoraOptions(rank=8, alpha=4.0, dropout=0.1)]),
        "distill": st.sampled_from([DistillOptions(), DistillOptions(teacher="runs/large", weight=0.25)]),
        "ema": st.none() | st.floats(0.001, 0.999),
        "schedule_options": st.just(ScheduleOptions()),  # those that fit a schedule: tests/engine/test_schedule.py
        "trackers": st.none() | st.lists(TEXT, max_size=3).map(tuple),
        "seed": st.integers(0, 2**63 - 1),
        "label_smoothing": st.floats(0, 0.999),
        "class_weights": st.sampled_from([None, "balanced"]) | st.dictionaries(TEXT, NUMBERS, max_size=3),
    }
    by_type = {str: TEXT, bool: st.booleans(), int: st.integers(4, 2**40), float: NUMBERS, type(None): st.none()}
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if name in bounded:
            fields[name] = bounded[name]
        elif isinstance(annotation, type) and issubclass(annotation, Section):
            fields[name] = values_for(annotation)
        elif annotation in by_type:
            fields[name] = by_type[annotation]
        elif all(part in by_type for part in get_args(annotation)):
            fields[name] = st.one_of(*(by_type[part] for part in get_args(annotation)))
        else:
            fields[name] = st.sampled_from(get_args(annotation))  # Literal
    return st.builds(model, **fields)


@given(config=values_for(RunConfig))
def test_a_written_configuration_reads_back_the_same(config, tmp_path_factory):
    file = toml(tmp_path_factory.getbasetemp(), config_toml(config))
    assert resolve(file).config == config


def test_a_default_that_was_switched_off_stays_off(tmp_path):
    config = resolve(None, None, "train.clip_norm=none", "train.objective_options.alpha=none").config
    text = config_toml(config)
    assert 'clip_norm = "none"' in text
    again = resolve(toml(tmp_path, text)).config
    assert again.train.clip_norm is None
    assert again.train.objective_options == {"alpha": None}
    assert math.isclose(again.train.eps, 1e-8)
