"""A bar on a terminal, elsewhere a line now and then; and what the commands show of both."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore import progress
from bertcore.contracts.events import Note, RunStarted, WorkProgress
from bertcore.trackers.console import ConsoleTracker
from bertcore.trackers.progress_display import ProgressDisplay, show_progress


def came_to(done: int, seconds: float, *, total: int = 1000, unit: str = "examples", ended: bool = False) -> Any:
    return WorkProgress("predicting dev", done, total, unit, done / total, seconds, ended)


class Terminal:
    """A pseudo-terminal as standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import fcntl
        import struct
        import termios

        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        monkeypatch.setattr("sys.stderr", self.stream)
        self.content = b""
        self.reader = threading.Thread(target=self.read)  # a terminal that is not read holds up whoever writes
        self.reader.start()

    def read(self) -> None:
        with suppress(OSError):  # nobody has the terminal open any more
            while piece := os.read(self.master, 1 << 16):
                self.content += piece

    def shown(self) -> list[str]:
        """What was drawn, each frame by itself."""
        self.stream.close()
        self.reader.join()
        return [frame.strip() for frame in re.split(r"[\r\n]+", self.content.decode()) if frame.strip()]


# Lines


def test_a_line_each_tenth_and_at_most_every_ten_seconds() -> None:
    lines: list[str] = []
    display = ProgressDisplay(lines.append)
    for done in range(0, 1001, 10):
        display.show(came_to(done, done / 20))  # 50 seconds in all
    assert lines == [
        f"predicting dev: {done} of 1000 examples ({done // 10}%), 20.0 examples/s, about {(1000 - done) // 20} s left"
        for done in (200, 400, 600, 800, 1000)
    ]


def test_a_slow_work_has_a_line_each_minute() -> None:
    lines: list[str] = []
    display = ProgressDisplay(lines.append)
    for second in range(0, 200, 5):
        display.show(came_to(second, second, total=100_000))
    assert [line.split(" of ")[0] for line in lines] == [f"predicting dev: {done}" for done in (60, 120, 180)]
    assert "about 27:45:40 h left" not in lines[0]
    assert lines[0].endswith("about 27:45 h left")


def test_short_work_has_no_line() -> None:
    lines: list[str] = []
    display = ProgressDisplay(lines.append)
    for event in (came_to(0, 0.0), came_to(500, 5.0), came_to(1000, 9.9), came_to(1000, 9.9, ended=True)):
        display.show(event)
    assert lines == []


def test_bytes_are_megabytes() -> None:
    lines: list[str] = []
    display = ProgressDisplay(lines.append)
    for done in (0, 500_000_000):
        display.show(came_to(done, done / 25e6, total=2_000_000_000, unit="bytes"))
    assert lines == ["predicting dev: 500 of 2000 MB (25%), 25 MB/s, about 1:00 min left"]


# Bars


def test_a_terminal_has_a_bar_that_goes_when_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    display = ProgressDisplay()
    for event in (came_to(0, 0.0), came_to(250, 5.0), came_to(1000, 20.0), came_to(1000, 20.0, ended=True)):
        display.show(event)
    display.close()
    *frames, last = terminal.shown()
    quarter = next(frame for frame in frames if "250 of 1000" in frame)
    assert quarter.startswith("predicting dev:  25%|")
    assert quarter.endswith("250 of 1000 examples, 50.0 examples/s")
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", quarter)  # since when, and until when
    assert last.startswith("predicting dev: 100%|")


def test_work_that_is_over_before_a_bar_is_due_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(monkeypatch)
    display = ProgressDisplay(delay=0.5)
    for event in (came_to(0, 0.0), came_to(500, 0.3), came_to(1000, 0.4, ended=True)):
        display.show(event)
    assert terminal.shown() == []


# In a run, in Python, and in commands


def test_a_run_shows_its_evaluation_and_logs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = ConsoleTracker(RunStarted(tmp_path, {"task": "rte"}, 20, 0, {}))
    for event in (came_to(0, 0.0), came_to(600, 12.0), Note("a note")):
        tracker.on_event(event)
    tracker.close()
    line = "predicting dev: 600 of 1000 examples (60%), 50.0 examples/s, about 8 s left"
    assert capsys.readouterr().out.splitlines() == [line, "a note"]
    logged = [entry.split(" ", 2)[2] for entry in (tmp_path / "run.log").read_text().splitlines()]  # behind the time
    assert logged == [line, "a note"]


def test_python_is_silent_unless_it_is_told_to_show(
    tiny_en: Path, small_rte: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    terminal = Terminal(monkeypatch)
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    settings = {"train.max_steps": 1, "run.trackers": [], "data.cache": False}
    folder = bertcore.run(
        task="rte", backend="torch", model=tiny_en, data=small_rte, output=tmp_path / "run", settings=settings
    ).folder
    bertcore.evaluate(folder)
    with show_progress():
        bertcore.evaluate(folder)
    frames = terminal.shown()
    assert frames[0].startswith("encoding dev:   0%|")
    assert any(frame.startswith("predicting dev:") and "30 of 30 examples" in frame for frame in frames)
    assert len([frame for frame in frames if frame.startswith("predicting dev:   0%")]) <= 2


def test_commands_show_the_header_first_and_a_bar(
    bertcore_command: Callable[..., Any],
    tiny_en: Path,
    small_rte: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    place += ["--set", "data.cache=false", "--set", "train.max_steps=1"]
    folder = tmp_path / "run"

    def shown(*arguments: object) -> list[str]:
        terminal = Terminal(monkeypatch)
        outcome = bertcore_command(*arguments)
        assert outcome.code == 0, outcome.err
        return terminal.shown()

    frames = shown("run", *place, "--output", folder)
    assert any(frame.startswith("encoding train:") for frame in frames)
    frames = shown("predict", folder, "--input", small_rte / "dev.tsv")  # standard output is data
    assert [frame.split()[0] for frame in frames[:6]] == ["task", "backend", "device", "precision", "model", "input"]
    assert any(frame.startswith("predicting: 100%") and "30 of 30 examples" in frame for frame in frames)
    frames = shown("convert", tiny_en, tmp_path / "x.ckpt", "--verify")
    assert [frame.split()[0] for frame in frames[:2]] == ["source", "destination"]
    assert any(frame.startswith("writing:") and "MB" in frame for frame in frames)
    assert any(frame.startswith("verifying: 100%") and "2 of 2 layers" in frame for frame in frames)
    data = ["--task", "rte", "--data", small_rte, "--model", tiny_en, "--set", "data.cache=false"]
    frames = shown("data", "check", *data)
    assert any(frame.startswith("encoding train:") for frame in frames)
    frames = shown("data", "convert", *data, "--to", "tfrecord", "--output", tmp_path / "records")
    assert any(frame.startswith("writing train: 100%") and "72 of 72 rows" in frame for frame in frames)


def test_a_header_comes_before_what_is_computed(
    bertcore_command: Callable[..., Any], tiny_en: Path, small_rte: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    pytest.importorskip("torch")
    from bertcore.engine import trained_model

    settings = {"train.max_steps": 1, "run.trackers": []}
    folder = bertcore.run(
        task="rte", backend="torch", model=tiny_en, data=small_rte, output=tmp_path / "run", settings=settings
    ).folder

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trained_model, "predict_split", interrupted)
    outcome = bertcore_command("evaluate", folder)
    assert outcome.code == 130
    assert [line.split()[0] for line in outcome.out.splitlines()] == [
        "task",
        "backend",
        "device",
        "precision",
        "model",
        "data",
    ]
