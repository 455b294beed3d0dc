"""What all readers of weight files share: mapping a file into memory, and saying that it is damaged."""

from __future__ import annotations

import mmap
import os

from bertcore.errors import ModelError, Origin
from bertcore.formats.mistaken import DOWNLOAD_AGAIN, mistaken


def map_weight_file(path: str | os.PathLike[str]) -> memoryview:
    """Map a file into memory, so that arrays can be views of it and are read from the disk when they are used.

    The mapping is private: arrays made of it may be changed, and the change never reaches the file. A file that is
    replaced (not rewritten in place) while it is mapped keeps its old content for the reader.

    Raises:
        ModelError: the file is missing, is a folder, may not be read, or is a download of aria2 that is not complete:
            such a file has its whole size from the start, and zeros where nothing has come yet.
    """
    if os.path.exists(f"{os.fspath(path)}.aria2"):
        raise damaged(path, "not complete")
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:  # nothing to map, which mmap refuses
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except FileNotFoundError as error:
        raise ModelError(
            "no such weight file", "Check the path of the model.", origin=Origin(str(path)), code="weights-missing"
        ) from error
    except IsADirectoryError as error:
        raise ModelError(
            "a folder, where a weight file is expected",
            "Name a file in it.",
            origin=Origin(str(path)),
            code="weights-missing",
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(
            f"cannot be read: {reason}",
            "Check the file's permissions and its disk.",
            origin=Origin(str(path)),
            code="weights-unreadable",
        ) from error


def damaged(path: str | os.PathLike[str], what: str) -> ModelError:
    """The error for a weight file that is not what its format says, to be raised by the reader.

    Where the file can be told to be something else, such as a pointer of git-lfs, that is the cause.
    """
    known = mistaken(path)
    if known is not None:
        return ModelError(f"this is {known.what}", known.remedy, origin=Origin(str(path)), code="not-weights")
    return ModelError(
        what,
        "The file is damaged or of another format: download, copy or save it again.",
        origin=Origin(str(path)),
        code="weights-damaged",
    )


def cut_short(path: str | os.PathLike[str], has: int, needs: int) -> ModelError:
    """The error for a file that ends before its content does.

    Args:
        path: the file.
        has: its size in bytes.
        needs: the size that its own header tells.
    """
    known = mistaken(path)
    if known is not None:
        return ModelError(f"this is {known.what}", known.remedy, origin=Origin(str(path)), code="not-weights")
    return ModelError(
        f"truncated: it has {has} bytes of {needs}", DOWNLOAD_AGAIN, origin=Origin(str(path)), code="weights-damaged"
    )
