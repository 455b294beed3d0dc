"""MindSpore's checkpoint format `.ckpt`, read and written without MindSpore and without protobuf.

A file is a protobuf message:

    Checkpoint {repeated Value value = 1}
    Value {string tag = 1; TensorProto tensor = 2}
    TensorProto {repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3}

So its bytes, each length being a varint:

    0a LENGTH  0a LENGTH "bert.pooler.dense.bias"  12 LENGTH  08 SIZE ..  12 07 "Float32"  1a LENGTH the numbers
    `- a Value `- its tag                          `- a tensor `- dims     `- its type      `- its content
    0a LENGTH  ...
    "crc_num" and the CRC-32 of all before it, in 10 bytes, big end first: it may be missing

A tensor of more than 512 MiB is cut into several Values of the same tag, one after the other, each with the dims of the
whole.

Reference implementation: https://gitee.com/mindspore/mindspore, `mindspore/train/serialization.py`. Wire format:
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import MOST_DIMENSIONS, MOST_TENSORS, shape_problem
from bertcore.files.writing import atomic_write
from bertcore.formats.number_types import Array, array_from_content, content_from_array, content_size
from bertcore.formats.protobuf import (
    LENGTH_DELIMITED,
    VARINT,
    DamagedMessageError,
    delimited,
    encoded_key,
    encoded_varint,
    fields,
    varint,
)
from bertcore.formats.weight_file import damaged, map_weight_file
from bertcore.progress import tracked

_NUMBER_TYPES = {
    "Float64": "float64",
    "Float32": "float32",
    "Float16": "float16",
    "BFloat16": "bfloat16",
    "Int64": "int64",
    "Int32": "int32",
    "Int16": "int16",
    "Int8": "int8",
    "UInt64": "uint64",
    "UInt32": "uint32",
    "UInt16": "uint16",
    "UInt8": "uint8",
    "Bool": "bool",
}
_TYPE_NAMES = {number_type: name for name, number_type in _NUMBER_TYPES.items()}
_TEXT_TYPE = "str"

_CRC_MARK = b"crc_num"
_CRC_SIZE = 10
_ENCRYPTED = tuple(number.to_bytes(4, "little") for number in (0x7F3A5ED8, 0x7F3A5ED9, 0x7F3A5EDA))
_LARGEST_SLICE = 512 * 1024 * 1024


@dataclass
class _Tensor:
    number_type: str = ""
    shape: list[int] = field(default_factory=list)
    slices: list[memoryview] = field(default_factory=list)


def read_ckpt(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all tensors of a `.ckpt` file.

    The arrays are views of the mapped file where possible. bfloat16 is widened to float32; all other types stay as
    they are. A text that was saved beside the parameters is an array of no dimensions that holds the text.

    Raises:
        ModelError: the file is missing, damaged, encrypted, or holds something other than tensors.
    """
    content = map_weight_file(path)
    if bytes(content[:4]) in _ENCRYPTED:
        raise ModelError(
            "encrypted checkpoints are not read",
            "Save it again without enc_key.",
            origin=Origin(str(path)),
            code="weights-unsupported",
        )
    message = _without_checksum(path, content)

    tensors: dict[str, _Tensor] = {}
    name = ""
    try:
        for count, (number, value) in enumerate(fields(message), 1):
            if number != 1 or not isinstance(value, memoryview):
                raise DamagedMessageError(f"field {number} is unknown")
            if count > MOST_TENSORS:
                raise damaged(path, f"holds more than {MOST_TENSORS} tensors, and no model does")
            previous_name, (name, part) = name, _parse_value(value)
            if name not in tensors:
                tensors[name] = part
            elif name == previous_name and (part.number_type, part.shape) == (
                tensors[name].number_type,
                tensors[name].shape,
            ):
                tensors[name].slices += part.slices
            else:
                raise damaged(path, f"tensor {name} appears twice")
    except DamagedMessageError as error:
        where = f"after tensor {name}" if name else "from its first byte"
        raise damaged(path, f"truncated, damaged or not a MindSpore checkpoint {where}: {error}") from error
    if not tensors:
        raise damaged(path, "holds no tensors")
    return {name: _to_array(path, name, tensor) for name, tensor in tensors.items()}


def ckpt_names(path: str | os.PathLike[str]) -> frozenset[str]:
    """The names in a `.ckpt` file as far as it can be read, without its numbers and without its checksum."""
    names = set()
    with suppress(DamagedMessageError):
        for number, value in islice(fields(map_weight_file(path)), MOST_TENSORS):
            if number == 1 and isinstance(value, memoryview):
                parts = islice(fields(value), 2)
                names |= {_text(tag) for kind, tag in parts if kind == 1 and isinstance(tag, memoryview)}
    return frozenset(names)


