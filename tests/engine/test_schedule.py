"""Learning rates against transformers' own schedules, update for update, and as a run logs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bertcore
from bertcore.config import (
    SCHEDULE_OF_OPTION,
    Schedule,
    ScheduleOptions,
    TrainConfig,
    config_toml,
    gather_settings,
    resolve_config,
)
from bertcore.engine.schedule import learning_rate_factor, nothing_is_learned, warmup_steps
from bertcore.errors import ConfigError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PEAK = 3e-4


def train_config(schedule: Schedule, ratio: float, options: dict[str, Any], **changes: Any) -> TrainConfig:
    values = {"learning_rate": PEAK, "schedule": schedule, "warmup_ratio": ratio, "schedule_options": options}
    return TrainConfig.model_validate(values | changes)


def factors(total: int, options: TrainConfig) -> list[float]:
    """As many as :func:`transformers_rates` gives."""
    updates = total + (warmup_steps(total, options.warmup_ratio) < total)
    return [learning_rate_factor(update, total, options) for update in range(updates)]


def transformers_rates(name: str, total: int, warmup: int, options: dict[str, Any], *peaks: float) -> list[list[float]]:
    """The rates that transformers' scheduler gives to the groups of an optimizer, update for update, and at the end."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in peaks or (PEAK,)]
    optimizer = torch.optim.SGD(groups, lr=(peaks or (PEAK,))[0])
    scheduler = transformers.get_scheduler(name, optimizer, warmup, total, scheduler_specific_kwargs=options)
    rates = []
    for update in range(total + 1):
        rates.append([group["lr"] for group in optimizer.param_groups])
        if update < total - (warmup == total):  # where all is warm-up, transformers' polynomial divides by 0 at the end
            optimizer.step()
            scheduler.step()
    return rates if warmup < total else rates[:total]


def counterpart(schedule: Schedule, total: int, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a schedule in transformers, where both may differ from ours."""
    if schedule == "cosine" and "minimum_rate" in options:
        return "cosine_with_min_lr", {"min_lr": options["minimum_rate"]}
    if schedule == "warmup_stable_decay":
        steps = math.ceil(total * options.get("decay_ratio", 0.1))
        return schedule, {"num_decay_steps": steps, "decay_type": options.get("decay_type", "cosine")}
    names = {"end_rate": "lr_end", "cycles": "num_cycles"}
    arguments = {names.get(name, name): value for name, value in options.items()}
    return "constant_with_warmup" if schedule == "constant" else schedule, arguments


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "minimum_rate": st.floats(0, PEAK / 2),
    "power": st.floats(0.25, 8),
    "end_rate": st.floats(0, PEAK / 2),
    "cycles": st.integers(1, 7),
    "timescale": st.integers(1, 1000),
    "decay_ratio": st.floats(0, 1, exclude_min=True),
    "decay_type": st.sampled_from(["linear", "cosine", "1-sqrt"]),
}


def some_options(schedule: Schedule) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the options of a schedule, given or left to their defaults."""
    own = {name: VALUES[name] for name, owner in SCHEDULE_OF_OPTION.items() if owner == schedule}
    return st.fixed_dictionaries({}, optional=own)


WITH_OPTIONS = st.sampled_from(get_args(Schedule)).flatmap(
    lambda schedule: st.tuples(st.just(schedule), some_options(schedule))
)


@settings(deadline=None)
@given(chosen=WITH_OPTIONS, total=st.integers(1, 120), ratio=st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
@example(chosen=("polynomial", {}), total=234, ratio=0.1)
@example(chosen=("polynomial", {"power": 2.0, "end_rate": 1e-5}), total=10, ratio=0.3)
@example(chosen=("polynomial", {}), total=1, ratio=1.0)
@example(chosen=("cosine_with_restarts", {"cycles": 3}), total=234, ratio=0.1)
@example(chosen=("cosine_with_restarts", {"cycles": 5}), total=3, ratio=0.0)
@example(chosen=("cosine", {"minimum_rate": 3e-5}), total=10, ratio=0.3)
@example(chosen=("inverse_sqrt", {}), total=10, ratio=0.0)
@example(chosen=("inverse_sqrt", {}), total=234, ratio=0.1)
@example(chosen=("warmup_stable_decay", {"decay_ratio": 1.0, "decay_type": "1-sqrt"}), total=10, ratio=0.3)
@example(chosen=("warmup_stable_decay", {"decay_ratio": 0.01}), total=10, ratio=1.0)
def test_every_rate_equals_that_of_transformers(
    chosen: tuple[Schedule, dict[str, Any]], total: int, ratio: float
) -> None:
    schedule, options = chosen
    name, arguments = counterpart(schedule, total, options)
    expected = [rate / PEAK for (rate,) in transformers_rates(name, total, warmup_steps(total, ratio), arguments)]
    found = factors(total, train_config(schedule, ratio, options))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "options"), [("cosine", {"minimum_rate": 1e-4}), ("polynomial", {"end_rate": 1e-4, "power": 2.0})]
)
def test_a_head_with_a_rate_of_its_own_ends_in_proportion_as_in_transformers(
    schedule: Schedule, options: dict[str, Any]
) -> None:
    name, arguments = counterpart(schedule, 10, options)
    expected = transformers_rates(name, 10, 2, arguments, PEAK, 1e-2)
    found = [[PEAK * factor, 1e-2 * factor] for factor in factors(10, train_config(schedule, 0.2, options))]
    assert [rate for pair in found for rate in pair] == pytest.approx([rate for pair in expected for rate in pair])


