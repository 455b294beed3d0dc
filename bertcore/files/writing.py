"""Files and folders that are written whole or not at all.

Everything goes to a temporary neighbour first, is brought to the disk, and is renamed into place at the end, so that an
error, Ctrl-C or a full disk leaves the earlier file or folder as it was and nothing beside it, and a power cut the one
or the other. What a killed process leaves is a temporary neighbour, and :func:`remove_leftovers` knows those.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from bertcore.errors import BertcoreError, Origin, OutputError
from bertcore.files.durable import exchange, make_folders, sync_file, sync_folder, sync_tree

LEFT_OVER_AFTER = 24 * 3600.0
"""Seconds after which what is half-written, where others may write too, is that of a process that was killed."""

_LEFTOVER = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{8}\.(?P<kind>tmp|old)")


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
            raise OutputError(
                "cannot be written: it is a folder",
                "choose another file name",
                origin=Origin(str(target)),
                code="output-unwritable",
            )
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            if not _in_the_making(target):
                os.fsync(file.fileno())  # some file systems notice only here that the disk is full
        os.replace(temporary, target)
        _sync_name(target)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], *, keep_earlier: Path | None = None) -> Iterator[Path]:
    """Make an empty temporary folder that takes the place of `path` when the block ends and not before.

    Missing parent folders are created and a symbolic link is followed. An existing folder is replaced with all that
    it holds: whether it may be is for the caller to decide.

    Args:
        path: the folder.
        keep_earlier: a free name beside it for the folder that is replaced, which is removed otherwise.

    Raises:
        OutputError: the operating system refused (no space, no permission, a file in the way). An `OSError` about
            another file, as when the block reads a file that is missing, is passed on as it is.
    """
    target = Path(path).resolve()
    temporary = _temporary_neighbour(target)
    with _output_errors(target, temporary), _removed_on_failure(target, temporary):
        if target.exists() and not target.is_dir():
            raise OutputError(
                "cannot be written: a file is in the way",
                "choose another folder name",
                origin=Origin(str(target)),
                code="output-unwritable",
            )
        temporary.mkdir()
        with _named_as(target, temporary):
            yield temporary
        _replace_folder(temporary, target, keep_earlier)


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
            raise OutputError(
                f"cannot be written: {what} is in the way",
                "choose another name",
                origin=Origin(str(target)),
                code="output-unwritable",
            )
        if new.is_dir():
            _replace_folder(new, target)
        else:
            sync_file(new)
            os.replace(new, target)
            _sync_name(target)
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path, *, older_than: float = 0.0) -> None:
    """Remove what processes that were killed left in a folder: half-written files and folders under hidden names.

    Args:
        folder: where nobody writes at the same time, or with `older_than`.
        older_than: seconds; what was changed later than that ago may still be in the making, and stays.
    """
    for path in leftovers(folder):
        with suppress(OSError):  # another process removes it at the same time
            if time.time() - path.stat().st_mtime >= older_than:
                remove(path)


def leftovers(folder: Path) -> list[Path]:
    """What processes that were killed left in a folder."""
    return [path for path in folder.iterdir() if _LEFTOVER.fullmatch(path.name)] if folder.is_dir() else []


def restore_displaced(target: Path) -> None:
    """Put a folder back whose process was killed after it had given way to a new one, and before that was in place.

    This cannot happen where names can be exchanged, see :func:`bertcore.files.durable.exchange`.
    """
    if target.exists():
        return
    matches = [(path, _LEFTOVER.fullmatch(path.name)) for path in leftovers(target.parent)]
    displaced = [path for path, match in matches if match and (match["target"], match["kind"]) == (target.name, "old")]
    if displaced:
        max(displaced, key=lambda path: path.stat().st_mtime).rename(target)
        sync_folder(target.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that it holds, whose name is gone at once."""
    if path.is_dir() and not path.is_symlink():
        if not _LEFTOVER.fullmatch(path.name):
            path = path.rename(_displaced(_temporary_neighbour(path)))
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return strict JSON, for other programs to read: what is no number, or no finite one, becomes null.

    Characters that hide or turn text, or that steer a terminal, are escaped, which changes no value.
    """
    text = json.dumps(_json_value(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _replace_folder(new: Path, target: Path, keep_earlier: Path | None = None) -> None:
    """Let `new` take the place of `target`: a folder that is there can be found at every moment until it has.

    It is exchanged with the new one in one operation, or renamed to the name that it keeps. Where names cannot be
    exchanged, it has a hidden name for a moment, see :func:`restore_displaced`.
    """
    if not _in_the_making(target):
        sync_tree(new)
    if keep_earlier is None and target.exists() and exchange(new, target):
        _sync_name(target)
        shutil.rmtree(new, ignore_errors=True)
        return
    earlier = keep_earlier or _displaced(_temporary_neighbour(target))
    try:
        with suppress(FileNotFoundError):
            target.rename(earlier)
        new.rename(target)
        _sync_name(target)
    except BaseException:
        if earlier.exists() and not target.exists():
            earlier.rename(target)
        raise
    finally:
        if keep_earlier is None:
            shutil.rmtree(earlier, ignore_errors=True)


def path_error(error: OSError) -> OutputError | None:
    """What a user is told of a path that the operating system refuses; None where the error is about something else."""
    if error.filename is None or error.errno not in (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP):
        return None
    return OutputError(
        str(error.strerror).lower(),
        "choose another path",
        origin=Origin(os.fsdecode(error.filename)),
        code="output-unwritable",
    )


def _sync_name(target: Path) -> None:
    if not _in_the_making(target):
        sync_folder(target.parent)


def _in_the_making(target: Path) -> bool:
    """Whether it lies in a temporary folder, which is brought to the disk as a whole before it gets its name."""
    return any(_LEFTOVER.fullmatch(parent.name) for parent in target.parents)


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
        make_folders(target.parent)
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
        place = error.origin
        if place is None or temporary not in (Path(place.file), *Path(place.file).parents):
            raise
        there = target / Path(place.file).relative_to(temporary)
        raise error.at(replace(place, file=str(there))) from error


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
            reason = "no space left on device" if error.errno == errno.ENOSPC else "disk quota exceeded"
            remedy = "free some space, or choose another place"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason, remedy = "permission denied", "choose a place that you may write to"
        else:
            reason, remedy = (error.strerror or str(error)).lower(), "choose another place, or make room for this one"
        raise OutputError(
            f"cannot be written: {reason}",
            remedy,
            origin=Origin(str(target)),
            code="disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "output-unwritable",
        ) from error
