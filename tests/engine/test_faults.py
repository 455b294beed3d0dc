"""What goes wrong around a run: it is told what, nothing that was good is lost, and it goes on once that is cured."""

from __future__ import annotations

import datetime
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_run import content

import bertcore
from bertcore.api import resume
from bertcore.engine import report, run_folder, training
from bertcore.engine.checkpoint import newest_checkpoint
from bertcore.errors import BertcoreError, DataError, OutputError
from bertcore.files import durable

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def quick_and_often_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than such a run, and best/ shall be replaced, too, whatever so small a model learns."""
    monkeypatch.setattr(report, "_write_curves", lambda *arguments: False)
    monkeypatch.setattr(training, "_better", lambda *arguments: True)


@pytest.fixture(scope="module")
def whole(tiny_task: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that nothing has gone wrong with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_write_curves", lambda *arguments: False)
        patch.setattr(training, "_better", lambda *arguments: True)
        return content(bertcore.run(**tiny_task, output=tmp_path_factory.mktemp("whole") / "run").folder)


def go_on_to_the_end(folder: Path, task: dict[str, Any], whole: dict[str, Any]) -> None:
    """Nothing is half-written, what there is is whole, and the run ends to the bit."""
    left = {path.name for path in folder.rglob(".*")} if folder.exists() else set()
    assert left == set()
    again = resume(folder) if folder.exists() else bertcore.run(**task, output=folder)
    assert content(again.folder) == whole


def require_same_end(folder: Path, whole: dict[str, Any]) -> None:
    """Of a run that had ``train.stop_after``, which its report names."""
    found = content(folder)
    assert found.pop("report.json")["history"] == whole["report.json"]["history"]
    assert found == {name: value for name, value in whole.items() if name != "report.json"}


def damaged(note: str) -> None:
    raise AssertionError(note)


# The disk


@pytest.mark.parametrize(
    ("number", "words", "every"),
    [(errno.ENOSPC, "no space left on device", 9), (errno.EDQUOT, "disk quota exceeded", 31), (errno.EIO, "input", 31)],
)
def test_a_disk_that_fails_at_any_moment_loses_nothing(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, number: int, words: str, every: int
) -> None:
    """Many file systems say only when a file is synced that there was no room for it."""
    synced, calls = os.fsync, [0]

    def run(name: str, failing: int | None) -> Path:
        calls[0] = 0

        def fsync(descriptor: int) -> None:
            calls[0] += 1
            if (
                failing is not None
                and calls[0] >= failing
                and str(tmp_path / name) in os.readlink(f"/proc/self/fd/{descriptor}")
            ):
                raise OSError(number, os.strerror(number))
            synced(descriptor)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable.os, "fsync", fsync)
            bertcore.run(**tiny_task, output=tmp_path / name)
        return tmp_path / name

    run("counted", None)
    assert calls[0] > 60
    steps = set()
    for failing in range(1, calls[0], every):
        with pytest.raises(OutputError) as caught:
            run(f"run-{failing}", failing)
        assert words in caught.value.problem
        assert caught.value.code == ("output-unwritable" if number == errno.EIO else "disk-full")
        folder = tmp_path / f"run-{failing}"
        newest = newest_checkpoint(folder, damaged) if folder.exists() else None
        steps.add(0 if newest is None else newest.progress.step)
        if failing % 2:
            go_on_to_the_end(folder, tiny_task, whole)
    assert {0, 1, 2, 3} <= steps or every > 9


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_becomes_read_only_and_one_that_fills_up_lose_nothing(
    tiny_task: dict[str, Any], whole: dict[str, Any], disk: Path
) -> None:
    settings = {**tiny_task["settings"], "train.stop_after": 2}
    folder = bertcore.run(**{**tiny_task, "settings": settings}, output=disk / "run").folder
    before = content(folder)

    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OutputError, match="read-only file system"):
        resume(folder, settings={"train.stop_after": None})
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert content(folder) == before

    filling = disk / "filling"
    with pytest.raises(OSError, match="No space left"):
        filling.write_bytes(bytes(9 << 20))
    with pytest.raises(OutputError, match="no space left on device"):
        resume(folder, settings={"train.stop_after": None})
    after = newest_checkpoint(folder, damaged)
    assert after is not None
    assert after.progress.step == 2
    filling.unlink()
    require_same_end(resume(folder, settings={"train.stop_after": None}).folder, whole)


# Files that vanish or are damaged


@pytest.fixture
def own_task(tiny_task: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The same task, with data of its own."""
    folder = Path(shutil.copytree(tiny_task["model"], tmp_path / "task"))
    files = {f"data.{split}": str(folder / f"{split}.tsv") for split in ("train", "dev")}
    return {**tiny_task, "model": str(folder), "settings": {**tiny_task["settings"], **files}}


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_data_file_that_vanished_is_named_and_the_run_goes_on_once_it_is_back(
    own_task: dict[str, Any], tmp_path: Path, split: str
) -> None:
    expected = content(bertcore.run(**own_task, output=tmp_path / "whole").folder)
    settings = {**own_task["settings"], "train.stop_after": 2}
    folder = bertcore.run(**{**own_task, "settings": settings}, output=tmp_path / "run").folder
    before = content(folder)
    file = Path(own_task["settings"][f"data.{split}"])
    moved = file.rename(file.with_suffix(".moved"))
    with pytest.raises(DataError, match=f"^{file}: ") as caught:
        resume(folder, settings={"train.stop_after": None})
    assert caught.value.remedy
    assert content(folder) == before
    moved.rename(file)
    found = content(resume(folder, settings={"train.stop_after": None}).folder)
    for name in ("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl", "metrics.jsonl"):
        assert found[name] == expected[name], name


