"""A run that is killed, or whose machine loses its power, at any moment goes on to the same end, to the bit."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tiny_run import content, go_on

import bertcore
from bertcore.engine import report, training
from bertcore.engine.checkpoint import newest_checkpoint

pytest.importorskip("torch")

CHANGING = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
"""Python's audit events of operations on files that change something (``open`` only where it is for writing)."""


@pytest.fixture(autouse=True)
def every_evaluation_is_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that best/ is replaced, too, whatever so small a model learns."""
    monkeypatch.setattr(training, "_better", lambda *arguments: True)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than such a run."""
    monkeypatch.setattr(report, "_write_curves", lambda *arguments: False)


@pytest.fixture(scope="module")
def whole(tiny_task: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that nothing has interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_better", lambda *arguments: True)
        result = bertcore.run(**tiny_task, output=tmp_path_factory.mktemp("whole") / "run")
    return content(result.folder)


# Killed


class Snapshots:
    """Copies a folder before each file operation in it: what a process leaves that is killed at that moment."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self.operations: list[str] = []
        self.copies: dict[str, Path] = {}
        self._folder = folder
        self._parent = copies
        self._busy = False
        self._on = True
        sys.addaudithook(self._audit)  # cannot be removed again

    def stop(self) -> None:
        self._on = False

    def take(self, operation: str) -> None:
        self.operations.append(operation)
        copy = self._parent / f"at-{len(self.operations)}"
        if self._folder.exists():
            shutil.copytree(self._folder, copy, symlinks=True)
        else:
            copy.mkdir()
        self.copies.setdefault(fingerprint(copy), copy)
        if copy not in self.copies.values():
            shutil.rmtree(copy)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or self._busy or event not in CHANGING:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if not any(
            str(self._folder) in os.fsdecode(part) for part in arguments if isinstance(part, str | bytes | Path)
        ):
            return
        self._busy = True
        try:
            self.take(event)
        finally:
            self._busy = False


def fingerprint(folder: Path) -> str:
    """Equal for folders that are equal but for the content of what is half-written, under hidden names."""
    parts = []
    for path in folder.rglob("*"):
        name = re.sub(r"^(\.[^/]+)\.[0-9a-f]{8}\.tmp(/.*)?$", r"\1.tmp", str(path.relative_to(folder)))
        parts.append((name, path.read_bytes() if path.is_file() and not name.startswith(".") else b""))
    return hashlib.sha256(repr(sorted(set(parts))).encode()).hexdigest()


def test_a_run_killed_at_any_file_operation_goes_on_to_the_bit(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As `kill -9` leaves it: what was written stays, and nothing is tidied."""
    folder, copies = tmp_path / "run", tmp_path / "copies"
    copies.mkdir()
    snapshots = Snapshots(folder, copies)
    from bertcore.files import durable

    synced = durable.os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable.os, "fsync", lambda descriptor: (snapshots.take("fsync"), synced(descriptor)))
        bertcore.run(**tiny_task, output=folder)
    snapshots.stop()
    assert content(folder) == whole
    assert len(snapshots.operations) > 200
    assert {"open", "os.rename", "os.mkdir", "shutil.rmtree", "fsync"} <= set(snapshots.operations)

    request.getfixturevalue("no_curves")
    for copy in snapshots.copies.values():
        assert go_on(copy, tiny_task) == copy
        assert content(copy) == whole, copy.name
        assert list(copy.rglob(".*")) == [], copy.name


