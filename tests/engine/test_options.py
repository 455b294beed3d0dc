"""What the options of training do, seen from the events of real runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult, resume
from bertcore.contracts.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Note,
    RunStarted,
    StepDone,
    StepLogged,
    TrackerFactory,
)
from bertcore.errors import ConfigError, UsageError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.registry import Registry

pytest.importorskip("torch")


class Recorder:
    """A tracker that keeps every event."""

    events: list[Event]

    def __init__(self, run: RunStarted) -> None:
        Recorder.events = []

    def on_event(self, event: Event) -> None:
        Recorder.events.append(event)

    def close(self) -> None:
        pass


class RecorderPlugin:
    @staticmethod
    @bertcore.hookimpl
    def bertcore_register_trackers() -> list[TrackerFactory]:
        return [TrackerFactory("recorder", "keeps every event", Recorder)]


@pytest.fixture
def train(tiny_en: Path, small_rte: Path, tmp_path: Path) -> Callable[..., tuple[RunResult, list[Event]]]:
    """Runs with the given options of training, and returns the events with the result."""

    def run(name: str = "run", **options: Any) -> tuple[RunResult, list[Event]]:
        plugins = installed_plugins()
        plugins.register(RecorderPlugin, "recorder")
        settings = {"train.max_steps": 6, "train.batch_size": 8, "train.learning_rate": 3e-4, "train.log_steps": 1}
        result = bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=small_rte,
            output=tmp_path / name,
            registry=Registry(plugins),
            settings={**settings, **{f"train.{key}": value for key, value in options.items()}},
        )
        return result, list(Recorder.events)

    return run


Train = Callable[..., tuple[RunResult, list[Event]]]


def steps_of(events: list[Event], kind: type[Any]) -> list[int]:
    return [event.step for event in events if isinstance(event, kind)]


def losses_of(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, StepLogged)]


def tensors(folder: Path) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in read_safetensors(folder / "model.safetensors").items()}


def test_evaluations_checkpoints_and_logs_come_at_their_steps(train: Train) -> None:
    _, events = train(evaluate_steps=4, save_steps=3, log_steps=5)
    assert steps_of(events, Evaluated) == [4, 6]
    assert steps_of(events, StepLogged) == [5, 6]
    # An evaluation comes with a checkpoint, so that a run that goes on finds what it knew of the best.
    assert steps_of(events, CheckpointSaved) == [3, 4, 6]
    assert steps_of(events, StepDone) == [1, 2, 3, 4, 5, 6]


def test_by_default_an_evaluation_ends_each_epoch(train: Train) -> None:
    result, events = train(max_steps=None, epochs=2, batch_size=32)
    assert result.steps == 6
    assert steps_of(events, Evaluated) == [3, 6]
    assert [event.epoch for event in events if isinstance(event, Evaluated)] == [1, 2]
    assert [event.examples for event in events if isinstance(event, StepDone)] == [32, 32, 8] * 2


def test_accumulation_takes_so_many_batches_a_step(train: Train) -> None:
    result, events = train(max_steps=None, epochs=1, accumulation=4)
    assert result.steps == 3
    assert [event.examples for event in events if isinstance(event, StepDone)] == [32, 32, 8]


def test_accumulation_equals_one_large_batch(train: Train) -> None:
    one, _ = train("one", batch_size=24, dropout=False)
    three, _ = train("three", batch_size=8, accumulation=3, dropout=False)
    for name, value in tensors(one.folder / "checkpoint" / "model").items():
        np.testing.assert_allclose(tensors(three.folder / "checkpoint" / "model")[name], value, atol=2e-5, err_msg=name)


def test_early_stopping_counts_evaluations_without_a_better_one(train: Train) -> None:
    # Nothing is learned at a rate of zero, so that no evaluation is better than the first.
    result, events = train(max_steps=9, learning_rate=0.0, evaluate_steps=2, early_stopping=2)
    assert steps_of(events, Evaluated) == [2, 4, 6]
    assert [event.best for event in events if isinstance(event, Evaluated)] == [True, False, False]
    assert result.steps == 6
    assert result.best_step == 2
    assert result.finished
    notes = [event.text for event in events if isinstance(event, Note)]
    assert "stopped early: 2 evaluations without a better accuracy" in notes
    assert (result.folder / "report.json").is_file()
    # It is finished: going on adds no step, unless more patience is asked for.
    again = resume(result.folder)
    assert (again.steps, again.summary) == (6, result.summary)
    patient = resume(result.folder, settings={"train.early_stopping": 3})
    assert patient.steps == 8


def test_best_is_that_of_the_best_evaluation(train: Train) -> None:
    result, events = train(evaluate_steps=1, learning_rate=2e-3, max_steps=8)
    evaluations = [event for event in events if isinstance(event, Evaluated)]
    scores = [event.metrics["accuracy"] for event in evaluations]
    assert len(set(scores)) > 1
    first_best = scores.index(max(scores))
    assert result.best_step == evaluations[first_best].step
    assert result.metrics["accuracy"] == max(scores)
    assert [event.best for event in evaluations] == [
        score > max(scores[:index], default=-1.0) for index, score in enumerate(scores)
    ]
    assert bertcore.evaluate(result.folder).summary == result.summary


def test_a_frozen_encoder_stays_as_it_is_to_the_bit(train: Train) -> None:
    before, _ = train("before", learning_rate=0.0)
    after, _ = train("after", learning_rate=0.0, head_learning_rate=1e-2, weight_decay=0.5)
    old, new = tensors(before.folder / "checkpoint" / "model"), tensors(after.folder / "checkpoint" / "model")
    changed = {name for name in old if old[name].tobytes() != new[name].tobytes()}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_rates_of_the_groups_are_logged(train: Train) -> None:
    _, events = train(head_learning_rate=1e-2, warmup_ratio=0.0, schedule="constant")
    logged = [event.learning_rates for event in events if isinstance(event, StepLogged)]
    assert logged == [{"encoder, no decay": 3e-4, "encoder": 3e-4, "head, no decay": 1e-2, "head": 1e-2}] * 6


def test_groups_are_shown_where_rules_change_them(train: Train) -> None:
    def header_of(events: list[Event]) -> Any:
        return next(event for event in events if isinstance(event, RunStarted)).header

    _, events = train("plain", max_steps=1, head_learning_rate=1e-2)
    assert "groups" not in header_of(events)
    rules = [{"pattern": "bias$", "factor": 2, "weight_decay": 0.5}]
    _, events = train("rules", max_steps=1, layer_decay=0.5, freeze="embeddings, layers.0", parameters=rules)
    lines = header_of(events)["groups"].splitlines()
    # Layers of 128 and 512: the rates are 3e-4 x 0.5 ^ 2 of the last one, and twice 3e-4 x 0.5 ^ 3.
    weights, biases = 4 * 128 * 128 + 2 * 128 * 512 + 2 * 128, 7 * 128 + 512
    assert lines[1] == f"layers.1: 8 tensors, {weights:,} parameters, rate 7.5e-05, decay 0.01"
    assert f"bias$, layers.0: 8 tensors, {biases:,} parameters, rate 7.5e-05, decay 0" in lines
    assert lines[-1].startswith("frozen: 12 tensors, ")


def test_decay_spares_biases_and_layer_norm(train: Train) -> None:
    with_decay, _ = train("with", weight_decay=0.5, max_steps=2, warmup_ratio=0.0, dropout=False)
    without, _ = train("without", weight_decay=0.0, max_steps=2, warmup_ratio=0.0, dropout=False)
    one = tensors(with_decay.folder / "checkpoint" / "model")
    other = tensors(without.folder / "checkpoint" / "model")
    # The decay of the first step changes the gradients of the second a little, so compare sizes.
    for name, value in one.items():
        difference = np.linalg.norm(value - other[name])
        shrinkage = 2 * 3e-4 * 0.5 * np.linalg.norm(other[name])
        if name.endswith("bias") or "LayerNorm" in name:
            assert difference < 0.1 * shrinkage or difference < 1e-5, name
        else:
            assert difference > 0.5 * shrinkage, name


def test_grouping_by_length_takes_other_batches(train: Train) -> None:
    plain, plain_events = train("plain", dropout=False)
    grouped, grouped_events = train("grouped", dropout=False, group_by_length=True)
    losses = [
        [event.loss for event in events if isinstance(event, StepLogged)] for events in (plain_events, grouped_events)
    ]
    assert losses[0] != losses[1]
    assert plain.steps == grouped.steps == 6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"objective": "head_los"}, UsageError, "did you mean 'head_loss'"),
        ({"objective_options": {"weight": 2}}, UsageError, "weight"),
        ({"epochs": 0.0}, ConfigError, "train.epochs = 0.0"),
        ({"epochs": float("inf")}, ConfigError, "train.epochs = inf"),
        ({"betas": (0.9, 1.0)}, ConfigError, "train.betas"),
        ({"batch_size": 0}, ConfigError, "train.batch_size = 0"),
        ({"learning_rate": float("nan")}, ConfigError, "train.learning_rate = nan"),
        ({"weight_decay": float("inf")}, ConfigError, "train.weight_decay = inf"),
    ],
)
def test_options_that_cannot_be(
    train: Train, tmp_path: Path, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        train(**options)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_makes_it_another_run_cannot_change_when_going_on(train: Train, small_rte: Path) -> None:
    stopped, _ = train(stop_after=2)
    for key, value in (
        ("train.batch_size", 4),
        ("train.objective", "other"),
        ("train.adversarial", "fgm"),
        ("train.r_drop", 4.0),
        ("run.seed", 9),
        ("data.max_length", 9),
    ):
        with pytest.raises(ConfigError, match=key):
            resume(stopped.folder, settings={key: value})
    # The same folder by another name is the same data.
    assert resume(stopped.folder, settings={"data.path": str(small_rte / ".." / small_rte.name)}).finished


def test_more_steps_can_follow(train: Train) -> None:
    finished, _ = train(max_steps=2)
    again = resume(finished.folder)
    assert (again.steps, again.summary, again.best_step) == (2, finished.summary, 2)
    longer = resume(finished.folder, settings={"train.max_steps": 4})
    assert longer.steps == 4
    assert longer.finished
