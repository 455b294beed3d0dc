"""The zip archive that torch.save writes for a dict of tensors."""

from __future__ import annotations

import math
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

from bertcore.files.writing import atomic_write
from bertcore.formats.number_types import Array, content_from_array
from bertcore.formats.torch_file.storage_types import STORAGE_OF_NUMBER_TYPE
from bertcore.progress import tracked


def write_torch_file(path: str | os.PathLike[str], tensors: Mapping[str, Array]) -> None:
    """Write a plain dict of tensors, as `torch.save` does, whole or not at all.

    `torch.load(path, weights_only=True)` opens it, with `mmap=True` too.

    Args:
        path: the file.
        tensors: arrays by name, of floats, of signed integers, of uint8 or of bools.

    Raises:
        OutputError: the file cannot be written.
    """
    for name, array in tensors.items():
        if array.dtype.name not in STORAGE_OF_NUMBER_TYPE:
            raise ValueError(f"torch cannot hold a tensor {name!r} of type {array.dtype}")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(archive, file, "data.pkl", _pickle_of_tensors(tensors))
        _write_record(archive, file, "byteorder", b"little")
        arrays = tracked(tensors.values(), "writing", "bytes", lambda array: array.nbytes)
        for key, array in enumerate(arrays):
            _write_record(archive, file, f"data/{key}", content_from_array(array))
        _write_record(archive, file, "version", b"3\n")


# Python's pickler writes names of classes that it can import, and torch may be absent. The few instructions that a dict
# of tensors needs are therefore written out.


def _write_record(archive: zipfile.ZipFile, file: BinaryIO, name: str, content: bytes | memoryview) -> None:
    """Add one member, its content at a multiple of 64 bytes, so that it can be used where it is mapped."""
    record = zipfile.ZipInfo(f"archive/{name}")
    zip64_field = 20  # its sizes, which `force_zip64` puts before the extra field below
    begin = file.tell() + 30 + len(record.filename) + zip64_field + 4
    record.extra = struct.pack("<2sH", b"FB", -begin % 64) + bytes(-begin % 64)
    with archive.open(record, "w", force_zip64=True) as member:
        member.write(content)


def _pickle_of_tensors(tensors: Mapping[str, Array]) -> bytes:
    """The pickle that torch.save writes for a dict of contiguous tensors whose storages are `0`, `1`, ..."""
    parts = [pickle.PROTO, b"\x02", pickle.EMPTY_DICT, pickle.MARK]
    for key, (name, array) in enumerate(tensors.items()):
        strides = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
        storage = [
            _pickle_of_text("storage"),
            _pickle_of_global(STORAGE_OF_NUMBER_TYPE[array.dtype.name]),
            _pickle_of_text(str(key)),
            _pickle_of_text("cpu"),
            _pickle_of_integer(array.size),
        ]
        arguments = [
            _pickle_of_tuple(storage) + pickle.BINPERSID,
            _pickle_of_integer(0),
            _pickle_of_tuple([_pickle_of_integer(size) for size in array.shape]),
            _pickle_of_tuple([_pickle_of_integer(stride) for stride in strides]),
            pickle.NEWFALSE,  # requires_grad
            _pickle_of_global("collections.OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE,  # hooks
        ]
        rebuild = _pickle_of_global("torch._utils._rebuild_tensor_v2")
        parts += [_pickle_of_text(name), rebuild, _pickle_of_tuple(arguments), pickle.REDUCE]
    return b"".join([*parts, pickle.SETITEMS, pickle.STOP])


def _pickle_of_text(text: str) -> bytes:
    encoded = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def _pickle_of_integer(number: int) -> bytes:
    return pickle.LONG1 + bytes([8]) + struct.pack("<q", number)


def _pickle_of_tuple(items: list[bytes]) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def _pickle_of_global(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()
