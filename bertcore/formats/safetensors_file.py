"""The safetensors format: an 8-byte header length, a JSON header, and the tensors end to end.

Format: https://github.com/huggingface/safetensors#format. Its own numpy reader has no bfloat16, which many published
weights use; hence this one, which checks the same rules.
"""

from __future__ import annotations

import json
import os
import reprlib
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bertcore.files.bounds import LARGEST_HEADER, LONGEST_NAME, MOST_TENSORS, shape_problem
from bertcore.files.writing import atomic_write
from bertcore.formats.number_types import Array, array_from_content, content_from_array, content_size
from bertcore.formats.shards import is_shard_index, read_shards
from bertcore.formats.weight_file import cut_short, damaged, map_weight_file
from bertcore.progress import tracked

_NUMBER_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_CODES = {number_type: code for code, number_type in _NUMBER_TYPES.items()}
_HEADER_LENGTH = struct.Struct("<Q")


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all tensors of a `.safetensors` file, or of all shards of a `.safetensors.index.json`.

    The arrays are views of the mapped file where possible, and may be changed. bfloat16 is widened to float32; all
    other types stay as they are.

    Raises:
        ModelError: a file is missing or is not what the format says.
    """
    if is_shard_index(path):
        return read_shards(path, read_safetensors)
    content = map_weight_file(path)
    header, data = _split(path, content)
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        raise damaged(path, f"holds {len(header)} tensors, and no model has more than {MOST_TENSORS}")
    needed = max((_end(entry) for entry in header.values()), default=0)
    if needed > len(data):
        raise cut_short(path, len(content), len(content) - len(data) + needed)

    tensors = {}
    ranges = []
    for name, entry in header.items():
        number_type, shape, begin, end = _check_entry(path, name, entry)
        tensors[name] = array_from_content(data[begin:end], number_type, shape)
        ranges.append((begin, end, name))
    _check_coverage(path, sorted(ranges), len(data))
    return tensors


def write_safetensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a `.safetensors` file, whole or not at all.

    Args:
        path: the file.
        tensors: arrays of floats, integers or bools by name, written in their own type.
        metadata: texts for the header, such as `{"format": "pt"}`, which transformers asks for.

    Raises:
        OutputError: the file cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    contents = []
    begin = 0
    # Wide types first, so that every tensor is aligned for its type.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        if name == "__metadata__" or array.dtype.name not in _CODES:
            raise ValueError(f"safetensors cannot hold a tensor {name!r} of type {array.dtype}")
        content = content_from_array(array)
        end = begin + content.nbytes
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end]}
        contents.append(content)
        begin = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_write(path) as file:
        file.write(_HEADER_LENGTH.pack(len(encoded)))
        file.write(encoded)
        for content in tracked(contents, "writing", "bytes", lambda content: content.nbytes):
            file.write(content)


def _split(path: str | os.PathLike[str], content: memoryview) -> tuple[dict[str, Any], memoryview]:
    """The header, and the data behind it."""
    start = _HEADER_LENGTH.size
    if len(content) < start:
        raise damaged(path, f"not a safetensors file: only {len(content)} bytes long")
    (header_length,) = _HEADER_LENGTH.unpack(content[:start])
    if len(content) - start < header_length < LARGEST_HEADER and content[start : start + 1].tobytes() == b"{":
        raise cut_short(path, len(content), start + header_length)
    if header_length > len(content) - start:
        raise damaged(
            path,
            f"truncated or not a safetensors file: its header should be {header_length} bytes long, "
            f"but the file has only {len(content) - start} more",
        )
    if header_length > LARGEST_HEADER:
        raise damaged(path, f"its header has {header_length} bytes, and none has more than {LARGEST_HEADER}")
    try:
        header = json.loads(bytes(content[start : start + header_length]), object_pairs_hook=_object_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not a safetensors file: its header is not valid JSON: {error}") from error
    if not isinstance(header, dict):
        raise damaged(path, "not a safetensors file: its header is not a JSON object")
    return header, content[start + header_length :]


def _end(entry: Any) -> int:
    """Where a tensor ends, or 0 where its entry is not understood."""
    match entry:
        case {"data_offsets": [int(), int(end)]}:
            return end
    return 0


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{name[:LONGEST_NAME]} appears twice")
    return result


def _check_entry(path: str | os.PathLike[str], name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """Number type, shape, and the first and last offset of one tensor."""
    if len(name) > LONGEST_NAME:
        raise damaged(path, f"the name of a tensor has {len(name)} characters: {name[:40]}...")
    match entry:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if all(
            type(size) is int and size >= 0 for size in shape
        ):
            pass
        case _:
            raise damaged(path, f"the header's entry for tensor {name} is not understood: {reprlib.repr(entry)}")
    problem = shape_problem(shape)
    if problem is not None:
        raise damaged(path, f"tensor {name} has {problem}")
    if code not in _NUMBER_TYPES:
        raise damaged(path, f"tensor {name} has the type {code[:40]}, which is not among {', '.join(_NUMBER_TYPES)}")
    if not 0 <= begin <= end:
        raise damaged(path, f"tensor {name} is said to lie between the bytes {begin} and {end}")
    expected = content_size(_NUMBER_TYPES[code], shape)
    if end - begin != expected:
        raise damaged(path, f"tensor {name} has {end - begin} bytes, but {code} of shape {shape} takes {expected}")
    return _NUMBER_TYPES[code], shape, begin, end


def _check_coverage(path: str | os.PathLike[str], ranges: list[tuple[int, int, str]], data_size: int) -> None:
    """The tensors must lie end to end, from the first byte of the data to the last."""
    position = 0
    for begin, end, name in ranges:
        if begin < position:
            raise damaged(path, f"tensor {name} overlaps the one before it")
        if begin > position:
            raise damaged(path, f"{begin - position} bytes before tensor {name} belong to no tensor")
        position = end
    if position < data_size:
        raise damaged(path, f"{data_size - position} bytes at its end belong to no tensor")
