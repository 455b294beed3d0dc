from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import pytest

from bertcore.errors import ModelError, Origin, OutputError
from bertcore.files import writing as files
from bertcore.files.writing import atomic_folder, atomic_write, staged
from bertcore.formats.mindspore_ckpt import write_ckpt
from bertcore.formats.safetensors_file import write_safetensors
from bertcore.formats.torch_file import write_torch_file


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """No file of this process may grow beyond this many bytes: writes fail as on a full disk, with another errno."""
    limit = 64 * 1024
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB with nothing on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def fail_while_writing(file: BinaryIO, failure: BaseException) -> NoReturn:
    file.write(b"half")
    file.flush()
    raise failure


def test_a_file_appears_whole_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"first")
        assert not path.exists()
        file.seek(0)
        file.write(b"F")
    assert path.read_bytes() == b"First"
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_file_gets_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_symbolic_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("failure", [ValueError("a defect"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "file").write_bytes(b"earlier")
    before = snapshot(tmp_path)
    for path in (tmp_path / "file", tmp_path / "new" / "parents" / "file"):
        with pytest.raises(type(failure)), atomic_write(path) as file:
            fail_while_writing(file, failure)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("failure", [ValueError("a defect"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failure_leaves_the_earlier_folder_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "weights").write_bytes(b"earlier")
    before = snapshot(tmp_path)
    for path in (tmp_path / "folder", tmp_path / "new" / "parents" / "folder"):
        with pytest.raises(type(failure)), atomic_folder(path) as folder, open(folder / "half", "wb") as file:
            fail_while_writing(file, failure)
    assert snapshot(tmp_path) == before


def test_a_folder_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with atomic_folder(tmp_path / "run" / "best") as folder:
            (folder / content).write_text(content)
            assert not (tmp_path / "run" / "best" / content).exists()
    assert snapshot(tmp_path / "run") == {"best": None, "best/second": b"second"}


def test_a_folder_that_cannot_be_renamed_into_place_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "best"
    target.mkdir()
    (target / "weights").write_bytes(b"earlier")
    before = snapshot(tmp_path)
    real_rename = Path.rename

    def rename(self: Path, other: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self), None, str(other))
        return real_rename(self, other)

    def exchange(one: Path, other: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(one), None, str(other))

    monkeypatch.setattr(Path, "rename", rename)
    for call in (lambda one, other: False, exchange):  # a file system that cannot exchange names, and one that fails
        monkeypatch.setattr(files, "exchange", call)
        with pytest.raises(OutputError, match="input/output error"), atomic_folder(target) as folder:
            (folder / "weights").write_bytes(b"new")
        assert snapshot(tmp_path) == before
    with (
        pytest.raises(OutputError, match="input/output error"),
        atomic_folder(target, keep_earlier=tmp_path / "best-1") as folder,
    ):
        (folder / "weights").write_bytes(b"new")
    assert snapshot(tmp_path) == before


def test_a_full_disk_is_named_and_left_as_it_was(full_disk: Path) -> None:
    (full_disk / "file").write_bytes(b"earlier")
    before = snapshot(full_disk)
    with (
        pytest.raises(OutputError, match=f"{full_disk}/file: cannot be written: no space left on device"),
        atomic_write(full_disk / "file") as file,
    ):
        file.write(bytes(1024 * 1024))
    assert snapshot(full_disk) == before
    with (
        pytest.raises(OutputError, match="no space left on device") as caught,
        atomic_folder(full_disk / "new" / "folder") as folder,
    ):
        (folder / "weights").write_bytes(bytes(1024 * 1024))
    assert "free some space" in caught.value.remedy
    assert snapshot(full_disk) == before


@pytest.mark.parametrize("write", [write_safetensors, write_torch_file, write_ckpt])
@pytest.mark.parametrize("sizes", [[100_000], [1000] * 100])
def test_a_weight_file_that_does_not_fit_leaves_nothing(
    full_disk: Path, write: Callable[..., None], sizes: list[int]
) -> None:
    tensors = {f"weight.{number}": np.ones(size, np.float32) for number, size in enumerate(sizes)}
    with pytest.raises(OutputError, match=f"{full_disk}/weights: cannot be written: no space left on device"):
        write(full_disk / "weights", tensors)
    assert snapshot(full_disk) == {}


def test_what_does_not_fit_is_named_by_the_place_that_it_was_staged_for(full_disk: Path) -> None:
    with (
        pytest.raises(OutputError, match=f"{full_disk}/weights.pt: cannot be written: no space left on device"),
        staged(full_disk / "weights.pt") as place,
        atomic_write(place) as file,
    ):
        file.write(bytes(1024 * 1024))
    assert snapshot(full_disk) == {}


def test_any_error_about_what_is_staged_names_its_place(tmp_path: Path) -> None:
    damaged = ModelError("damaged", code="weights-damaged")
    for make, file in ((staged, "."), (atomic_folder, "file")):
        message = f"^{tmp_path}/new(/file)?: a tensor: damaged"
        with pytest.raises(ModelError, match=message), make(tmp_path / "new") as place:
            raise damaged.at(Origin(str(place / file), part="a tensor"))


def test_a_copy_onto_a_full_disk_is_named(full_disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(bytes(1024 * 1024))
    with pytest.raises(OutputError, match="no space left on device"), atomic_folder(full_disk / "folder") as folder:
        shutil.copy(source, folder)
    assert snapshot(full_disk) == {}


def test_a_file_beyond_the_size_limit_is_an_output_error(tmp_path: Path, file_size_limit: int) -> None:
    with pytest.raises(OutputError, match="file too large"), atomic_write(tmp_path / "file") as file:
        file.write(bytes(2 * file_size_limit))
    assert snapshot(tmp_path) == {}


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="it is a folder"), atomic_write(tmp_path / "folder"):
        pass
    with pytest.raises(OutputError, match="a file is in the way"), atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(OutputError, match="not a directory"), atomic_write(tmp_path / "file" / "below"):
        pass
    assert snapshot(tmp_path) == {"file": b"", "folder": None}


def _write_and_fail(place: Path, name: str) -> None:
    assert place.name == name
    place.write_bytes(b"new")
    Path("/missing-file").read_bytes()


def test_what_is_staged_takes_its_place_at_the_end_or_never(tmp_path: Path) -> None:
    (tmp_path / "model-1.5").mkdir()
    (tmp_path / "model-1.5" / "old").write_bytes(b"1")
    (tmp_path / "x.pt").write_bytes(b"old")
    before = snapshot(tmp_path)
    for name in ("model-1.5", "x.pt", "deep/er/x.pt"):
        with pytest.raises(FileNotFoundError), staged(tmp_path / name) as place:
            _write_and_fail(place, Path(name).name)
        assert snapshot(tmp_path) == before
    with staged(tmp_path / "x.pt") as place:
        place.write_bytes(b"new")
    with staged(tmp_path / "model-1.5") as place:
        place.mkdir()
        (place / "new").write_bytes(b"2")
    with staged(tmp_path / "deep" / "er") as place:
        place.write_bytes(b"3")
    assert snapshot(tmp_path) == {
        "x.pt": b"new",
        "model-1.5": None,
        "model-1.5/new": b"2",
        "deep": None,
        "deep/er": b"3",
    }


def test_what_is_staged_replaces_a_file_by_a_file_and_a_folder_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"precious")
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="a folder is in the way"), staged(tmp_path / "folder") as place:
        place.write_bytes(b"new")
    with pytest.raises(OutputError, match="a file is in the way"), staged(tmp_path / "file") as place:
        place.mkdir()
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"), atomic_write(tmp_path / "file"):
        pass
    with pytest.raises(OutputError, match="permission denied"), atomic_folder(tmp_path / "new" / "folder"):
        pass
    tmp_path.chmod(0o700)


def test_a_read_only_place_is_named() -> None:
    """Also true for root, who may write everywhere else."""
    place = "/proc/file" if sys.platform == "linux" else pytest.skip("needs /proc")
    with pytest.raises(OutputError, match=f"{place}: cannot be written"), atomic_write(place):
        pass


def test_an_error_about_another_file_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        (tmp_path / "missing").read_bytes()
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "folder"):
        (tmp_path / "missing").read_bytes()
    assert snapshot(tmp_path) == {}
