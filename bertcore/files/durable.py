"""What the operating system offers beyond Python's ``os``: folders that survive a power cut, names that are exchanged.

A file that was written is on the disk after ``fsync``, and its name only after an ``fsync`` of the folder that holds
it: https://man7.org/linux/man-pages/man2/fsync.2.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -2 if sys.platform == "darwin" else -100
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS have the same value

# What a file system says that cannot do it (NFS, FAT), and a container whose filter of system calls does not know it.
_NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EXDEV}


def sync_file(file: Path) -> None:
    """Brings the content of a file to the disk.

    Raises:
        OSError: the disk is full or broken; some file systems notice only here.
    """
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, where its file system can do that.

    Raises:
        OSError: the disk is full or broken.
    """
    try:
        sync_file(folder)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED | {errno.EACCES, errno.EBADF, errno.EISDIR}:
            raise


def sync_tree(place: Path) -> None:
    """Brings a file, or a folder with all that it holds, to the disk: each file first, then the folder that names it.

    Raises:
        OSError: the disk is full or broken.
    """
    if not place.is_dir():
        sync_file(place)
        return
    for folder, _, names in os.walk(place, topdown=False):
        for name in sorted(names):
            if not os.path.islink(os.path.join(folder, name)):
                sync_file(Path(folder, name))
        sync_folder(Path(folder))


def make_folders(folder: Path) -> None:
    """Creates a folder and its missing parents, and brings their names to the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Lets two paths change places in one operation, so that both names stand for something at every moment.

    Returns:
        False where the system or the file system cannot do that; nothing was changed.

    Raises:
        OSError: one of them is missing, or may not be renamed.
    """
    call = _exchange_call()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_SUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


@cache
def _exchange_call() -> Any:
    """The C library's function; None where it has none (Windows, C libraries before 2018)."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        call = getattr(library, "renameatx_np" if sys.platform == "darwin" else "renameat2")
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call
