"""Files and folders that are written whole or not at all.

Everything goes to a temporary neighbour first and is renamed into place at the end, so that an error, Ctrl-C or a full
disk leaves the earlier file or folder as it was and nothing beside it.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from bertcore.errors import BertcoreError, OutputError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file, seekable, that appears at `path` when the block ends and not before.

    Missing parent folders are created, an existing file is replaced, a symbolic link is followed.

    Raises:
        OutputError: the operating system refused (no space, no permission, a folder in the way). An `OSError` about
            another file, as when the block reads a file that is missing, is passed on as it is.
    """
    target = Path(path).resolve()
    temporary = _temporary_neighbour(target)
    with _output_errors(target, temporary), _removed_on_failure(target, temporary):
        if target.is_dir():
            raise OutputError(f"cannot write {target}: it is a folder", "choose another file name")
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # some file systems notice only here that the disk is full
        os.replace(temporary, target)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make an empty temporary folder that takes the place of `path` when the block ends and not before.

    Missing parent folders are created and a symbolic link is followed. An existing folder is replaced with all that
    it holds: whether it may be is for the caller to decide.

    Raises:
        OutputError: the operating system refused (no space, no permission, a file in the way). An `OSError` about
            another file, as when the block reads a file that is missing, is passed on as it is.
    """
    target = Path(path).resolve()
    temporary = _temporary_neighbour(target)
    with _output_errors(target, temporary), _removed_on_failure(target, temporary):
        if target.exists() and not target.is_dir():
            raise OutputError(f"cannot write the folder {target}: a file is in the way", "choose another folder name")
        temporary.mkdir()
        with _named_as(target, temporary):
            yield temporary
        _replace_folder(temporary, target)


@contextmanager
def staged(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path of the same name in a hidden neighbour; what is made there takes the place of `path` at the end.

    For a file or folder that is looked at before anyone may find it. Missing parent folders are created, what exists
    is replaced, a symbolic link is followed.

    Raises:
        OutputError: the operating system refused, or a folder is in the way of a file or a file of a folder.
    """
    target = Path(path).resolve()
    temporary = _temporary_neighbour(target)
    with _output_errors(target, temporary), _removed_on_failure(target, temporary):
        temporary.mkdir()
        new = temporary / target.name
        with _named_as(target, new):
            yield new
        if target.exists() and target.is_dir() != new.is_dir():
            what = "a folder" if target.is_dir() else "a file"
            raise OutputError(f"cannot write {target}: {what} is in the way", "choose another name")
        if new.is_dir():
            _replace_folder(new, target)
        else:
            os.replace(new, target)
        shutil.rmtree(temporary, ignore_errors=True)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return strict JSON, for other programs to read: what is no number, or no finite one, becomes null."""
    return json.dumps(_json_value(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _replace_folder(new: Path, target: Path) -> None:
    """Rename `new` to `target`; a folder that is there stays until the new one has taken its place."""
    old = _displaced(new)
    try:
        with suppress(FileNotFoundError):
            target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def path_error(error: OSError) -> OutputError | None:
    """What a user is told of a path that the operating system refuses; None where the error is about something else."""
    if error.filename is None or error.errno not in (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP):
        return None
    return OutputError(f"{os.fsdecode(error.filename)}: {str(error.strerror).lower()}", "choose another path")


def _temporary_neighbour(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")


def _displaced(temporary: Path) -> Path:
    """Where the existing folder waits while the temporary one takes its place."""
    return temporary.with_suffix(".old")


@contextmanager
def _removed_on_failure(target: Path, temporary: Path) -> Iterator[None]:
    """Create the missing parents of `target`; on any failure remove them again, and `temporary` before them."""
    missing_parents = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        with suppress(OSError):  # something else may have been put there meanwhile
            for parent in missing_parents:
                parent.rmdir()
        raise


@contextmanager
def _named_as(target: Path, temporary: Path) -> Iterator[None]:
    """Let errors about what is made at the temporary place name the place that it is made for."""
    try:
        yield
    except BertcoreError as error:
        if str(temporary) not in error.cause:
            raise
        raise type(error)(error.cause.replace(str(temporary), str(target)), error.remedy) from error


@contextmanager
def _output_errors(target: Path, temporary: Path) -> Iterator[None]:
    """Turn an `OSError` about the target, a parent of it or its temporary neighbours into an OutputError."""
    try:
        yield
    except OSError as error:
        # A failed write names no file; a failed open or mkdir names one, a failed copy or rename two.
        named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
        own = {target, *target.parents, temporary, _displaced(temporary)}
        if named and not any(path in own or temporary in path.parents for path in named):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason, remedy = "no space left on device", "free some space, or choose another place"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason, remedy = "permission denied", "choose a place that you may write to"
        else:
            reason, remedy = (error.strerror or str(error)).lower(), "choose another place, or make room for this one"
        raise OutputError(f"cannot write {target}: {reason}", remedy) from error