@pytest.mark.parametrize(("schedule", "to_0"), [("cosine", "cosine"), ("polynomial", "linear")])
def test_beside_a_frozen_encoder_the_head_falls_to_0(schedule: Schedule, to_0: str) -> None:
    found = factors(100, train_config(schedule, 0.1, {}, learning_rate=0.0))
    assert found == pytest.approx([rate / PEAK for (rate,) in transformers_rates(to_0, 100, 10, {})], abs=1e-12)


@settings(deadline=None)
@given(total=st.integers(1, 100_000), ratio=st.floats(0, 1))
def test_warmup_steps_equal_transformers(total: int, ratio: float) -> None:
    # transformers takes a ratio below one, or a number of steps; making whole arguments would look for devices.
    arguments = transformers.TrainingArguments.__new__(transformers.TrainingArguments)
    arguments.warmup_steps = ratio if ratio < 1 else total
    assert warmup_steps(total, ratio) == arguments.get_warmup_steps(total)


@pytest.mark.parametrize("schedule", get_args(Schedule))
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("total", [1, 2, 3, 10])
def test_no_rate_of_transformers_schedule_is_above_0_where_it_is_said(
    schedule: Schedule, ratio: float, total: int
) -> None:
    name, arguments = counterpart(schedule, total, {})
    rates = transformers_rates(name, total, warmup_steps(total, ratio), arguments)[:total]
    note = nothing_is_learned(total, train_config(schedule, ratio, {}), [PEAK])
    assert (note is not None) == (max(rates) == [0.0])


# Options


