"""Which of the formats a file has, and reading it."""

from __future__ import annotations

import os
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.formats.shards import is_shard_index, read_shards
from bertcore.formats.torch_file.legacy import LegacyReader
from bertcore.formats.torch_file.zip_archive import ZipReader
from bertcore.formats.weight_file import damaged, map_weight_file

_TAR_MAGIC_AT = slice(257, 262)


def read_torch_file(path: str | os.PathLike[str], inert: bool = False) -> Any:
    """Read a file of `torch.save` (`.bin`, `.pt`, `.pth`), or all shards of a `.bin.index.json`, into plain objects.

    Args:
        path: the file.
        inert: put an `Inert` in the place of each object that is neither a tensor nor a plain container, such as a
            script's settings beside its weights, instead of refusing the file. It is not made, and nothing runs.

    Returns:
        What was saved, of dicts, lists, tuples and scalars, with numpy arrays in the place of tensors. bfloat16 is
        widened to float32, other types stay. Tensors that share a storage (tied weights) share memory, and strides
        are kept, where the type allows it. A `torch.dtype` or `torch.device` becomes its name.

    Raises:
        ModelError: the file is missing or damaged, or its pickle names anything but tensors and plain containers and
            `inert` is false; then the message says what, and nothing of it has run.
    """
    if is_shard_index(path):
        return read_shards(path, read_torch_file)
    content = map_weight_file(path)
    if content[:2].tobytes() == b"PK":
        return ZipReader(path, content, inert).read()
    if content[_TAR_MAGIC_AT].tobytes() == b"ustar":
        raise ModelError(
            "a tar file of torch before 0.1.10 is not read",
            "Save it again with a newer torch.",
            origin=Origin(str(path)),
            code="weights-unsupported",
        )
    if content[:1].tobytes() == b"\x80":
        return LegacyReader(path, content, inert).read()
    raise damaged(path, "not a file of torch.save")


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as one of `torch.save` does, whatever its suffix; never raises."""
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith((b"PK\x03\x04", b"\x80\x02"))
    except OSError:
        return False