def test_without_an_exchange_of_names_a_killed_run_goes_on_and_its_best_model_is_found(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, no_curves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS, where a folder has a hidden name for a moment before the new one takes its place."""
    from bertcore.files import writing as files

    folder, copies = tmp_path / "run", tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    snapshots = Snapshots(folder, copies)
    bertcore.run(**tiny_task, output=folder)
    snapshots.stop()
    without_best = [
        copy
        for copy in snapshots.copies.values()
        if not (copy / "best").exists() and list(copy.glob(".best.*.old")) and list(copy.glob("checkpoint"))
    ]
    assert without_best
    for copy in without_best:
        again = shutil.copytree(copy, tmp_path / f"read-{copy.name}")
        (prediction,) = bertcore.predict(again, [{"text": "a"}])
        assert prediction["prediction"] in ("a", "b")
        go_on(copy, tiny_task)
        assert content(copy) == whole, copy.name
        assert list(copy.rglob(".*")) == []


KILLED = """
import os, signal, sys
import bertcore
from bertcore.engine import training
training._better = lambda *arguments: True
arguments, output, number = eval(sys.argv[1]), sys.argv[2], int(sys.argv[3])
import torch
count = 0
def audit(event, parts):
    global count
    if event in {events!r} and any(output in str(part) for part in parts):
        if event != "open" or isinstance(parts[2], int) and parts[2] & (os.O_WRONLY | os.O_RDWR):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
bertcore.run(**arguments, output=output)
""".replace("{events!r}", repr(CHANGING))


@pytest.mark.parametrize("number", [2, 40, 81])
def test_a_process_that_is_killed_goes_on_to_the_bit(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, no_curves: None, number: int
) -> None:
    """Copies of the folder stand for a killed process above; here it is one."""
    command = [sys.executable, "-c", KILLED, repr(tiny_task), str(tmp_path / "run"), str(number)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "run" / ".lock").exists() == (number > 2)  # of a dead process: it holds nobody off
    go_on(tmp_path / "run", tiny_task)
    assert content(tmp_path / "run") == whole
    assert list((tmp_path / "run").rglob(".*")) == []


def test_a_process_that_is_killed_in_the_cache_leaves_nothing_in_the_way(
    tiny_task: dict[str, Any], whole: dict[str, Any], tmp_path: Path, no_curves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("BERTCORE_CACHE", str(cache))
    snapshots = Snapshots(cache, tmp_path / "copies")
    (tmp_path / "copies").mkdir()
    bertcore.run(**tiny_task, output=tmp_path / "run")
    snapshots.stop()
    assert len(snapshots.copies) >= 4
    for number, copy in enumerate(snapshots.copies.values()):
        for path in copy.rglob(".*"):
            os.utime(path, (0, 0))  # as on the next day: what is younger may still be in the making
        monkeypatch.setenv("BERTCORE_CACHE", str(copy))
        result = bertcore.run(**tiny_task, output=tmp_path / f"again-{number}")
        assert content(result.folder) == whole
        assert sorted(path.name for path in copy.iterdir()) == sorted(path.name for path in cache.iterdir())


# Without power


@dataclass
class Disk:
    """What a disk holds for certain: content of files at their last fsync, names of folders at theirs.

    After a power cut a disk holds at least this; how much of the rest it holds is up to chance, and two extremes are
    tried: none of it, and all names with no content.
    """

    root: Path
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)

    def sync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        number = os.fstat(descriptor).st_ino
        if path.is_dir():
            self.names[number] = self._entries(path)
        else:
            self.contents[number] = path.read_bytes()

    def after_a_cut(self, destination: Path, *, all_names: bool) -> None:
        self._restore(self.root, os.stat(self.root).st_ino, destination, all_names)

    def _entries(self, folder: Path) -> dict[str, tuple[int, bool]]:
        """The number of each entry, and whether it is a folder: a number may be given again, to a file."""
        return {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}

    def _restore(self, now: Path, number: int, destination: Path, all_names: bool) -> None:
        destination.mkdir()
        entries = self._entries(now) if all_names else self.names.get(number, {})
        for name, (child, is_folder) in entries.items():
            if is_folder:
                self._restore(now / name, child, destination / name, all_names)
            else:
                (destination / name).write_bytes(self.contents.get(child, b""))


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[Path, int]]]:
    """What two extreme disks hold before each fsync and each rename of a run in `tmp_path/disk/run`.

    Each comes with the step of the last checkpoint that the run had called complete by then.
    """
    from bertcore.engine import run_host as run
    from bertcore.files import durable
    from bertcore.files import writing as files

    root, copies = tmp_path / "disk", tmp_path / "copies"
    root.mkdir()
    copies.mkdir()
    disk = Disk(root)
    found: dict[str, Path] = {}
    complete: dict[Path, int] = {}
    saved = [0]
    kept_open: list[int] = []  # the number of a file that is removed may not be given to another

    def cut() -> None:
        for all_names in (False, True):
            copy = copies / f"{len(found)}-{all_names}"
            disk.after_a_cut(copy, all_names=all_names)
            first = found.setdefault(fingerprint(copy), copy)
            complete[first] = saved[-1]
            if first != copy:
                shutil.rmtree(copy)

    synced, exchanged, renamed, replaced = durable.os.fsync, files.exchange, Path.rename, os.replace

    def fsync(descriptor: int) -> None:
        cut()
        kept_open.append(os.dup(descriptor))
        disk.sync(descriptor)
        synced(descriptor)

    def before(call: Callable[..., Any]) -> Callable[..., Any]:
        def with_a_cut(*arguments: Any) -> Any:
            cut()
            return call(*arguments)

        return with_a_cut

    save = run.save_checkpoint

    def save_checkpoint(folder: Path, optimizer: Any, progress: Any, *arguments: Any, **options: Any) -> Path:
        path = save(folder, optimizer, progress, *arguments, **options)
        saved.append(progress.step)
        cut()
        return path

    monkeypatch.setattr(run, "save_checkpoint", save_checkpoint)
    monkeypatch.setattr(durable.os, "fsync", fsync)
    monkeypatch.setattr(files, "exchange", before(exchanged))
    monkeypatch.setattr(Path, "rename", before(renamed))
    monkeypatch.setattr(files.os, "replace", before(replaced))
    yield lambda: complete
    for descriptor in kept_open:
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_power_cut_at_any_moment_leaves_a_checkpoint_to_go_on_from(
    tiny_task: dict[str, Any],
    whole: dict[str, Any],
    tmp_path: Path,
    no_curves: None,
    disks: Callable[[], dict[Path, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bertcore.run(**tiny_task, output=tmp_path / "disk" / "run")
    copies = disks()
    monkeypatch.undo()
    monkeypatch.setattr(training, "_better", lambda *arguments: True)
    monkeypatch.setattr(report, "_write_curves", lambda *arguments: False)
    assert len(copies) > 40
    steps = []
    for number, (copy, complete) in enumerate(copies.items()):
        newest = newest_checkpoint(copy / "run", pytest.fail)  # compares every file with its checksum
        steps.append(0 if newest is None else newest.progress.step)
        assert steps[-1] >= complete, copy.name  # nothing is lost again
        if number % 5 == 0:
            go_on(copy / "run", tiny_task)
            assert content(copy / "run") == whole, copy.name
            assert list((copy / "run").rglob(".*")) == []
    assert set(steps) == {0, 1, 2, 3, 4}