def test_every_option_belongs_to_a_schedule_and_says_to_which() -> None:
    fields = ScheduleOptions.model_fields
    assert set(SCHEDULE_OF_OPTION) == set(fields) == set(VALUES)
    for name, owner in SCHEDULE_OF_OPTION.items():
        assert (fields[name].description or "").startswith(f"{owner}: ")


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["schedule=polynomial", "schedule_options.pwer=2"], "did you mean 'train.schedule_options.power'"),
        (["schedule=polynomial", "schedule_options.power=0"], "train.schedule_options.power = 0"),
        (["schedule=cosine_with_restarts", "schedule_options.cycles=1.5"], "train.schedule_options.cycles = 1.5"),
        (["schedule=warmup_stable_decay", "schedule_options.decay_type=sqrt"], "schedule_options.decay_type = 'sqrt'"),
        (["schedule_options.power=2"], "power needs train.schedule=polynomial, and the schedule is linear"),
        (["schedule=cosine", "schedule_options.cycles=2"], "cycles needs train.schedule=cosine_with_restarts"),
        (["schedule=polynomial", "learning_rate=1e-7"], "end_rate 1e-07 is not below train.learning_rate 1e-07"),
        (["schedule=cosine", "schedule_options.minimum_rate=1"], "minimum_rate 1 is not below train.learning_rate"),
        (["schedule=square", "schedule_options.power=2"], "train.schedule = 'square'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(assignments: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config(gather_settings(None, {}, [f"train.{assignment}" for assignment in assignments]))
    assert words in f"{caught.value.cause} {caught.value.remedy}"


@given(chosen=WITH_OPTIONS)
def test_written_options_read_back_the_same(
    chosen: tuple[Schedule, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    schedule, options = chosen
    given_values = {f"train.schedule_options.{name}": value for name, value in options.items()}
    given_values |= {"train.schedule": schedule, "train.learning_rate": PEAK}
    config = resolve_config(gather_settings(None, {}, options=given_values)).config
    file = tmp_path_factory.getbasetemp() / "schedule.toml"
    file.write_text(config_toml(config), encoding="utf-8")
    assert resolve_config(gather_settings(file, {})).config == config


# In a run


RUNS: list[tuple[Schedule, dict[str, Any]]] = [
    ("linear", {}),
    ("constant", {}),
    ("cosine", {"minimum_rate": 1e-3}),
    ("polynomial", {"power": 2.0, "end_rate": 1e-3}),
    ("cosine_with_restarts", {"cycles": 2}),
    ("inverse_sqrt", {"timescale": 3}),
    ("warmup_stable_decay", {"decay_ratio": 0.5, "decay_type": "1-sqrt"}),
]


def in_a_run(tiny_task: dict[str, Any], schedule: Schedule, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Arguments of a run of eight steps at a peak of 0.01, three of them warm-up."""
    values = {"max_steps": 8, "warmup_ratio": 0.3, "schedule": schedule} | changes
    values |= {f"schedule_options.{name}": value for name, value in options.items()}
    return {**tiny_task, "settings": tiny_task["settings"] | {f"train.{name}": value for name, value in values.items()}}


def logged_rates(entries: list[dict[str, Any]]) -> list[float]:
    return [entry["learning_rates"]["encoder"] for entry in entries if entry["kind"] == "train"]


@pytest.mark.parametrize(("schedule", "options"), RUNS)
def test_a_run_logs_the_rates_of_transformers_and_resumes_with_them(
    tiny_task: dict[str, Any],
    tmp_path: Path,
    read_metrics: Callable[[Path], list[dict[str, Any]]],
    schedule: Schedule,
    options: dict[str, Any],
) -> None:
    stopped = bertcore.run(**in_a_run(tiny_task, schedule, options, stop_after=5), output=tmp_path / "run")
    assert not stopped.finished
    assert bertcore.resume(stopped.folder, settings={"train.stop_after": None}).finished
    name, arguments = counterpart(schedule, 8, options)
    expected = [rate for (rate,) in transformers_rates(name, 8, 3, arguments, 1e-2)[:8]]
    assert logged_rates(read_metrics(stopped.folder)) == pytest.approx(expected)


def test_a_resumed_run_may_change_its_schedule_and_starts_with_the_defaults_of_the_new_one(
    tiny_task: dict[str, Any], tmp_path: Path, read_metrics: Callable[[Path], list[dict[str, Any]]]
) -> None:
    run = in_a_run(tiny_task, "polynomial", {"power": 2.0, "end_rate": 1e-3}, stop_after=5)
    folder = bertcore.run(**run, output=tmp_path / "run").folder
    bertcore.resume(folder, settings={"train.schedule": "cosine", "train.stop_after": None})
    expected = [rate for (rate,) in transformers_rates("cosine", 8, 3, {}, 1e-2)]
    assert logged_rates(read_metrics(folder))[5:] == pytest.approx(expected[5:8])
