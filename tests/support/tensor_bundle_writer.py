"""A writer of TensorFlow's checkpoint format, by its description alone and with another library for the checksums."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

DATA_TYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
    "uint16": 17,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def masked(content: bytes) -> bytes:
    import crc32c

    checksum = crc32c.crc32c(content)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@dataclass
class Table:
    """LevelDB's table, in memory."""

    content: bytearray = field(default_factory=bytearray)
    compression: int = 0

    def block(self, entries: list[tuple[bytes, bytes]]) -> bytes:
        """Adds a block and returns its handle; each key is written as what it adds to the one before."""
        block, restarts, previous = bytearray(), [], b""
        for index, (key, value) in enumerate(entries):
            shared = 0
            if index % 16 == 0:
                restarts.append(len(block))
            else:
                while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                    shared += 1
            block += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            previous = key
        block += b"".join(struct.pack("<I", restart) for restart in restarts or [0])
        block += struct.pack("<I", len(restarts or [0]))
        offset = len(self.content)
        stored = bytes(block) + bytes([self.compression])
        self.content += stored + masked(stored)
        return varint(offset) + varint(len(block))

    def finish(self, index: list[tuple[bytes, bytes]]) -> bytes:
        footer = self.block([]) + self.block(index)
        return bytes(self.content) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(
    prefix: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    shards: int = 1,
    per_block: int = 50,
    header: bytes = b"",
    extra: Mapping[bytes, bytes] | None = None,
    compression: int = 0,
) -> Path:
    """Writes `PREFIX.index` and its shards, and returns the prefix.

    Args:
        prefix: the common start of the files' names.
        tensors: by name; they go to the shards in turn.
        shards: how many there are.
        per_block: entries in one block of the index.
        header: more fields of the header.
        extra: further entries of the index, as they are.
        compression: what the blocks say of their compression.
    """
    data = [bytearray() for _ in range(shards)]
    entries = {b"": b"\x08" + varint(shards) + header + message(3, b"\x08\x01")}
    for number, (name, array) in enumerate(sorted(tensors.items())):
        shard = number % shards
        content = np.ascontiguousarray(array).tobytes()
        shape = b"".join(message(2, b"\x08" + varint(size) if size else b"") for size in array.shape)
        entry = b"\x08" + varint(DATA_TYPES[array.dtype.name]) + message(2, shape)
        entry += b"\x18" + varint(shard) if shard else b""
        entry += b"\x20" + varint(len(data[shard])) if data[shard] else b""
        entry += (b"\x28" + varint(len(content)) if content else b"") + b"\x35" + masked(content)
        entries[name.encode()] = entry
        data[shard] += content
    entries.update(extra or {})
    ordered = sorted(entries.items())
    table = Table(compression=compression)
    index = []
    for begin in range(0, len(ordered), per_block):
        part = ordered[begin : begin + per_block]
        index.append((part[-1][0] + b"\xff", table.block(part)))
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{number:05}-of-{shards:05}").write_bytes(content)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table.finish(index))
    return prefix
