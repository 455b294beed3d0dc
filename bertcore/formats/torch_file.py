"""Files of `torch.save`, read and written without torch.

A file is a zip archive (torch 1.6 and later): `NAME/data.pkl` holds the nested object as a pickle in which storages are
persistent ids, and `NAME/data/KEY` the bytes of each storage. Before 1.6 it was a row of pickles followed by the
storages. The pickle is never run: see `restricted_pickle`.

Reference implementation: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import IO, Any, BinaryIO, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bertcore.errors import ModelError
from bertcore.files.writing import atomic_write
from bertcore.formats.number_types import Array, array_from_content, content_from_array, item_size
from bertcore.formats.restricted_pickle import DamagedPickleError, Global, RefusedPickleError, check_key, read_pickle
from bertcore.formats.shards import is_shard_index, read_shards
from bertcore.formats.weight_file import damaged, map_weight_file
from bertcore.progress import tracked

_STORAGE_TYPES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.storage.UntypedStorage": "uint8",
}
_STORAGE_OF_NUMBER_TYPE = {
    number_type: storage
    for storage, number_type in _STORAGE_TYPES.items()
    if storage.count(".") == 1 and number_type != "bfloat16"
}
_NUMBER_TYPES = frozenset(f"torch.{name}" for name in [*_STORAGE_TYPES.values(), "uint16", "uint32", "uint64"])
_TENSOR_CLASSES = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter"})
_OTHER_GLOBALS = _STORAGE_TYPES.keys() | _NUMBER_TYPES | _TENSOR_CLASSES

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
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
        return _ZipReader(path, content, inert).read()
    if content[_TAR_MAGIC_AT].tobytes() == b"ustar":
        raise ModelError(f"{path}: a tar file of torch before 0.1.10 is not read", "Save it again with a newer torch.")
    if content[:1].tobytes() == b"\x80":
        return _LegacyReader(path, content, inert).read()
    raise damaged(path, "not a file of torch.save")


class _Storage:
    """The bytes behind one or more tensors."""

    def __init__(self, content: memoryview, number_type: str, byte_order: Literal["<", ">"]) -> None:
        self.content = content
        self.number_type = number_type
        self.byte_order = byte_order
        self.arrays: dict[str, Array] = {}

    def array(self, number_type: str) -> Array:
        """All numbers in one row; the same array each time, so that tied weights stay tied."""
        if number_type not in self.arrays:
            count = len(self.content) // item_size(number_type)
            content = self.content[: count * item_size(number_type)]
            self.arrays[number_type] = array_from_content(content, number_type, [count], self.byte_order)
        return self.arrays[number_type]


class _Reader:
    """What both formats share: the pickle of the saved object, in which storages are persistent ids."""

    def __init__(self, path: str | os.PathLike[str], content: memoryview, inert: bool = False) -> None:
        self.path = path
        self.content = content
        self.inert = inert
        self.storages: dict[str, _Storage] = {}
        self.functions: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _ordered_dict,
            "torch.Size": tuple,
            "torch.device": _device_name,
            "torch._utils._rebuild_tensor": self.rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": self.rebuild_tensor,
            "torch._utils._rebuild_tensor_v3": self.rebuild_tensor_of_type,
            "torch._utils._rebuild_parameter": lambda tensor, *requires_grad_and_hooks: tensor,
            "torch._utils._rebuild_parameter_with_state": lambda tensor, *requires_grad_hooks_and_state: tensor,
            "torch._tensor._rebuild_from_type_v2": self.rebuild_from_type,
        }

    def storage_content(self, key: str) -> memoryview:
        """The bytes of a storage, where the format keeps them."""
        raise NotImplementedError

    byte_order: Literal["<", ">"] = "<"

    def read_object(
        self,
        file: IO[bytes],
        functions: Mapping[str, Callable[..., Any]] | None = None,
        load_persistent: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Read one pickle, by other functions than this reader's if they are given."""
        try:
            return read_pickle(
                file,
                functions or self.functions,
                _OTHER_GLOBALS,
                load_persistent or self.load_persistent,
                self.inert,
            )
        except RefusedPickleError as error:
            raise refused(self.path, str(error)) from error
        except DamagedPickleError as error:
            raise damaged(self.path, f"its pickle is truncated or damaged: {error}") from error

    def load_persistent(self, identifier: Any) -> _Storage:
        key, number_type, count = _parse_storage(identifier)
        if key not in self.storages:
            self.storages[key] = _Storage(self.storage_content(key), number_type, self.byte_order)
        storage = self.storages[key]
        if (storage.number_type, len(storage.content)) != (number_type, count * item_size(number_type)):
            raise damaged(
                self.path, f"storage {key} has {len(storage.content)} bytes, not {count} numbers of type {number_type}"
            )
        return storage

    def rebuild_tensor(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _requires_grad: Any = False,
        _hooks: Any = None,
        metadata: Any = None,
    ) -> Array:
        """torch._utils._rebuild_tensor_v2: a tensor is a window on its storage."""
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor has no storage")
        return _window(storage.array(storage.number_type), offset, shape, strides, metadata)

    def rebuild_tensor_of_type(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _requires_grad: Any,
        _hooks: Any,
        number_type: Any,
        metadata: Any = None,
    ) -> Array:
        """torch._utils._rebuild_tensor_v3: the same on a storage of bytes, whose number type comes with the tensor."""
        if not isinstance(storage, _Storage) or not isinstance(number_type, Global):
            raise ValueError("a tensor has no storage or no number type")
        if number_type not in _NUMBER_TYPES:
            raise RefusedPickleError(f"it holds a tensor of type {number_type}")
        return _window(storage.array(number_type.removeprefix("torch.")), offset, shape, strides, metadata)

    def rebuild_from_type(self, function: Any, tensor_class: Any, arguments: Any, _state: Any) -> Any:
        """torch._tensor._rebuild_from_type_v2: a tensor to which someone had given attributes."""
        if not isinstance(function, Global) or not isinstance(tensor_class, Global):
            raise ValueError("a tensor has no class, or no function that makes it")
        if tensor_class not in _TENSOR_CLASSES or not function.startswith("torch._utils._rebuild_"):
            raise RefusedPickleError(f"it makes an object of {tensor_class} by {function}")
        return self.functions[function](*arguments)


