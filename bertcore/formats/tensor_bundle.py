"""TensorFlow's checkpoint format (tensor bundle, "V2"), read without TensorFlow.

`PREFIX.index` is a table in LevelDB's format: blocks of sorted keys, each block followed by a byte for its compression
and a masked CRC-32C of both. It maps the empty key to the bundle's header, and the name of each variable to where its
bytes lie in which shard `PREFIX.data-SSSSS-of-NNNNN`:

    BundleHeaderProto {int32 num_shards = 1; Endianness endianness = 2 (0: little)}
    BundleEntryProto {DataType dtype = 1; TensorShapeProto shape = 2; int32 shard_id = 3; int64 offset = 4;
                      int64 size = 5; fixed32 crc32c = 6 (masked, of the bytes); repeated TensorSliceProto slices = 7}
    TensorShapeProto {repeated Dim {int64 size = 1} dim = 2}

The index, whose handles are two varints, offset and size of a block:

    block | block | ... | block of metadata | index block | footer of 48 bytes
                                                            two handles (metadata, index), zeros, magic number of 8
    index block:  last key of a block -> handle of the block
    a block:      entry, entry, ... | u32 restart, ... | u32 count of restarts || u8 compression | u32 checksum
    an entry:     varint SHARED, OWN, VALUE | OWN bytes of the key | VALUE bytes
                  its key is the first SHARED bytes of the key before it, and its own: names have long beginnings

Reference implementation: https://github.com/tensorflow/tensorflow, `core/util/tensor_bundle` and `core/lib/io/table`.
Table format: https://github.com/google/leveldb/blob/main/doc/table_format.md.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LONGEST_NAME, MOST_TENSORS, shape_problem
from bertcore.formats.crc32c import masked_crc32c
from bertcore.formats.number_types import Array, array_from_content, content_size
from bertcore.formats.protobuf import DamagedMessageError, fields, varint
from bertcore.formats.weight_file import damaged, map_weight_file

INDEX_SUFFIX = ".index"

_NUMBER_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The entry by which TensorFlow 2 tells its own checkpoints, whose names are paths of Python attributes."""

_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_FOOTER_SIZE = 48
_TRAILER_SIZE = 5
_NO_COMPRESSION = 0
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}")


@dataclass
class _Entry:
    """Where a variable lies, as its `BundleEntryProto` says."""

    data_type: int = 0
    shape: list[int] = field(default_factory=list)
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0
    is_partitioned: bool = False


def find_index(path: str | os.PathLike[str]) -> Path | None:
    """The index of a checkpoint that is named by its prefix, its index, one of its shards or the folder that it is in.

    A folder with a file `checkpoint`, as TensorFlow leaves it, means the checkpoint which that file calls the latest.

    Returns:
        None where there is no checkpoint.

    Raises:
        ModelError: a folder has several, and nothing says which one is meant.
    """
    path = Path(path)
    if path.is_dir():
        return _index_in(path)
    if path.name.endswith(INDEX_SUFFIX):
        return path if is_index(path) else None
    stem = _SHARD.sub("", path.name) if _SHARD.search(path.name) else path.name
    index = path.with_name(stem + INDEX_SUFFIX)
    return index if is_index(index) else None


