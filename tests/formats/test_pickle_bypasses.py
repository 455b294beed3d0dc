"""Published ways around scanners of pickles (fickling, picklescan, modelscan), each with a canary in the place of harm.

That the canary sings where Python's own unpickler reads the same bytes shows that each is alive. No reader of bertcore
may let it: none of them imports, makes or calls what a file names.

Sources: the advisories and issues of https://github.com/trailofbits/fickling, https://github.com/mmaitre314/picklescan
and https://github.com/protectai/modelscan; torch's own tests of `weights_only`.
"""

from __future__ import annotations

import builtins
import copyreg
import importlib
import pickle
import struct
import sys
import types
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.errors import ModelError
from bertcore.formats.names import tensor_names
from bertcore.formats.torch_file import read_torch_file, write_torch_file
from bertcore.weights.converters.tensor_files import read_tensors

EXTENSION = 0xCA

songs: list[Any] = []


def sing(*arguments: Any, **named: Any) -> Any:
    songs.append((arguments, named))
    return arguments


class Singer:
    """Sings when it is made, called, or given a state."""

    def __new__(cls, *arguments: Any, **named: Any) -> Singer:
        songs.append(arguments)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        songs.append(state)

    def __hash__(self) -> int:
        songs.append("hash")
        return 1


class Quiet:
    """Sings only when it is given a state."""

    __setstate__ = Singer.__setstate__