def write_ckpt(path: str | os.PathLike[str], tensors: Mapping[str, Array]) -> None:
    """Write tensors to a `.ckpt` file with a checksum, whole or not at all.

    `mindspore.load_checkpoint(path)` opens it, with `crc_check=True` too.

    Args:
        path: the file.
        tensors: arrays of floats, integers or bools by name, written in their own type.

    Raises:
        OutputError: the file cannot be written.
    """
    for name, array in tensors.items():
        if array.dtype.name not in _TYPE_NAMES:
            raise ValueError(f"a MindSpore checkpoint cannot hold a tensor {name!r} of type {array.dtype}")
    checksum = 0
    with atomic_write(path) as file:
        for name, array in tracked(tensors.items(), "writing", "bytes", lambda item: item[1].nbytes):
            content = content_from_array(array)
            for begin in range(0, max(len(content), 1), _LARGEST_SLICE):
                part = content[begin : begin + _LARGEST_SLICE]
                for piece in (_before_content(name, array, len(part)), part):
                    checksum = zlib.crc32(piece, checksum)
                    file.write(piece)
        file.write(_CRC_MARK + checksum.to_bytes(_CRC_SIZE, "big"))


def _without_checksum(path: str | os.PathLike[str], content: memoryview) -> memoryview:
    """The message alone, after its checksum was compared if it has one."""
    tail_size = len(_CRC_MARK) + _CRC_SIZE
    message, tail = content[:-tail_size], content[-tail_size:]
    if tail[: len(_CRC_MARK)] != _CRC_MARK:
        return content
    if zlib.crc32(message) != int.from_bytes(tail[len(_CRC_MARK) :], "big"):
        raise damaged(path, "its checksum is wrong: at least one byte of it has changed")
    return message


def _parse_value(message: memoryview) -> tuple[str, _Tensor]:
    """Name and content of one `Value`: a tensor, or a slice of it."""
    name = None
    tensor = None
    for number, value in fields(message):
        match number, value:
            case 1, memoryview() if name is None:
                name = _text(value)
            case 2, memoryview() if tensor is None:
                tensor = _parse_tensor(value)
            case 3, _:
                raise DamagedMessageError(f"{name} is a map parameter (a hash table), which is not read")
            case _:
                raise DamagedMessageError(f"field {number} of a value is unknown, or stands twice")
    if name is None or tensor is None:
        raise DamagedMessageError("a value has no name or no tensor")
    return name, tensor


def _parse_tensor(message: memoryview) -> _Tensor:
    tensor = _Tensor()
    for number, value in fields(message):
        match number, value:
            case 1, int():
                tensor.shape.append(value)
                _refuse_shape(tensor.shape)
            case 1, memoryview():  # the packed form, which other writers of protobuf use
                position = 0
                while position < len(value):
                    size, position = varint(value, position)
                    tensor.shape.append(size)
                    _refuse_shape(tensor.shape)
            case 2, memoryview() if not tensor.number_type:
                tensor.number_type = _text(value)
            case 3, memoryview() if not tensor.slices:
                tensor.slices.append(value)
            case _:
                raise DamagedMessageError(f"field {number} of a tensor is unknown, or stands twice")
    return tensor


def _refuse_shape(shape: list[int]) -> None:
    """Refuses a shape as soon as it is wrong: there may be millions of dimensions to come."""
    if len(shape) > MOST_DIMENSIONS or shape[-1] >= 2**63:
        raise DamagedMessageError(f"a tensor has {shape_problem(shape)}")


def _to_array(path: str | os.PathLike[str], name: str, tensor: _Tensor) -> Array:
    # A second slice makes a copy necessary; one slice alone stays a view of the file.
    content = tensor.slices[0] if len(tensor.slices) == 1 else memoryview(bytearray().join(tensor.slices))
    if tensor.number_type == _TEXT_TYPE:
        try:
            return np.array(bytes(content).decode("utf-32-le"))
        except UnicodeDecodeError as error:
            raise damaged(path, f"the text {name} is not valid UTF-32") from error
    if tensor.number_type not in _NUMBER_TYPES:
        raise damaged(path, f"tensor {name} has the type {tensor.number_type!r}, not among {', '.join(_NUMBER_TYPES)}")
    number_type = _NUMBER_TYPES[tensor.number_type]
    # MindSpore before 2.0 wrote a scalar with the dims [0].
    shape = [] if tensor.shape == [0] and len(content) > 0 else tensor.shape
    expected = content_size(number_type, shape)
    if len(content) != expected:
        raise damaged(
            path, f"tensor {name} has {len(content)} bytes, but {tensor.number_type} of shape {shape} takes {expected}"
        )
    return array_from_content(content, number_type, shape)


def _text(value: memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise DamagedMessageError("a name is not valid UTF-8") from error


def _before_content(name: str, array: Array, content_size: int) -> bytes:
    """All of a `Value` in a `Checkpoint` that stands before the bytes of its content, which come last."""
    dims = b"".join(encoded_key(1, VARINT) + encoded_varint(size) for size in array.shape)
    number_type = delimited(2, _TYPE_NAMES[array.dtype.name].encode())
    tensor = dims + number_type + encoded_key(3, LENGTH_DELIMITED) + encoded_varint(content_size)

    tensor_key = encoded_key(2, LENGTH_DELIMITED) + encoded_varint(len(tensor) + content_size)
    value = delimited(1, name.encode()) + tensor_key + tensor
    return encoded_key(1, LENGTH_DELIMITED) + encoded_varint(len(value) + content_size) + value
