"""The shipped trackers, and that one which fails takes nothing with it."""

from __future__ import annotations

import errno
import io
import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bertcore.config import RunConfig
from bertcore.contracts.events import (
    Evaluated,
    Event,
    Note,
    RunFailed,
    RunFinished,
    RunStarted,
    StepDone,
    StepLogged,
    TrackerFactory,
)
from bertcore.data.records.tfrecord import read_records
from bertcore.engine.interrupt import Interrupted
from bertcore.engine.tracking import Trackers, open_trackers
from bertcore.errors import OutputError, UsageError
from bertcore.plugins.discovery import Plugins, installed_plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry
from bertcore.trackers.console import ConsoleTracker
from bertcore.trackers.metrics import MetricsTracker


def started(folder: Path, resumed_from: int = 0, history: Sequence[Mapping[str, Any]] = ()) -> RunStarted:
    return RunStarted(folder, {"task": "rte", "device": "cpu"}, 20, resumed_from, {}, history)


def logged(step: int, loss: float = 0.5) -> StepLogged:
    return StepLogged(step, step / 10, loss, {"encoder": 1e-4, "head": 1e-3}, 1.25, 80.0, 0.0)


def evaluated(step: int, accuracy: float = 0.75) -> Evaluated:
    return Evaluated("dev", step, step / 10, {"accuracy": accuracy}, {"accuracy": 0.5}, 8, 99.0, 1.26, True)


class Faulty:
    """A tracker that raises what it is told, where it is told."""

    def __init__(self, error: Exception, at: type[Event]) -> None:
        self.error = error
        self.at = at
        self.events: list[Event] = []
        self.closed = 0

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, self.at):
            raise self.error

    def close(self) -> None:
        self.closed += 1


def plugin_of(*factories: TrackerFactory) -> object:
    class Plugin:
        @staticmethod
        @hookimpl
        def bertcore_register_trackers() -> list[TrackerFactory]:
            return list(factories)

    return Plugin


def registry_of(*factories: TrackerFactory) -> Registry:
    plugins = Plugins()
    plugins.register(plugin_of(*factories), "test")
    return Registry(plugins)


# One that fails


@pytest.mark.parametrize("error", [ValueError("no such project"), ConnectionResetError("the server is gone")])
def test_one_that_raises_is_reported_once_and_muted(tmp_path: Path, error: Exception) -> None:
    faulty, listener = Faulty(error, StepLogged), Faulty(error, RunFailed)
    registry = registry_of(
        TrackerFactory("faulty", "", lambda run: faulty), TrackerFactory("listener", "", lambda run: listener)
    )
    trackers = Trackers(None, registry, started(tmp_path))
    for event in (logged(1), logged(2), evaluated(2)):
        trackers.send(event)
    trackers.close()
    assert [type(event) for event in faulty.events] == [RunStarted, StepLogged]
    assert faulty.closed == 1
    assert [type(event) for event in listener.events] == [RunStarted, StepLogged, Note, StepLogged, Evaluated]
    notes = [event.text for event in listener.events if isinstance(event, Note)]
    assert notes == [f"the tracker faulty failed and is muted: {type(error).__name__}: {error}"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OutputError("no space left on device", code="disk-full"), "disk-full"),
        (Interrupted("interrupted", ""), "interrupted"),
        (Interrupted("terminated", "", 143), "terminated"),
        (ZeroDivisionError(), "defect"),
    ],
)
def test_trackers_learn_of_which_kind_it_is_that_ended_a_run(tmp_path: Path, error: BaseException, code: str) -> None:
    listener = Faulty(ValueError(), Note)
    registry = registry_of(TrackerFactory("listener", "", lambda run: listener))
    with pytest.raises(type(error)), open_trackers(None, registry, started(tmp_path)):
        raise error
    failed = listener.events[-1]
    assert isinstance(failed, RunFailed)
    assert failed.code == code
    assert bool(failed.details) == (code == "defect")


def test_one_that_cannot_be_opened_is_reported_and_left_out(tmp_path: Path) -> None:
    listener = Faulty(ValueError(), RunFailed)

    def open_broken(run: RunStarted) -> Faulty:
        raise RuntimeError("no key")

    registry = registry_of(
        TrackerFactory("broken", "", open_broken), TrackerFactory("listener", "", lambda run: listener)
    )
    Trackers(None, registry, started(tmp_path)).close()
    assert [event.text for event in listener.events if isinstance(event, Note)] == [
        "the tracker broken failed and is muted: RuntimeError: no key"
    ]