class Growing:
    """Sings when something is put into it."""

    def append(self, item: Any) -> None:
        songs.append(item)

    def extend(self, items: Any) -> None:
        songs.append(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        songs.append((key, value))

    def add(self, item: Any) -> None:
        songs.append(item)


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with all of them, also where a file may look for one that is allowed."""
    module: Any = types.ModuleType("canary")
    inner = types.SimpleNamespace(sing=sing)
    for name, value in {"sing": sing, "Singer": Singer, "Quiet": Quiet, "Growing": Growing, "inner": inner}.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "canary", module)
    copyreg.add_extension("canary", "sing", EXTENSION)
    songs.clear()
    yield
    copyreg.remove_extension("canary", "sing", EXTENSION)


def text(content: str) -> bytes:
    encoded = content.encode()
    return b"\x8c" + bytes([len(encoded)]) + encoded


SING = b"ccanary\nsing\n"
ALIVE: dict[str, bytes] = {
    "REDUCE": b"\x80\x02" + SING + b"K\x01\x85R.",
    "REDUCE of protocol 0": SING + b"(I1\ntR.",
    "STACK_GLOBAL": b"\x80\x04" + text("canary") + text("sing") + b"\x93)R.",
    "a dotted name": b"\x80\x04" + text("canary") + text("inner.sing") + b"\x93)R.",
    "a dotted name of GLOBAL": b"\x80\x04ccanary\ninner.sing\n)R.",
    "a name in protocol 5": b"\x80\x05" + text("canary") + text("sing") + b"\x93)R.",
    "OBJ": b"(ccanary\nSinger\nS'id'\no.",
    "OBJ of a function": b"(ccanary\nsing\nS'id'\no.",
    "INST": b"(S'id'\nicanary\nSinger\n.",
    "INST of a function": b"(S'id'\nicanary\nsing\n.",
    "NEWOBJ": b"\x80\x02ccanary\nSinger\n)\x81.",
    "NEWOBJ_EX": b"\x80\x04ccanary\nSinger\n)}\x92.",
    "BUILD calls __setstate__": b"\x80\x02ccanary\nQuiet\n)\x81}b.",
    "APPEND": b"\x80\x02ccanary\nGrowing\n)\x81K\x01a.",
    "APPENDS": b"\x80\x02ccanary\nGrowing\n)\x81(K\x01K\x02e.",
    "SETITEM": b"\x80\x02ccanary\nGrowing\n)\x81K\x01K\x02s.",
    "ADDITEMS": b"\x80\x04ccanary\nGrowing\n)\x81(K\x01\x90.",
    "a key that is hashed": b"\x80\x02}ccanary\nSinger\n)\x81K\x01s.",
    "EXT1": b"\x80\x02\x82" + bytes([EXTENSION]) + b")R.",
    "EXT2": b"\x80\x02\x83" + struct.pack("<H", EXTENSION) + b")R.",
    "EXT4": b"\x80\x02\x84" + struct.pack("<i", EXTENSION) + b")R.",
    "no PROTO": SING + b")R.",
    "PROTO again and again": b"\x80\x02\x80\x05\x80\x00" + SING + b")R.",
    "the memo that MEMOIZE and BINPUT see otherwise": (
        b"\x80\x04" + text("canary") + b"q\x00" + text("sing") + b"q\x01" + text("torch._utils") + b"\x94"
        b"0" + text("_rebuild_tensor_v2") + b"\x940h\x00h\x01\x93)R."
    ),
    "a memo that is overwritten": (
        b"\x80\x04"
        + text("collections")
        + b"q\x00"
        + text("canary")
        + b"q\x000"
        + text("sing")
        + b"q\x01h\x00h\x01\x93)R."
    ),
    "PUT of what the opcode before did not make": (
        b"\x80\x04" + text("canary") + text("collections") + b"0p7\n0" + text("sing") + b"p8\n0g7\ng8\n\x93)R."
    ),
    "a name made of a name": b"\x80\x04cbuiltins\ngetattr\nccanary\ninner\n" + text("sing") + b"\x86R)R.",
    "importlib": b"\x80\x04cbuiltins\ngetattr\ncimportlib\nimport_module\n"
    + text("canary")
    + b"\x85R"
    + text("sing")
    + b"\x86R)R.",
    "pkgutil.resolve_name": b"\x80\x04cpkgutil\nresolve_name\n" + text("canary:sing") + b"\x85R)R.",
    "operator.attrgetter": b"\x80\x04coperator\nattrgetter\n"
    + text("sing")
    + b"\x85Rcimportlib\nimport_module\n"
    + text("canary")
    + b"\x85R\x85R)R.",
    "functools.partial": b"\x80\x04cfunctools\npartial\nccanary\nsing\n\x85R)R.",
    "builtins of a module": b"\x80\x04cbuiltins\ndict.get\ncfunctools\n__builtins__\n" + text("map") + b"\x86R"
    b"ccanary\nsing\n(K\x01l\x86Rq\x000cbuiltins\nlist\nh\x00\x85R.",
    "another pickle inside": b"\x80\x04cpickle\nloads\nC\x10" + SING + b")R.\x85R.",
    "what runs before the damage": b"\x80\x02" + SING + b")R\xff\xff",
    "what runs before the end is missing": b"\x80\x02" + SING + b")R",
    "POP of what ran": b"\x80\x02" + SING + b")R0}.",
    "in a tuple beside tensors": b"\x80\x02}X\x01\x00\x00\x00w(" + SING + b")RK\x02ts.",
    "as a hook of an allowed call": b"\x80\x02ccollections\nOrderedDict\n(" + SING + b")Rl\x85R.",
    "an attribute of an allowed name": b"\x80\x02ccollections\nOrderedDict\nNX\x01\x00\x00\x00k" + SING + b")R\x86}b.",
}


@pytest.mark.parametrize("content", ALIVE.values(), ids=ALIVE.keys())
def test_python_would_run_it(content: bytes) -> None:
    with suppress(Exception):
        pickle.loads(content)
    assert songs


def zip_file(folder: Path, content: bytes) -> Path:
    file = folder / "model.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", content)
    return file


def legacy_parts(content: bytes, place: int) -> list[bytes]:
    parts = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}, {}, [])]
    parts[place] = content
    return parts


def legacy_file(place: int) -> Callable[[Path, bytes], Path]:
    def write(folder: Path, content: bytes) -> Path:
        file = folder / "model.bin"
        file.write_bytes(b"".join(legacy_parts(content, place)))
        return file

    return write


def assert_silent(file: Path, monkeypatch: pytest.MonkeyPatch) -> list[ModelError]:
    """Reads a file in all ways, in which nothing may be imported either; the errors of those that refuse it."""

    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        assert name in sys.modules, f"{name} is imported"
        assert name != "canary"
        return original(name, *arguments, **named)

    errors = []
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", refuse)
        patch.setattr(builtins, "__import__", refuse)
        for read in (read_torch_file, read_tensors, tensor_names):
            try:
                read(file)
            except ModelError as error:
                errors.append(error)
    assert songs == []
    return errors


WRITERS = {"zip": zip_file, **{f"legacy-{place}": legacy_file(place) for place in (0, 2, 3, 4)}}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
@pytest.mark.parametrize("content", ALIVE.values(), ids=ALIVE.keys())
def test_no_reader_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, bytes], Path], content: bytes
) -> None:
    file = write(tmp_path, content)
    tensor_names(file)  # whatever is imported late, now
    errors = assert_silent(file, monkeypatch)
    assert errors  # that refuses plain data alone, at least, has not read it
    assert {error.code for error in errors} <= {"weights-refused", "weights-damaged", "layout-unknown"}


def archive_with(members: list[tuple[str, bytes]], **lies: int) -> bytes:
    """A zip archive of which some fields lie: of each local header, and of the directory."""
    found, directory = b"", b""
    for name, content in members:
        encoded, checksum = name.encode(), lies.get("checksum", zlib.crc32(content))
        flags, method = lies.get("flags", 0), lies.get("method", 0)
        sizes = (checksum, len(content), lies.get("size", len(content)))
        local = b"other/name"[: len(encoded)] if lies.get("local_name") else encoded
        begin = len(found)
        found += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0, *sizes, len(local), 0)
        found += local + content
        fields = (20, 20, flags, method, 0, 0, *sizes, len(encoded), 0, 0, 0, 0, 0, begin)
        directory += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", *fields) + encoded
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(found), 0)
    return found + directory + b"PK\x05\x06" + end


EVIL = ALIVE["REDUCE"]


@pytest.mark.parametrize(
    "content",
    [
        archive_with([("a/data.pkl", EVIL)]),
        archive_with([("a/data.pkl", EVIL)], checksum=7),
        archive_with([("a/data.pkl", EVIL)], checksum=0),
        archive_with([("a/data.pkl", EVIL)], flags=1),
        archive_with([("a/data.pkl", EVIL)], flags=0xFFFF),
        archive_with([("a/data.pkl", EVIL)], local_name=1),
        archive_with([("a/data.pkl", EVIL)], method=99),
        archive_with([("a/data.pkl", EVIL)], size=2**31),
        archive_with([("a/data.pkl", b"\x80\x02}."), ("a/data.pkl", EVIL)]),
        archive_with([("a/data.pkl", b"\x80\x02}."), ("b/data.pkl", EVIL)]),
        archive_with([("a/inner.zip", archive_with([("a/data.pkl", EVIL)])), ("a/data.pkl", EVIL)]),
        b"#!/bin/sh\n" + archive_with([("a/data.pkl", EVIL)]),
        EVIL + archive_with([("a/data.pkl", b"\x80\x02}.")]),
        b"".join(legacy_parts(EVIL, 3)) + archive_with([("a/data.pkl", b"\x80\x02}.")]),
        archive_with(
            [("a/data.pkl", b"\x80\x02}."), ("a/constants.pkl", EVIL), ("a/code/__torch__.py", b"import canary")]
        ),
        archive_with([("a/data.pkl", b"\x80\x02}." + EVIL)]),
    ],
)
def test_archives_that_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    for suffix in (".bin", ".pt", ".ckpt", ".pth"):
        file = tmp_path / f"model{suffix}"
        file.write_bytes(content)
        tensor_names(file)
        assert_silent(file, monkeypatch)


def test_a_module_of_an_allowed_name_beside_the_file_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "collections", "numpy", "data"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write_torch_file(tmp_path / "model.bin", {"w": np.ones(3, "f4")})
    known = set(sys.modules)
    assert [*read_torch_file(tmp_path / "model.bin")] == ["w"]
    assert not (tmp_path / "ran").exists()
    assert {name for name in set(sys.modules) - known if name.partition(".")[0] == "torch"} == set()


def test_the_allowed_names_are_found_as_they_are_and_not_by_their_parts(tmp_path: Path) -> None:
    """`torch` with the name `_utils._rebuild_tensor_v2` would be found by its parts, and so would what is under it."""
    for module, name in (
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections.OrderedDict", "__init_subclass__"),
        ("torch", "_utils"),
        ("", "collections.OrderedDict"),
        ("collections\x00", "OrderedDict"),
        ("collections ", "OrderedDict"),
        ("COLLECTIONS", "OrderedDict"),
    ):
        content = b"\x80\x04" + text(module) + text(name) + b"\x93)R."
        with pytest.raises(ModelError, match="refused, because it holds more than tensors"):
            read_torch_file(zip_file(tmp_path, content))
