"""Weight files whose fields lie: safetensors, `.ckpt` and TensorFlow's bundles."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from tensor_bundle_writer import Table, masked

from bertcore.formats.mindspore_ckpt import ckpt_names, read_ckpt
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.formats.tensor_bundle import find_index, read_tensor_bundle
from bertcore.weights.converters.tensor_files import read_tensors

from .chance import Chance
from .wire import message, varint_field

Files = dict[str, bytes]

_CODES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "C64": 8,
}  # fmt: skip
_CKPT_TYPES = {
    "Float32": 4, "Float16": 2, "BFloat16": 2, "Int64": 8, "Int32": 4, "UInt8": 1, "Bool": 1, "Float64": 8, "str": 4,
    "Complex64": 8,
}  # fmt: skip
_BUNDLE_TYPES = {1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 9: 8, 10: 1, 14: 2, 17: 2, 19: 2, 22: 4, 23: 8, 7: 1}


def shape_of(chance: Chance) -> list[int]:
    """Dimensions of a tensor, few and small unless they lie."""
    shape = [chance.randrange(4) for _ in range(chance.randrange(4))]
    if chance.lies():
        return [
            chance.choice((0, 1, 2, 2**31, 2**61, 2**62)) for _ in range(chance.choice((1, 2, 5, 17, 33, 70, 1000)))
        ]
    return [chance.number(size) for size in shape]


def _count(shape: list[int]) -> int:
    """How many numbers are written for a shape that may lie."""
    return min(math.prod(min(abs(size), 99) for size in shape), 200)


def names_of(chance: Chance, count: int) -> list[str]:
    return chance.some([chance.text(f"bert.w{number}") for number in range(count)])


def safetensors(chance: Chance, names: list[str] | None = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": chance.json({"format": "pt"})} if chance.random() < 0.3 else {}
    data = b""
    parts = []
    for name in names_of(chance, chance.randrange(5)) if names is None else names:
        code = chance.choice(("F32", "F32", *_CODES))
        shape = shape_of(chance)
        size = _count(shape) * _CODES[code]
        begin = chance.number(len(data))
        entry = {"dtype": chance.text(code), "shape": shape, "data_offsets": [begin, chance.number(begin + size)]}
        parts.append((name, chance.json(entry)))
        data += bytes(size)
    if chance.lies():  # names may stand twice, which a dict cannot
        parts += parts
    entries = [f"{_json(name)}:{_json(entry)}" for name, entry in [*header.items(), *parts]]
    encoded = chance.damage(("{" + ",".join(entries) + "}").encode("utf-8", "surrogatepass"))
    if chance.lies():
        encoded += b" " * chance.randrange(9)
    length = chance.number(len(encoded), most=2**64 - 1)
    return struct.pack("<Q", length) + encoded + chance.damage(data)


def safetensors_files(chance: Chance) -> Files:
    if chance.random() < 0.8:
        return {"model.safetensors": safetensors(chance)}
    shards = {f"m{number}.safetensors": [f"t{number}", f"u{number}"] for number in range(chance.randrange(3))}
    weight_map = {name: shard for shard, names in shards.items() for name in names}
    index = {"metadata": {"total_size": 8}, "weight_map": weight_map}
    content = chance.damage(_json(chance.json(index)).encode("utf-8", "surrogatepass"))
    files = {shard: safetensors(chance, chance.some(names)) for shard, names in chance.some([*shards.items()])}
    return {**files, "model.safetensors.index.json": content}


def read_safetensors_files(folder: Path) -> Any:
    index = folder / "model.safetensors.index.json"
    return read_safetensors(index if index.exists() else folder / "model.safetensors")


def ckpt_files(chance: Chance) -> Files:
    import zlib

    values = []
    for name in names_of(chance, chance.randrange(5)):
        kind = chance.choice(("Float32", *_CKPT_TYPES))
        shape = shape_of(chance)
        size = _count(shape) * _CKPT_TYPES[kind]
        if chance.lies():
            dims = [message(chance, 1, b"".join(varint_field(chance, None, one) for one in shape))]
        else:
            dims = [varint_field(chance, 1, one) for one in shape]
        content = [message(chance, 3, chance.damage(bytes(chance.number(size, most=999)))) for _ in range(1)]
        tensor = chance.some([*dims, message(chance, 2, chance.text(kind).encode("utf-8", "surrogatepass")), *content])
        if chance.lies():
            tensor *= chance.choice((2, 3, 50))
        tag = message(chance, 1, name.encode("utf-8", "surrogatepass"))
        value = chance.some([tag, message(chance, 2, b"".join(tensor))])
        if chance.lies():
            value.append(message(chance, 3, b""))
        values.append(message(chance, 1, chance.damage(b"".join(value))))
    if chance.lies():
        values *= 2
    content = chance.damage(b"".join(values))
    if chance.random() < 0.5:
        content += b"crc_num" + chance.number(zlib.crc32(content), most=2**64).to_bytes(10, "big")
    return {"model.ckpt": chance.damage(content)}


def read_ckpt_file(folder: Path) -> Any:
    ckpt_names(folder / "model.ckpt")
    return read_ckpt(folder / "model.ckpt")


def bundle_files(chance: Chance) -> Files:
    shards = chance.choice((1, 1, 2))
    data = [b""] * shards
    header = varint_field(chance, 1, shards) + (varint_field(chance, 2, 0) if chance.lies() else b"")
    entries = [(b"", chance.damage(header))]
    for place, name in enumerate(names_of(chance, chance.randrange(5))):
        kind = chance.choice((1, *_BUNDLE_TYPES))
        shape = shape_of(chance)
        size = _count(shape) * _BUNDLE_TYPES[kind]
        shard, content = place % shards, chance.damage(bytes(size))
        dimensions = b"".join(message(chance, 2, varint_field(chance, 1, one)) for one in shape)
        parts = [
            varint_field(chance, 1, kind),
            message(chance, 2, dimensions),
            varint_field(chance, 3, shard),
            varint_field(chance, 4, len(data[shard])),
            varint_field(chance, 5, size),
            b"\x35" + chance.damage(masked(content)),
        ]
        data[shard] += content
        entry = chance.damage(b"".join(chance.some(parts)))
        entries.append((name.encode("utf-8", "surrogatepass"), entry))
    if chance.lies():
        entries.append((b"_CHECKPOINTABLE_OBJECT_GRAPH", b"\x08\x07"))
    table = _LyingTable(chance, chance.number(0, most=255))
    ordered = sorted(entries) if not chance.lies() else entries
    per_block = chance.choice((1, 50))
    index = [
        (part[-1][0] + b"\xff", table.block(part))
        for part in (ordered[begin : begin + per_block] for begin in range(0, len(ordered), per_block))
    ]
    files = {f"m.data-{number:05}-of-{shards:05}": content for number, content in enumerate(data)}
    return {**dict(chance.some([*files.items()])), "m.index": chance.damage(table.finish(chance.some(index)))}


class _LyingTable(Table):
    """A table whose blocks are damaged before their checksums are made, and whose handles lie."""

    def __init__(self, chance: Chance, compression: int) -> None:
        super().__init__(compression=compression)
        self.chance = chance

    def block(self, entries: list[tuple[bytes, bytes]]) -> bytes:
        chance, begin = self.chance, len(self.content)
        super().block(entries)
        stored = chance.damage(bytes(self.content[begin:-4]))
        self.content[begin:] = stored + chance.damage(masked(stored))
        return varint_field(chance, None, begin) + varint_field(chance, None, max(len(stored) - 1, 0))


def read_bundle_files(folder: Path) -> Any:
    find_index(folder)
    return read_tensor_bundle(folder / "m.index")


def read_any_tensors(file: Path) -> Any:
    return read_tensors(file)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True) if not isinstance(value, str) else json.dumps(value)
