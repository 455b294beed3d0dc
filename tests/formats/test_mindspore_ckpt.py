"""MindSpore's checkpoint format without MindSpore: what it writes and reads itself is in the module beside this one."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.errors import ModelError, OutputError
from bertcore.formats import mindspore_ckpt
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.formats.safetensors_file import read_safetensors

NUMBER_TYPES = [
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
]  # fmt: skip

arrays = st.sampled_from(NUMBER_TYPES).flatmap(
    lambda number_type: numpy_strategies.arrays(
        number_type, numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)


def field(number: int, content: bytes | int) -> bytes:
    """A field of a protobuf message, of fewer than 128 bytes or less than 128."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def value(name: str, dims: list[int], number_type: str, content: bytes) -> bytes:
    tensor = b"".join(field(1, size) for size in dims) + field(2, number_type.encode()) + field(3, content)
    return field(1, field(1, name.encode()) + field(2, tensor))


FLOATS = np.arange(6, dtype=np.float32)
SMALL_A, SMALL_B = value("a", [1], "Int8", b"1"), value("b", [1], "Int8", b"2")


@settings(deadline=None)  # a slow disk is no failure
@given(tensors=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), arrays, min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("random") / "model.ckpt"
    write_ckpt(path, tensors)
    read = read_ckpt(path)
    assert list(read) == list(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_a_handmade_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(
        value("whole", [2, 3], "Float32", FLOATS.tobytes())
        + value("cut", [2, 3], "Float32", FLOATS[:4].tobytes())
        + value("cut", [2, 3], "Float32", FLOATS[4:].tobytes())
        + value("scalar", [], "Float32", struct.pack("<f", 1.5))
        + value("old_scalar", [0], "Int32", struct.pack("<i", 7))
        + value("empty", [0], "Int32", b"")
        + value("half", [2], "BFloat16", struct.pack("<HH", 0x3F80, 0xC040))
        + value("note", [0], "str", "héy".encode("utf-32-le"))
        # Packed dims, which other writers of protobuf use.
        + field(
            1, field(1, b"packed") + field(2, field(1, b"\x03\x02") + field(2, b"Float32") + field(3, FLOATS.tobytes()))
        )
    )
    read = read_ckpt(path)
    assert list(read) == ["whole", "cut", "scalar", "old_scalar", "empty", "half", "note", "packed"]
    np.testing.assert_array_equal(read["whole"], FLOATS.reshape(2, 3), strict=True)
    np.testing.assert_array_equal(read["cut"], FLOATS.reshape(2, 3), strict=True)
    np.testing.assert_array_equal(read["packed"], FLOATS.reshape(3, 2), strict=True)
    np.testing.assert_array_equal(read["scalar"], np.float32(1.5))
    np.testing.assert_array_equal(read["old_scalar"], np.int32(7))
    assert (read["scalar"].shape, read["old_scalar"].shape, read["empty"].shape) == ((), (), (0,))
    np.testing.assert_array_equal(read["half"], np.array([1, -3], np.float32), strict=True)
    assert read["note"].item() == "héy"


def test_real_weights_come_back(tmp_path: Path, chinese_l12: Path) -> None:
    tensors = read_safetensors(chinese_l12 / "model.safetensors")
    write_ckpt(tmp_path / "model.ckpt", tensors)
    read = read_ckpt(tmp_path / "model.ckpt")
    assert list(read) == list(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_a_large_tensor_is_cut_into_several_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mindspore_ckpt, "_LARGEST_SLICE", 16)
    path = tmp_path / "model.ckpt"
    write_ckpt(path, {"a": FLOATS, "b": FLOATS[:1]})
    expected = (
        value("a", [6], "Float32", FLOATS[:4].tobytes())
        + value("a", [6], "Float32", FLOATS[4:].tobytes())
        + value("b", [1], "Float32", FLOATS[:1].tobytes())
    )
    assert path.read_bytes()[:-17] == expected
    read = read_ckpt(path)
    np.testing.assert_array_equal(read["a"], FLOATS)
    read["a"][0] = 7  # a joined array may be changed, as one that is a view may


def test_arrays_that_are_not_contiguous_or_not_little_endian_are_written_right(tmp_path: Path) -> None:
    tensors = {"transposed": np.arange(6.0).reshape(2, 3).T, "big_endian": np.arange(6, dtype=">f4")}
    write_ckpt(tmp_path / "model.ckpt", tensors)
    for name, array in read_ckpt(tmp_path / "model.ckpt").items():
        np.testing.assert_array_equal(array, tensors[name])
        assert array.dtype.isnative


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    write_ckpt(path, {"a": FLOATS, "b": np.ones((2, 2), np.int64)})
    content = path.read_bytes()
    assert content[-17:] == b"crc_num" + zlib.crc32(content[:-17]).to_bytes(10, "big")
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(ModelError, match=re.escape(str(path))):
            read_ckpt(path)


def test_every_truncation_within_a_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    values = [value("a", [6], "Float32", FLOATS.tobytes()), value("b", [2], "Float32", FLOATS[:2].tobytes())]
    content = b"".join(values)
    for length in set(range(len(content))) - {len(values[0])}:
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=re.escape(str(path))):
            read_ckpt(path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty, of 0 bytes"),
        (SMALL_A[:-1], "from its first byte: field 1 is 16 bytes long, but only 15 are left"),
        (SMALL_A + SMALL_B[:-1], "after tensor a: field 1 is 16 bytes long, but only 15 are left"),
        (SMALL_A + b"\x0a\xff", "after tensor a: it ends within a number"),
        (b"\x0a" + b"\xff" * 11, "a number is longer than 64 bits"),
        (b"PK\x03\x04", "cut short: a zip archive"),
        (b"{}", "from its first byte"),
        (field(2, b""), "field 2 is unknown"),
        (field(1, 5), "field 1 is unknown"),
        (field(1, b""), "a value has no name or no tensor"),
        (field(1, field(1, b"\xff") + field(2, b"")), "a name is not valid UTF-8"),
        (field(1, field(1, b"a") + field(3, b"")), "a is a map parameter"),
        (field(1, field(1, b"a") + field(7, b"")), "field 7 of a value is unknown"),
        (field(1, field(1, b"a") + field(2, field(7, b""))), "field 7 of a tensor is unknown"),
        (value("a", [6], "Float32", FLOATS[:5].tobytes()), "tensor a has 20 bytes, but Float32 of shape [6] takes 24"),
        (value("a", [], "Float32", FLOATS.tobytes()), "tensor a has 24 bytes, but Float32 of shape [] takes 4"),
        (value("a", [127] * 9 + [0], "Int8", b""), "tensor a has 0 bytes, but Int8 of shape [127, 127"),
        (value("a", [1], "Int4", b"1"), "tensor a has the type 'Int4'"),
        (value("a", [0], "str", b"\xff\xff\xff\xff"), "the text a is not valid UTF-32"),
        (SMALL_A + SMALL_B + SMALL_A, "tensor a appears twice"),
        (SMALL_A + value("a", [2], "Int8", b"1"), "tensor a appears twice"),
        (SMALL_A + b"crc_num" + bytes(10), "its checksum is wrong"),
        (b"\xd8\x5e\x3a\x7f" + bytes(20), "encrypted checkpoints are not read"),
        (b"\xd9\x5e\x3a\x7f" + bytes(20), "encrypted checkpoints are not read"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(str(path)) + ".*" + re.escape(cause)):
        read_ckpt(path)


def test_random_bytes_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "model.ckpt"
    content = value("a", [2, 3], "Float32", FLOATS.tobytes()) + value("note", [0], "str", "hi".encode("utf-32-le"))
    for _ in range(1000):
        changed = bytearray(content)
        for position in random.integers(0, len(content), size=3):
            changed[position] = random.integers(256)
        path.write_bytes(changed)
        try:
            read_ckpt(path)
        except ModelError as error:
            assert str(path) in error.cause  # noqa: PT017


def test_a_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        write_ckpt(tmp_path / "file" / "model.ckpt", {"a": np.ones(2)})
    with pytest.raises(ValueError, match="a MindSpore checkpoint cannot hold a tensor 'text'"):
        write_ckpt(tmp_path / "model.ckpt", {"text": np.array("x")})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
