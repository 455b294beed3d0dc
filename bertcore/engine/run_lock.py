"""One process at a time in a run folder: an advisory lock that names who holds it.

The lock is ``flock`` on ``.lock`` in the run folder. The system gives it back when the process ends, however it ends;
Linux passes it on to the server of an NFS mount, so that it holds between machines, too. The file names the holder
(host, process, since when) while the run goes on, and is removed at its end.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from bertcore.errors import Origin, OutputError

LOCK_FILE = ".lock"

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def run_lock(folder: Path) -> Iterator[list[str]]:
    """Holds the lock of a run folder.

    Yields:
        What the user should read: that the folder's file system has no locks.

    Raises:
        OutputError: another process holds it, or the folder cannot be written to.
    """
    file = folder / LOCK_FILE
    try:
        descriptor, locked = _acquire(file)
    except OSError as error:
        raise OutputError(
            (error.strerror or str(error)).lower(),
            "a run must be able to write to its folder",
            origin=Origin(str(file)),
            code="output-unwritable",
        ) from None
    try:
        yield [] if locked else [f"{folder}: its file system has no locks; start no second process on this run folder"]
    finally:
        # While it is still locked: whoever opened it meanwhile gets the lock of a file without a name, and tries again.
        with suppress(OSError):
            file.unlink(missing_ok=True)
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a run folder, this one or another."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        return _lock(descriptor) is None
    finally:
        os.close(descriptor)


def _acquire(file: Path) -> tuple[int, bool]:
    """The descriptor of the locked file, and whether the file system could lock it."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(descriptor)
            if locked is None:
                raise OutputError(
                    f"in use: {_holder(descriptor)}",
                    "wait until that run has ended, or stop it; or give another --output",
                    origin=Origin(str(file.parent)),
                    code="run-in-use",
                )
            # Who held the lock before may have removed the file since it was opened: then this lock holds nobody off.
            if _same_file(file, descriptor):
                _name_holder(descriptor)
                return descriptor, locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """True where it is locked now, None where another process holds it, False where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _same_file(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _name_holder(descriptor: int) -> None:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = {"host": socket.gethostname(), "process": os.getpid(), "since": since}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode() + b"\n", 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['process']} on {holder['host']} has it since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process has just begun with it"