def test_a_data_file_that_vanishes_meanwhile_is_not_missed(own_task: dict[str, Any], tmp_path: Path) -> None:
    """A split that is held was read before the first step."""
    expected = content(bertcore.run(**own_task, output=tmp_path / "whole").folder)
    step = training.Trainer._step

    def step_without_data(trainer: Any, *arguments: Any) -> Any:
        for split in ("train", "dev"):
            Path(own_task["settings"][f"data.{split}"]).unlink(missing_ok=True)
        return step(trainer, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Trainer, "_step", step_without_data)
        found = content(bertcore.run(**own_task, output=tmp_path / "run").folder)
    assert found == expected


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8, 0.99])
def test_a_flipped_bit_in_the_encoding_cache_is_told_and_made_good(
    own_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: float
) -> None:
    """Wherever it is: one in a token is no broken file, and would be trained on."""
    monkeypatch.setenv("BERTCORE_CACHE", str(tmp_path / "cache"))
    expected = content(bertcore.run(**own_task, output=tmp_path / "whole").folder)
    before = {file: file.read_bytes() for file in (tmp_path / "cache").iterdir()}
    assert len(before) == 2
    for file, good in before.items():
        flipped = bytearray(good)
        flipped[int(place * len(good))] ^= 1
        file.write_bytes(flipped)
    folder = bertcore.run(**own_task, output=tmp_path / "run").folder
    log = (folder / "run.log").read_text()
    for file, good in before.items():
        assert f"{file} is damaged and is made anew" in log
        assert file.read_bytes() == good
    assert content(folder) == expected


# Clock and limits


def test_a_clock_that_jumps_disturbs_nothing(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back and forth by years, as on a machine whose clock is set while a run goes on."""
    jumps = [0]

    def jumping() -> float:
        jumps[0] += 1
        return 1.7e9 + (-1) ** jumps[0] * jumps[0] * 1e7

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(jumping(), tz)

    from bertcore.engine import run_lock
    from bertcore.trackers import console

    monkeypatch.setattr(time, "time", jumping)
    for module in (run_folder, run_lock, console):
        monkeypatch.setattr(module, "datetime", Jumping)
    folder = bertcore.run(
        **{**tiny_task, "settings": {**tiny_task["settings"], "train.stop_after": 2}}, output=tmp_path / "run"
    ).folder
    for path in folder.rglob("*"):  # in the future, as if the clock had been set back since
        os.utime(path, (4e9, 4e9))
    result = resume(folder, settings={"train.stop_after": None})
    assert jumps[0] > 10
    require_same_end(folder, whole)
    assert 0 <= result.seconds < 60
    assert json.loads((folder / "report.json").read_text())["seconds"] >= 0
    assert list(folder.rglob(".*")) == []


def test_two_runs_of_one_second_do_not_share_a_folder(
    tiny_task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a run is the time; a clock that is set back gives one twice."""

    class Standing(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime(2026, 10, 25, 2, 30, tzinfo=tz)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", Standing)
    first = bertcore.run(**tiny_task).folder
    before = content(first)
    with pytest.raises(BertcoreError, match="runs/classification-torch-20261025-023000: it holds something already"):
        bertcore.run(**tiny_task)
    assert content(first) == before


FEW_HANDLES = """
import os, sys, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import bertcore
task, output = eval(sys.argv[1]), sys.argv[2]
stopped = bertcore.run(**{**task, "settings": {**task["settings"], "train.stop_after": 2}}, output=output)
folder = bertcore.api.resume(output, settings={"train.stop_after": None}).folder
assert bertcore.evaluate(folder).summary
assert len(bertcore.predict(folder, [{"text": "ab"}] * 100)) == 100
print(len(os.listdir("/proc/self/fd")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("backend", ["torch", pytest.param("mindspore", marks=pytest.mark.mindspore)])
def test_64_file_handles_suffice(tiny_task: dict[str, Any], tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    command = [sys.executable, "-c", FEW_HANDLES, repr({**tiny_task, "backend": backend}), str(tmp_path / "run")]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    assert int(outcome.stdout.splitlines()[-1]) < 20