def test_a_full_disk_is_not_muted(tmp_path: Path) -> None:
    full = Faulty(OSError(errno.ENOSPC, "No space left on device"), StepLogged)
    trackers = Trackers(None, registry_of(TrackerFactory("full", "", lambda run: full)), started(tmp_path))
    with pytest.raises(OutputError, match="the tracker full cannot write: No space left on device"):
        trackers.send(logged(1))


def test_those_that_are_named_are_open_and_those_on_by_default_otherwise(tmp_path: Path) -> None:
    opened: list[str] = []

    def factory(name: str, default: bool) -> TrackerFactory:
        def open_tracker(run: RunStarted) -> Faulty:
            opened.append(name)
            return Faulty(ValueError(), RunFailed)

        return TrackerFactory(name, "", open_tracker, default)

    registry = registry_of(factory("usual", True), factory("rare", False))
    Trackers(None, registry, started(tmp_path))
    assert opened == ["usual"]
    opened.clear()
    Trackers(["rare"], registry, started(tmp_path))
    assert opened == ["rare"]
    with pytest.raises(UsageError, match="there is no tracker 'other'"):
        Trackers(["other"], registry, started(tmp_path))


def test_a_failing_tracker_of_a_plugin_stops_no_run(tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import bertcore

    plugins = installed_plugins()
    faulty = Faulty(ValueError("out of order"), StepLogged)
    plugins.register(plugin_of(TrackerFactory("faulty", "", lambda run: faulty)), "faulty-plugin")
    result = bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=small_rte,
        output=tmp_path / "run",
        registry=Registry(plugins),
        settings={"train.max_steps": 2, "train.log_steps": 1, "train.batch_size": 4},
    )
    assert result.finished
    log = (result.folder / "run.log").read_text()
    assert log.count("the tracker faulty failed and is muted: ValueError: out of order") == 1


# The console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def without_times(log: str) -> list[str]:
    """The lines of ``run.log`` without the time that each begins with."""
    for line in log.splitlines():
        datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S")
    return [line[20:] for line in log.splitlines()]


def test_a_terminal_has_a_bar_and_the_log_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    console = ConsoleTracker(started(tmp_path))
    for event in (started(tmp_path), StepDone(1, 0.1, 4), logged(1), RunFinished("acc_num 1, total_num 2")):
        console.on_event(event)
    console.close()
    assert "/20" in err.getvalue()
    log = (tmp_path / "run.log").read_text()
    assert "\r" not in log
    assert without_times(log) == out.getvalue().splitlines()
    assert without_times(log)[-1] == "acc_num 1, total_num 2"


def test_elsewhere_there_are_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleTracker(started(tmp_path, resumed_from=7))
    for event in (started(tmp_path, 7), StepDone(8, 0.8, 4), logged(8), evaluated(8), Note("by the way")):
        console.on_event(event)
    console.close()
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "task    rte",
        "device  cpu",
        "going on from step 7",
        "step 8/20, epoch 0.80, loss 0.5000, learning rate 1.00e-04, gradient norm 1.250, 80.0 examples/s",
        "dev at step 8: accuracy 0.7500 (baseline 0.5000), 8 examples, 99.0 examples/s, compiled 1.3 s, best so far",
        "by the way",
    ]


def test_a_failure_is_in_the_log_with_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleTracker(started(tmp_path))
    console.on_event(RunFailed("ZeroDivisionError: division by zero", "", "Traceback ...\n  File ...\n"))
    console.on_event(RunFailed("no space", "free some"))
    console.close()
    assert capsys.readouterr().out == ""  # whoever catches the error shows it
    assert without_times((tmp_path / "run.log").read_text()) == [
        "Traceback ...",
        "  File ...",
        "error: ZeroDivisionError: division by zero",
        "error: no space",
        "remedy: free some",
    ]


# metrics.jsonl