def refused(path: str | os.PathLike[str], what: str) -> ModelError:
    """The error for a file in whose pickle something would have to run."""
    return ModelError(
        f"{path}: refused, because it holds more than tensors: {what}",
        "Nothing of it was run. Where you trust it: torch.save(torch.load(FILE, weights_only=False).state_dict(), OUT)",
    )


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as one of `torch.save` does, whatever its suffix; never raises."""
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith((b"PK\x03\x04", b"\x80\x02"))
    except OSError:
        return False


def _parse_storage(identifier: Any) -> tuple[str, str, int]:
    """Key, number type and count of numbers of the storage that a persistent id stands for."""
    match identifier:
        case ("storage", Global() as storage_type, str(key), _, int(count), *view) if count >= 0:
            if view not in ([], [None]):
                raise RefusedPickleError("it holds a view of a storage, as torch before 0.4 saved it")
            if storage_type in _STORAGE_TYPES:
                return key, _STORAGE_TYPES[storage_type], count
    raise ValueError(f"a storage is described by {reprlib.repr(identifier)}")


def _window(numbers: Array, offset: Any, shape: Any, strides: Any, metadata: Any) -> Array:
    """A view of a storage, given as torch does: offset and strides count numbers, not bytes."""
    if metadata:
        raise RefusedPickleError(f"it holds a tensor marked {reprlib.repr(metadata)}")
    if len(shape) != len(strides) or any(
        type(number) is not int or number < 0 for number in (*shape, *strides, offset)
    ):
        raise ValueError(f"a tensor has the shape, strides and offset {reprlib.repr((shape, strides, offset))}")
    if 0 in shape:
        return np.empty(shape, numbers.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= len(numbers):
        raise ValueError(f"a tensor needs number {last} of a storage of {len(numbers)}")
    return as_strided(numbers[offset:], shape, [stride * numbers.itemsize for stride in strides])


def _device_name(kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str) or not isinstance(index, int | None):
        raise ValueError("a device has no name")
    return kind if index is None else f"{kind}:{index}"


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    return {check_key(key): value for key, value in pairs}


class _ZipReader(_Reader):
    """The format since torch 1.6."""

    def read(self) -> Any:
        try:
            with zipfile.ZipFile(self.path) as archive:
                self.records = {record.filename: record for record in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
            raise damaged(self.path, f"truncated or damaged: not a whole zip archive ({error})") from error
        pickles = [name for name in self.records if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise damaged(self.path, "a zip archive, but not one of torch.save: it has no data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        order = bytes(self.record("byteorder")) if f"{self.folder}byteorder" in self.records else b"little"
        if order not in (b"little", b"big"):
            raise damaged(self.path, f"its byte order is {order[:20]!r}, neither little nor big")
        self.byte_order = "<" if order == b"little" else ">"
        return self.read_object(io.BytesIO(self.record("data.pkl")))

    def storage_content(self, key: str) -> memoryview:
        return self.record(f"data/{key}")

    def record(self, name: str) -> memoryview:
        """The bytes of one member of the archive, which torch never compresses."""
        if f"{self.folder}{name}" not in self.records:
            raise damaged(self.path, f"lacks {name}")
        record = self.records[f"{self.folder}{name}"]
        if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 0x1:
            raise damaged(self.path, f"{name} is compressed or encrypted, which torch.save does not do")
        header = self.content[record.header_offset : record.header_offset + 30]
        if len(header) < 30 or header[:4].tobytes() != b"PK\x03\x04":
            raise damaged(self.path, f"{name} has no header where the archive's directory says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        begin = record.header_offset + 30 + name_length + extra_length
        content = self.content[begin : begin + record.file_size]
        if len(content) < record.file_size:
            raise damaged(self.path, f"{name} goes beyond the end of the file")
        # torch.serialization.set_crc32_options(False) writes a zero instead of a checksum.
        if record.CRC != 0 and zlib.crc32(content) != record.CRC:
            raise damaged(self.path, f"the checksum of {name} is wrong")
        return content


class _LegacyReader(_Reader):
    """The format before torch 1.6: pickles (magic number, version, system, object, storage keys), then the storages."""

    contents: Mapping[str, memoryview] = {}  # not known before the storages were found

    def read(self) -> Any:
        with open(self.path, "rb") as file:
            if self.read_object(file) != _LEGACY_MAGIC:
                raise damaged(self.path, "a pickle, but not one of torch.save")
            if self.read_object(file) != _LEGACY_PROTOCOL:
                raise damaged(self.path, "of an unknown version of torch.save")
            self.read_object(file)
            # The storages come last, yet the object is made of them: a first reading learns their sizes alone.
            begin_of_object = file.tell()
            sizes = self.read_storage_sizes(file)
            keys = self.read_object(file)
            self.contents = self.find_storages(keys, sizes, file.tell())
            file.seek(begin_of_object)
            return self.read_object(file)

    def read_storage_sizes(self, file: IO[bytes]) -> dict[str, tuple[int, int]]:
        """Count of numbers and size of one of them, of each storage that the next pickle in `file` refers to."""
        sizes: dict[str, tuple[int, int]] = {}

        def note_size(identifier: Any) -> None:
            key, number_type, count = _parse_storage(identifier)
            sizes[key] = (count, item_size(number_type))

        makers_of_nothing = {name: _nothing for name in self.functions if name.startswith("torch._")}
        self.read_object(file, {**self.functions, **makers_of_nothing}, note_size)
        return sizes

    def find_storages(self, keys: Any, sizes: Mapping[str, tuple[int, int]], begin: int) -> dict[str, memoryview]:
        """The content of each storage: they lie in the order of `keys`, each after its count of numbers (int64)."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != sizes.keys():
            raise damaged(self.path, "its list of storages is not the one that its tensors refer to")
        contents = {}
        for key in keys:
            count, size_of_number = sizes[key]
            data = self.content[begin + 8 : begin + 8 + count * size_of_number]
            if len(data) < count * size_of_number:
                raise damaged(self.path, f"truncated: storage {key} goes beyond the end of the file")
            if int.from_bytes(self.content[begin : begin + 8], "little") != count:
                raise damaged(self.path, f"storage {key} does not have the {count} numbers that its tensors refer to")
            contents[key] = data
            begin += 8 + len(data)
        return contents

    def storage_content(self, key: str) -> memoryview:
        if key not in self.contents:
            raise damaged(self.path, f"truncated or damaged: its tensors refer to storage {key}, which is not there")
        return self.contents[key]


def _nothing(*_arguments: Any) -> None:
    return None


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
        if array.dtype.name not in _STORAGE_OF_NUMBER_TYPE:
            raise ValueError(f"torch cannot hold a tensor {name!r} of type {array.dtype}")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_record(archive, file, "data.pkl", _pickle_of_tensors(tensors))
        _write_record(archive, file, "byteorder", b"little")
        arrays = tracked(tensors.values(), "writing", "bytes", lambda array: array.nbytes)
        for key, array in enumerate(arrays):
            _write_record(archive, file, f"data/{key}", content_from_array(array))
        _write_record(archive, file, "version", b"3\n")


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
            _pickle_of_global(_STORAGE_OF_NUMBER_TYPE[array.dtype.name]),
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