def is_index(path: Path) -> bool:
    """Whether a file ends as an index of a checkpoint does; never raises."""
    try:
        with open(path, "rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            return file.read() == _MAGIC
    except OSError:
        return False


def _index_in(folder: Path) -> Path | None:
    found = sorted(file for file in folder.glob(f"*{INDEX_SUFFIX}") if is_index(file))
    if len(found) < 2:
        return found[0] if found else None
    try:
        latest = re.search(r'^model_checkpoint_path: "(.+)"$', (folder / "checkpoint").read_text("utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        latest = None
    if latest is not None:
        index = folder / (Path(latest[1]).name + INDEX_SUFFIX)
        if index in found:
            return index
    names = ", ".join(file.name.removesuffix(INDEX_SUFFIX) for file in found[:5])
    raise ModelError(
        f"holds {len(found)} TensorFlow checkpoints: {names}{', ...' if len(found) > 5 else ''}",
        f"name one of them, as {found[-1].with_suffix('')}",
        origin=Origin(str(folder)),
        code="layout-unknown",
    )


def read_tensor_bundle(index: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all variables of a checkpoint; every block and every variable is compared with its checksum.

    The arrays are views of the mapped shards where possible. bfloat16 is widened to float32; all other types stay as
    they are. Texts (`DT_STRING`) are left out.

    Args:
        index: the file `PREFIX.index`; the shards lie beside it.

    Raises:
        ModelError: a file is missing or damaged, or of a kind that is not read: big end first, compressed,
            partitioned, or saved by TensorFlow 2.
    """
    index = Path(index)
    try:
        table = dict(islice(_table(index, map_weight_file(index)), MOST_TENSORS + 1))
        if len(table) > MOST_TENSORS:
            raise damaged(index, f"names more than {MOST_TENSORS} variables, and no model does")
        shard_count = _shard_count(index, table.pop(b"", None))
        # The parts of partitioned variables have keys of their own, which begin with a zero byte.
        entries = {_name(key): _parse_entry(value) for key, value in table.items() if not key.startswith(b"\0")}
    except DamagedMessageError as error:
        raise damaged(index, f"truncated, damaged or not the index of a TensorFlow checkpoint: {error}") from error
    if _OBJECT_GRAPH in entries:
        raise ModelError(
            "a checkpoint of TensorFlow 2, whose names tell nothing of the model",
            "take the TensorFlow 1 checkpoint, or save the model in another layout",
            origin=Origin(str(index)),
            code="weights-unsupported",
        )
    partitioned = [name for name, entry in entries.items() if entry.is_partitioned]
    if partitioned:
        raise ModelError(
            f"partitioned variables are not read: {', '.join(partitioned[:5])}",
            "save the checkpoint without a partitioner",
            origin=Origin(str(index)),
            code="weights-unsupported",
        )
    return _read_variables(index, entries, shard_count)


def _read_variables(index: Path, entries: Mapping[str, _Entry], shard_count: int) -> dict[str, Array]:
    shards: dict[int, memoryview] = {}
    bytes_read: Counter[int] = Counter()
    tensors = {}
    for name, entry in entries.items():
        if entry.data_type not in _NUMBER_TYPES:
            continue
        if not 0 <= entry.shard < shard_count:
            raise damaged(index, f"{name} lies in shard {entry.shard} of {shard_count}")
        shard = index.with_name(f"{index.name.removesuffix(INDEX_SUFFIX)}.data-{entry.shard:05}-of-{shard_count:05}")
        if entry.shard not in shards:
            shards[entry.shard] = map_weight_file(shard)
        number_type = _NUMBER_TYPES[entry.data_type]
        if entry.size != content_size(number_type, entry.shape):
            raise damaged(index, f"{name} has {entry.size} bytes, but {number_type} of shape {entry.shape}")
        # Variables that lie on each other would be compared with their checksums again and again.
        bytes_read[entry.shard] += entry.size
        if bytes_read[entry.shard] > len(shards[entry.shard]):
            raise damaged(shard, "truncated: its variables are longer together than the file")
        content = shards[entry.shard][entry.offset : entry.offset + entry.size]
        if len(content) != entry.size:
            raise damaged(shard, f"truncated: {name} ends at byte {entry.offset + entry.size}")
        if masked_crc32c(bytes(content)) != entry.checksum:
            raise damaged(shard, f"the checksum of {name} is wrong: at least one byte of it has changed")
        tensors[name] = array_from_content(content, number_type, entry.shape)
    if not tensors:
        raise damaged(index, "names no variables")
    return tensors


def _shard_count(index: Path, header: memoryview | None) -> int:
    if header is None:
        raise DamagedMessageError("it has no header")
    values = {number: value for number, value in fields(header) if isinstance(value, int)}
    if values.get(2, 0) != 0:
        raise ModelError(
            "a checkpoint of a big-endian machine is not read",
            "save it again on a little-endian one",
            origin=Origin(str(index)),
            code="weights-unsupported",
        )
    return values.get(1, 0)


def _parse_entry(message: memoryview) -> _Entry:
    entry = _Entry()
    for number, value in fields(message):
        match number, value:
            case 1, int():
                entry.data_type = value
            case 2, memoryview():
                entry.shape = _shape(value)
            case 3, int():
                entry.shard = value
            case 4, int():
                entry.offset = value
            case 5, int():
                entry.size = value
            case 6, memoryview():
                entry.checksum = int.from_bytes(value, "little")
            case 7, _:
                entry.is_partitioned = True
            case _:
                raise DamagedMessageError(f"field {number} of an entry is unknown")
    return entry


def _shape(message: memoryview) -> list[int]:
    shape: list[int] = []
    for kind, dimension in fields(message):
        if kind == 2:
            shape.append(_dimension(dimension))
            problem = shape_problem(shape)
            if problem is not None:
                raise DamagedMessageError(f"a variable has {problem}")
    return shape


def _dimension(message: int | memoryview) -> int:
    if not isinstance(message, memoryview):
        raise DamagedMessageError("a dimension is no message")
    sizes = [value for number, value in fields(message) if number == 1 and isinstance(value, int)]
    return sizes[-1] if sizes else 0  # a size of zero is not written


def _name(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise DamagedMessageError(f"a name is not valid UTF-8: {key[:40]!r}") from error


def _table(path: Path, content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Key and value of each entry of a LevelDB table, in the order of the keys."""
    if len(content) < _FOOTER_SIZE or content[-len(_MAGIC) :] != _MAGIC:
        raise DamagedMessageError("it does not end as an index does")
    footer = content[-_FOOTER_SIZE:]
    _, position = _handle(footer, 0)  # the block of metadata, which TensorFlow leaves empty
    (offset, size), _ = _handle(footer, position)
    bytes_read = 0
    for _, value in _block(path, content, offset, size):
        (offset, size), _ = _handle(value, 0)
        bytes_read += size
        if bytes_read > len(content):
            raise DamagedMessageError("its blocks are longer together than the file")
        yield from _block(path, content, offset, size)


def _handle(content: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the position behind them."""
    offset, position = varint(content, position)
    size, position = varint(content, position)
    return (offset, size), position


def _block(path: Path, content: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """Key and value of each entry of one block: a key begins with as many bytes of the one before as it says."""
    stored = content[offset : offset + size + _TRAILER_SIZE]
    if len(stored) < size + _TRAILER_SIZE or size < 4:
        raise DamagedMessageError(f"a block of {size} bytes at byte {offset} goes beyond its end")
    if masked_crc32c(bytes(stored[: size + 1])) != int.from_bytes(stored[size + 1 :], "little"):
        raise damaged(path, f"the checksum of its block at byte {offset} is wrong: at least one byte has changed")
    if stored[size] != _NO_COMPRESSION:
        raise ModelError(
            "compressed blocks are not read",
            "save it again as TensorFlow does, uncompressed",
            origin=Origin(str(path)),
            code="weights-unsupported",
        )
    block = stored[:size]
    restart_count = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restart_count
    position, key = 0, b""
    # Restarts are where a key is whole, for a search by halves; who reads all entries in order needs none.
    while position < end:
        shared, position = varint(block, position)
        own, position = varint(block, position)
        value_size, position = varint(block, position)
        if shared > len(key) or position + own + value_size > end:
            raise DamagedMessageError(f"an entry of the block at byte {offset} goes beyond its end")
        if shared + own > LONGEST_NAME:
            raise DamagedMessageError(f"a name has {shared + own} bytes")
        key = key[:shared] + bytes(block[position : position + own])
        position += own
        yield key, block[position : position + value_size]
        position += value_size