@pytest.mark.parametrize(
    ("lost", "goes_on"),
    [
        (lambda content: content + b'{"kind": "train", "st', True),  # the disk was full
        (lambda content: content[:40] + bytes(100), False),  # the power was cut
        (lambda content: b"[]\n3\n" + content.replace(b'"accuracy": 0.75', b'"accuracy": 0.5'), False),  # another's
        (lambda content: b"", False),
    ],
)
def test_a_resumed_run_has_what_its_checkpoint_knows_and_goes_on(
    tmp_path: Path, lost: Callable[[bytes], bytes], goes_on: bool
) -> None:
    file = tmp_path / "metrics.jsonl"
    before = [("train", logged(1)), ("train", logged(2)), ("evaluation", evaluated(2))]
    tracker = MetricsTracker(started(tmp_path))
    for event in (logged(1), StepDone(2, 0.2, 4), logged(2), evaluated(2), logged(3)):
        tracker.on_event(event)
    tracker.close()
    whole = file.read_bytes()
    file.write_bytes(lost(whole))
    history = [{"kind": kind, **asdict(event)} for kind, event in before]
    per_class = history[2].pop("per_class")  # a checkpoint does not hold it
    tracker = MetricsTracker(started(tmp_path, resumed_from=2, history=history))
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert [entry.get("per_class") for entry in entries] == [None, None, per_class if goes_on else None]
    expected = [json.loads(line) for line in whole.splitlines()[:3]]
    assert [entry | {"per_class": None} for entry in entries] == [entry | {"per_class": None} for entry in expected]
    tracker.on_event(logged(3, loss=0.25))
    tracker.close()
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(entry["kind"], entry["step"]) for entry in entries] == [
        ("train", 1),
        ("train", 2),
        ("evaluation", 2),
        ("train", 3),
    ]
    assert entries[3]["loss"] == 0.25


def test_a_run_that_begins_again_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    for loss in (0.5, 0.25):
        tracker = MetricsTracker(started(tmp_path))
        tracker.on_event(logged(1, loss))
        tracker.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["loss"] == 0.25


# TensorBoard


def test_tensorboard_holds_what_was_logged(tmp_path: Path) -> None:
    event_pb2: Any = pytest.importorskip("tensorboardX.proto.event_pb2")
    factory = Registry().tracker("tensorboard")
    assert not factory.default
    tracker = factory.open(started(tmp_path))
    for event in (logged(1, loss=0.75), evaluated(1), StepDone(2, 0.2, 4), Note("ignored")):
        tracker.on_event(event)
    tracker.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    found = {}
    for record in read_records(file):  # which compares the checksums
        event = event_pb2.Event.FromString(record)
        found |= {value.tag: (event.step, value.simple_value) for value in event.summary.value}
    assert found["train/loss"] == (1, 0.75)
    assert found["dev/accuracy"] == (1, 0.75)
    assert found["train/gradient_norm"] == (1, 1.25)
    rates = {tag: value for tag, value in found.items() if tag.startswith("learning_rate/")}
    assert rates == {"learning_rate/encoder": (1, pytest.approx(1e-4)), "learning_rate/head": (1, pytest.approx(1e-3))}


def test_tensorboard_forgets_what_lies_after_the_checkpoint(tmp_path: Path) -> None:
    event_pb2: Any = pytest.importorskip("tensorboardX.proto.event_pb2")
    starts = []
    # Begun, killed before its first checkpoint, begun again, and gone on with from step 8.
    for resumed_from in (0, 0, 8):
        Registry().tracker("tensorboard").open(started(tmp_path, resumed_from)).close()
        file = max((tmp_path / "tensorboard").iterdir())
        events = [event_pb2.Event.FromString(record) for record in read_records(file)]
        starts.append([event.step for event in events if event.session_log.status == event_pb2.SessionLog.START])
    assert starts == [[], [1], [9]]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 3


def test_tensorboard_names_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    monkeypatch.setattr(socket, "gethostname", lambda: "the-name-of-this-host")
    tracker = Registry().tracker("tensorboard").open(started(tmp_path))
    tracker.on_event(logged(1))
    tracker.close()
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert "tfevents" in file.name
    assert "the-name-of-this-host" not in file.name
    assert b"the-name-of-this-host" not in file.read_bytes()


def test_tensorboard_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboardX", "tensorboardX.proto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as caught:
        Registry().tracker("tensorboard").open(started(tmp_path))
    assert "pip install" in caught.value.remedy
    assert "tensorboard" in caught.value.cause


def test_a_tracker_that_is_missing_something_ends_the_run_at_its_start(
    tiny_en: Path,
    small_rte: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bertcore_command: Callable[..., Any],
) -> None:
    pytest.importorskip("torch")
    for name in ("tensorboardX", "tensorboardX.proto"):
        monkeypatch.setitem(sys.modules, name, None)
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    options = ["--set", 'run.trackers=["console", "tensorboard"]', "--set", "train.max_steps=1"]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", *options)
    assert outcome.code == 2
    assert "tensorboardX" in outcome.err
    assert not (tmp_path / "run").exists()


def test_every_shipped_tracker_is_registered() -> None:
    trackers = Registry().trackers
    defaults = {name: trackers[name].item.default for name in ("console", "metrics_jsonl", "tensorboard")}
    assert defaults == {"console": True, "metrics_jsonl": True, "tensorboard": False}
    assert RunConfig().run.trackers is None
