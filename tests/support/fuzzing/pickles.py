"""Files of ``torch.save`` whose pickle, archive or storages lie."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from bertcore.formats.names import tensor_names
from bertcore.formats.torch_file import read_torch_file
from bertcore.weights.converters.tensor_files import read_tensors

from .chance import EDGES, Chance

Files = dict[str, bytes]

CANARY = "fuzzing.pickles"
"""The module of :func:`ran`, which no reader may call."""

calls: list[Any] = []


def ran(*arguments: Any) -> None:
    """Notes that a file has run code."""
    calls.append(arguments)


class Ran:
    """The same, where it is made, and where its attributes are set."""

    def __new__(cls, *arguments: Any, **named: Any) -> Ran:
        calls.append(arguments)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        calls.append(state)


_STORAGES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
_GLOBALS = (
    *("collections OrderedDict", "torch Size", "torch device", "torch float32", "torch bfloat16", "torch uint64"),
    *("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"),
    *("torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state", "torch Tensor"),
    *("torch._tensor _rebuild_from_type_v2", "torch.nn.parameter Parameter", "torch FloatStorage", "builtins set"),
    *(
        f"{CANARY} ran",
        f"{CANARY} Ran",
        "torch.storage UntypedStorage",
        "os system",
        "builtins exec",
        "torch.nn Module",
    ),
    *("torch _utils._rebuild_tensor_v2", "collections OrderedDict.fromkeys", "collections abc.Mapping", "a b\nc"),
)
_BARE = b"0012(((te)]}lda)]}ab.QRRbosuN\x88\x89\x85\x86\x87\x8f\x90\x91\x93\x94\x81\x92\x97\x98"
"""Instructions without an argument, the usual ones more than once."""


class _Writer:
    """Writes a pickle, a part for each instruction."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.parts: list[bytes] = []
        self.kept = 0

    def put(self, *parts: bytes) -> None:
        chance = self.chance
        for part in parts:
            if chance.random() < chance.rate * 0.3:
                self.parts.append(self.soup())
            self.parts.append(part)
            if chance.random() < chance.rate * 0.3:
                self.parts.append(
                    chance.choice((b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x94", b"r\xff\xff\xff\x7f"))
                )

    def soup(self) -> bytes:
        """Some instructions that nobody would write here."""
        chance = self.chance
        found = b""
        for _ in range(chance.choice((1, 1, 2, 5))):
            match chance.randrange(6):
                case 0:
                    found += chance.choice((b"h\x00", b"h\x01", b"h\x02", b"q\x00", b"q\x01", b"p7\n", b"g7\n"))
                case 1:
                    found += self.of_global(chance.choice(_GLOBALS))
                case 2:
                    found += b"".join(self.whole(chance.choice(EDGES)) for _ in range(chance.choice((1, 3))))
                case 3:
                    found += self.of_text(chance.choice(("", "a", "storage", "x" * 300, "\x1b[1m", "1")))
                case 4:
                    found += chance.choice(
                        (
                            *(
                                b"\x80\xff",
                                b"\x95" + b"\xff" * 8,
                                b"\x82\x01",
                                b"\x83\x01\x00",
                                b"\x84\x01\x00\x00\x00",
                            ),
                            *(b"i" + f"{CANARY}\nran\n".encode(), b"I01\n", b"L12345L\n", b"F1e999\n", b"S'\\x41'\n"),
                            *(b"V\\ud800\n", b"P1\n", b"C\x01a", b"\x8d" + b"\xff" * 8, b"\x8b\xff\xff\xff\x7f"),
                            *(b"\x8c\x02\xed\xa0", b"G\x7f\xf8\0\0\0\0\0\0", b"\x96" + bytes(8), b"T\xff\xff\xff\xff"),
                        )
                    )
                case _:
                    found += bytes([chance.choice(_BARE)])
        return found * (chance.choice((2, 40, 400)) if chance.random() < 0.1 else 1)

    def of_text(self, text: str) -> bytes:
        encoded = text.encode("utf-8", "surrogatepass")
        if self.chance.random() < 0.2 and len(encoded) < 256:
            return b"\x8c" + bytes([len(encoded)]) + encoded
        return b"X" + struct.pack("<I", self.chance.number(len(encoded), most=2**32 - 1)) + encoded

    def whole(self, number: int) -> bytes:
        if 0 <= number < 256:
            return b"K" + bytes([number])
        if -(2**31) <= number < 2**31:
            return b"J" + struct.pack("<i", number)
        encoded = pickle.encode_long(number)
        return b"\x8a" + bytes([len(encoded)]) + encoded if len(encoded) < 256 else b"I%d\n" % number

    def of_global(self, name: str) -> bytes:
        module, _, attribute = name.partition(" ")
        if self.chance.lies():
            return b"(i" + f"{module}\n{attribute}\n".encode()
        if self.chance.random() < 0.2:
            return self.of_text(module) + self.of_text(attribute) + b"\x93"
        return b"c" + f"{module}\n{attribute}\n".encode()

    def text(self, text: str) -> None:
        self.put(self.of_text(self.chance.text(text)))

    def number(self, number: int) -> None:
        self.put(self.whole(self.chance.number(number)))

    def name(self, name: str) -> None:
        self.put(self.of_global(self.chance.choice(_GLOBALS) if self.chance.lies() else name))

    def numbers(self, numbers: list[int]) -> None:
        self.put(b"(")
        for number in numbers:
            self.number(number)
        self.put(b"l" if self.chance.lies() else b"t")


def _tensor(writer: _Writer, storage: str, key: str, count: int) -> None:
    chance = writer.chance
    rows = chance.choice((1, 2))
    shape = chance.choice(([count], [rows, count // rows], [], [0], [count, 1, 1]) if count else ([0], [0, 5]))
    strides = [0] * len(shape)
    step = 1
    for axis in range(len(shape) - 1, -1, -1):
        strides[axis], step = step, step * shape[axis]
    if chance.lies():
        length = chance.choice((1, 2, 17, 33, 65, 250))
        shape = [chance.choice((1, 1, 2, 255, 2**16, 2**31, 2**62)) for _ in range(length)]
        strides = [chance.choice((0, 0, 1, 2**40, 2**63)) for _ in range(length)]
    kind = chance.choice(("v2", "v2", "v2", "", "parameter", "type")) if storage != "ByteStorage" else "v3"
    if kind == "parameter":
        writer.name("torch._utils _rebuild_parameter")
        writer.put(b"(")
    elif kind == "type":
        writer.name("torch._tensor _rebuild_from_type_v2")
        writer.put(b"(")
        writer.name("torch._utils _rebuild_tensor_v2")
        writer.name("torch.nn.parameter Parameter")
    if kind != "type":
        writer.name(f"torch._utils _rebuild_tensor{'_v3' if kind == 'v3' else '_v2' if kind else ''}")
    writer.put(b"(", b"(")
    writer.text("storage")
    writer.name(f"torch {storage}")
    writer.text(key)
    writer.text("cpu")
    writer.number(count)
    writer.put(b"t", b"Q")
    writer.number(0)
    writer.numbers(shape)
    writer.numbers(strides)
    if kind:
        writer.put(b"\x89")
        writer.name("collections OrderedDict")
        writer.put(b")", b"R")
        if kind == "v3":
            writer.name("torch uint8")
        elif chance.lies():
            writer.put(b"}")
    writer.put(b"t")
    if kind == "type":
        writer.put(b"}", b"t", b"R")
    elif kind == "parameter":
        writer.put(b"R", b"\x88", b"}", b"t", b"R")
    else:
        writer.put(b"R")


def _state_dict(chance: Chance) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The pickle of a state_dict, and of each storage that it names the count of numbers and the size of one."""
    writer = _Writer(chance)
    storages: dict[str, tuple[int, int]] = {}
    kinds: dict[str, str] = {}
    writer.put(b"\x80\x02")
    depth = 0
    if chance.random() < 0.3:
        for wrapper in chance.sample(("model", "state_dict", "module"), chance.randrange(1, 3)):
            writer.put(b"}")
            writer.text(wrapper)
            depth += 1
    if chance.random() < 0.3:
        writer.name("collections OrderedDict")
        writer.put(b")", b"R")
    else:
        writer.put(b"}")
    is_one = chance.random() < 0.5
    if is_one:
        writer.put(b"(")
    for number in range(chance.randrange(1, 4)):
        writer.text(f"bert.w{number}")
        key = str(chance.randrange(3))
        storage = kinds.setdefault(key, chance.choice(("FloatStorage", "FloatStorage", *_STORAGES)))
        count = storages.setdefault(key, (chance.choice((0, 1, 6, 12)), _STORAGES[storage]))[0]
        if not chance.lies():
            _tensor(writer, storage, key, count)
        else:
            writer.put(chance.choice((b"N", b"K\x01", b"]", b"(K\x01K\x02t", b"}", b"\x8f", writer.soup())))
        if not is_one:
            writer.put(b"s")
    if is_one:
        writer.put(b"u")
    if chance.random() < 0.2:
        writer.put(b"}")
        writer.text("_metadata")
        writer.put(b"}", b"s", b"b")
    writer.put(*[b"s"] * depth)
    if chance.random() < 0.1:  # a whole module, or an object of a class that nobody has
        writer.parts.insert(1, b"c" + f"{CANARY}\nRan\n".encode() + b")\x81}(X\x0b\0\0\0_parameters")
        writer.put(b"X\x08\0\0\0_modules", b"}", b"X\x08\0\0\0_buffers", b"}", b"u", b"b")
    writer.put(b".")
    return chance.damage(b"".join(chance.some(writer.parts))), storages


def zip_files(chance: Chance) -> Files:
    content, storages = _state_dict(chance)
    members = [("a/data.pkl", content)]
    if chance.random() < 0.3:
        members.append(("a/byteorder", chance.choice((b"", b"\x1b[1m")) if chance.lies() else b"little"))
    members += [
        (f"a/data/{key}", bytes(chance.number(count * size, most=999))) for key, (count, size) in storages.items()
    ]
    return {"model.bin": chance.damage(_archive(chance, chance.some(members)))}


def _archive(chance: Chance, members: list[tuple[str, bytes]]) -> bytes:
    """A zip archive, written field by field: each may lie."""
    found, directory = b"", b""
    for name, content in members:
        encoded = chance.text(name).encode("utf-8", "surrogatepass")
        begin, size = chance.number(len(found), most=2**32 - 1), chance.number(len(content), most=2**32 - 1)
        checksum = chance.choice((zlib.crc32(content), 0)) if not chance.lies() else 7
        method, flags = chance.number(0, most=99), chance.number(0, most=2**16 - 1)
        stored = zlib.compress(content)[2:-4] if method == 8 else content
        extra = bytes(chance.number(0, most=200))
        long = len(encoded) % 2**16
        sizes = (checksum, len(stored), size, long, len(extra))
        found += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0, *sizes) + encoded + extra + stored
        more = chance.choice((b"", b"\x01\x00\x08\x00" + bytes(8), b"\x01\x00\xff\xff")) if chance.lies() else b""
        fields = (20, 20, flags, method, 0, 0, checksum, len(stored), size, long, len(more), 0, 0, 0, 0, begin)
        directory += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", *fields) + encoded + more
    directory = chance.damage(directory)
    count = chance.number(len(members), most=2**16 - 1)
    place = chance.number(len(found), most=2**32 - 1)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, chance.number(len(directory), most=2**32 - 1), place, 0)
    return found + directory + b"PK\x05\x06" + end


def legacy_files(chance: Chance) -> Files:
    content, storages = _state_dict(chance)
    magic = chance.number(0x1950A86A20F9469CFC6C)
    front = [pickle.dumps(value, 2) for value in (magic, chance.number(1001), {"little_endian": True})]
    keys = chance.some(list(storages))
    behind = [pickle.dumps(keys, 2)]
    for key in keys:
        count, size = storages[key]
        numbers = chance.number(count, most=2**63 - 1)
        behind.append(struct.pack("<q", numbers) + bytes(min(numbers, 99) * size))
    return {"model.bin": chance.damage(b"".join([*chance.some(front), content, *chance.some(behind)]))}


def read_torch_files(folder: Path) -> Any:
    """Both readings, of which the second passes over what is not plain data, and the look that never raises."""
    file = folder / "model.bin"
    names = tensor_names(file)
    assert isinstance(names, frozenset)
    try:
        found: Any = read_tensors(file)
    finally:
        assert not calls, "code of the file was run"
    return found, read_torch_file(file)


def stored_archive(members: dict[str, bytes]) -> bytes:
    """A zip archive without lies."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()
