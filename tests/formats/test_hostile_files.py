"""Files that were made to harm: valid containers whose fields lie. Each ends in an error, soon and in little memory."""

from __future__ import annotations

import copy
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensor_bundle_writer import Table, masked, write_bundle

from bertcore.errors import ModelError
from bertcore.files import bounds
from bertcore.formats.mindspore_ckpt import read_ckpt
from bertcore.formats.names import tensor_names
from bertcore.formats.protobuf import VARINT, delimited, encoded_key, encoded_varint
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.formats.tensor_bundle import read_tensor_bundle
from bertcore.formats.torch_file import read_torch_file
from bertcore.weights.converters.tensor_files import read_tensors

EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def safetensors(folder: Path, header: object, data: bytes = b"") -> Path:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = folder / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    return file


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"w": {**ONE, "shape": [1] * 70}}, "70 dimensions"),
        ({"w": {**ONE, "shape": [1] * 1_000_000}}, "1000000 dimensions"),
        ({"w": {**ONE, "shape": [int("9" * 4000)] * 10}}, "a dimension that no tensor has"),
        ({"w": {**ONE, "shape": [2**62, 4]}}, "a dimension that no tensor has"),
        ({f"t{number}": EMPTY for number in range(bounds.MOST_TENSORS + 1)}, "no model has more"),
        (b"{" + b",".join([b'"w":' + json.dumps(EMPTY).encode()] * 100_000) + b"}", "appears twice"),
        (b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b',"9":1}', "9 appears twice"),
        ({"w": {**ONE, "shape": [0] * 3 + [2**62]}}, "a dimension that no tensor has"),
        ({"w": {**ONE, "extra": [0] * 1_000_000, "dtype": 7}}, "is not understood"),
        ({"w": {**ONE, "dtype": json.loads("[" * 900 + "]" * 900)}}, "is not understood"),
        (b" " * (bounds.LARGEST_HEADER + 1), "none has more"),
        ({"n" * 1_000_000: ONE}, "1000000 characters"),
        ({"w": {**ONE, "dtype": "F" * 1_000_000}}, "has the type F"),
        (b'{"w":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "not valid JSON"),
    ],
    ids=[
        *("70", "million", "digits", "product", "tensors", "names", "last-name", "empty", "long-entry", "deep-entry"),
        *("header", "long-name", "long-type", "deep"),
    ],
)
def test_safetensors(tmp_path, header, said):
    with pytest.raises(ModelError, match=said) as caught:
        read_safetensors(safetensors(tmp_path, header, b"\0" * 4))
    assert len(str(caught.value)) < 1000


def value_of(tensor: bytes, name: bytes = b"w") -> bytes:
    return delimited(1, delimited(1, name) + delimited(2, tensor))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (delimited(1, b"") * 1_000_000, "no name or no tensor"),
        (value_of((encoded_key(1, VARINT) + b"\1") * 1_000_000 + delimited(2, b"Float32")), "17 dimensions"),
        (value_of(delimited(1, b"\1" * 1_000_000) + delimited(2, b"Float32")), "17 dimensions"),
        (value_of(encoded_key(1, VARINT) + encoded_varint(2**63) + delimited(2, b"Float32")), "a dimension"),
        (value_of(delimited(2, b"Float32") + delimited(3, b"")) * (bounds.MOST_TENSORS + 1), "no model does"),
        (value_of(delimited(2, b"Float32") + delimited(3, b"") * 1_000_000), "stands twice"),
        (delimited(1, delimited(1, b"w") * 1_000_000), "stands twice"),
    ],
    ids=["empty", "dimensions", "packed", "negative", "slices", "contents", "tags"],
)
def test_ckpt(tmp_path, content, said):
    file = tmp_path / "model.ckpt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_ckpt(file)


PROTOCOL = b"\x80\x02"
KEY = b"X\x01\x00\x00\x00w"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor(shape: list[int], strides: list[int]) -> bytes:
    sizes = [b"(" + b"".join(b"K" + bytes([number]) for number in numbers) + b"t" for numbers in (shape, strides)]
    made_of = STORAGE + b"K\x00" + b"".join(sizes) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + made_of + b"tR"


def zip_file(folder: Path, content: bytes) -> Path:
    file = folder / "model.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/data/0", b"\0" * 16)
    return file


def legacy_file(folder: Path, content: bytes) -> Path:
    file = folder / "model.bin"
    before = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    file.write_bytes(b"".join(before) + content + pickle.dumps([], 2))
    return file


def pairs(count: int) -> bytes:
    return b"(" + b"".join(b"M" + struct.pack("<H", number) + b"K\x01\x86" for number in range(count)) + b"lq\x010"


AGAIN = b"q\x030h\x01\x85q\x020(" + b"h\x03h\x02R" * 200 + b"l."
"""Calls what is on top 200 times, with what stands under 1."""

WIDE = b"(" + b"N" * 6_000 + b"tq\x020"
FROM_TYPE = b"ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n"


@pytest.mark.parametrize("write", [zip_file, legacy_file])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"}q\x00" + KEY + b"h\x00s.", "holds itself"),
        (b"}q\x00X\x05\x00\x00\x00modelh\x00s.", "holds itself"),
        (b"]q\x00h\x00a.", "holds itself"),
        (b"}q\x00" + KEY + b"]h\x00as.", "holds itself"),
        (b"}" + KEY + b")" + b"\x85" * 200_000 + b"s.", "100 deep"),
        (b"}" + KEY + b"]" * 200_000 + b"a" * 199_999 + b"s.", "100 deep"),
        ((b"}" + KEY) * 100_000 + b"}" + b"s" * 100_000 + b".", "100 deep"),
        (b"}" + KEY + b"]q\x01" + b"0(h\x01h\x01lq\x01" * 200 + b"s.", "100 deep"),
        (pairs(6_000) + b"(" + b"ccollections\nOrderedDict\n(h\x01tR" * 200 + b"l.", "copy more than"),
        (pairs(6_000) + b"ctorch\nSize\n" + AGAIN, "copy more than"),
        (WIDE + b"ctorch._utils\n_rebuild_parameter\nq\x030(" + b"h\x03h\x02R" * 200 + b"l.", "copy more than"),
        (b"ctorch._tensor\n_rebuild_from_type_v2\n(" + FROM_TYPE + b"}}tR.", "no tuple of a few arguments"),
        (b"ctorch\nSize\nX\x01\x00\x00\x00a\x85R.", "made of no list"),
        (b"ccollections\nOrderedDict\n}\x85R.", "made of no list"),
        (b"N0" * (bounds.MOST_INSTRUCTIONS // 2) + b"N.", "instructions"),
    ],
    ids=[
        *("dict", "model", "list", "inner", "tuples", "lists", "dicts", "repeats", "copies", "sizes", "arguments"),
        *("splat", "text", "mapping", "instructions"),
    ],
)
def test_pickles(tmp_path, write: Callable[[Path, bytes], Path], content, said):
    file = write(tmp_path, PROTOCOL + content)
    with pytest.raises(ModelError, match=said):
        read_torch_file(file)
    with pytest.raises(ModelError, match=said):  # also where what is not plain data is passed over
        read_tensors(file)


@pytest.mark.parametrize(
    "content",
    [
        pairs(6_000) + b"cbuiltins\nset\n" + AGAIN,
        b"(" + b"N" * 6_000 + b"cos\nsystem\ntq\x020(" + b"h\x02Q0" * 200 + b"l.",
        b"(" + b"N" * 6_000 + b"cos\nsystem\ntq\x020(" + b"ctorch\nSize\nh\x02R0" * 200 + b"l.",
    ],
    ids=["sets", "persistent", "calls"],
)
def test_pickles_of_what_is_passed_over(tmp_path, content):
    with pytest.raises(ModelError, match="copy more than"):
        read_tensors(zip_file(tmp_path, PROTOCOL + content))


def test_what_is_held_many_times_without_being_deep_is_read(tmp_path):
    """Two that hold each other twice are four one level below: 2 to the 60th for whoever walks them as a tree."""
    content = PROTOCOL + b"}" + KEY + b"]q\x01" + b"0(h\x01h\x01lq\x01" * 60 + b"s."
    assert [*read_torch_file(zip_file(tmp_path, content))] == ["w"]


@pytest.mark.parametrize(
    ("shape", "strides", "said"),
    [
        ([1] * 250, [1] * 250, "250 dimensions"),
        ([1] * 40, [1] * 40, "40 dimensions"),
        ([255] * 7, [0] * 7, "show 70110209207109375 numbers"),
    ],
)
def test_windows_on_storages(tmp_path, shape, strides, said):
    with pytest.raises(ModelError, match=said):
        read_torch_file(zip_file(tmp_path, PROTOCOL + b"}" + KEY + tensor(shape, strides) + b"s."))


def test_an_expanded_tensor_is_read(tmp_path):
    read = read_torch_file(zip_file(tmp_path, PROTOCOL + b"}" + KEY + tensor([200, 200, 4], [0, 0, 1]) + b"s."))
    assert read["w"].shape == (200, 200, 4)


def test_an_index_of_too_many_files(tmp_path):
    file = tmp_path / "model.safetensors.index.json"
    names = {f"t{number}": f"f{number}" for number in range(bounds.MOST_SHARDS + 1)}
    file.write_text(json.dumps({"weight_map": names}))
    with pytest.raises(ModelError, match="no model has more"):
        read_safetensors(file)


def test_an_index_beyond_its_size(tmp_path):
    file = tmp_path / "model.safetensors.index.json"
    file.write_bytes(b" " * (bounds.LARGEST_HEADER + 1))
    with pytest.raises(ModelError, match="no index has more"):
        read_safetensors(file)


def test_tensors_that_all_show_one_number(tmp_path):
    """Each of them is within bounds, and a copy of all would be a thousand times as large as memory."""
    one = tensor([255, 255, 255], [0, 0, 0])
    content = b"".join(b"X\x01\x00\x00\x00" + bytes([97 + number]) + one + b"s" for number in range(5))
    with pytest.raises(ModelError, match="tensors show"):
        read_torch_file(zip_file(tmp_path, PROTOCOL + b"}" + content + b"."))


def test_members_of_an_archive_that_lie_on_each_other(tmp_path):
    """A hundred storages at one place of a file: each would be compared with its checksum."""
    file = tmp_path / "model.bin"
    one = STORAGE.replace(b"K\x04t", b"M\xfa\x00t")
    storages = b"".join(one.replace(b"X\x01\x00\x00\x000", b"X\x02\x00\x00\x00%02d" % n) + b"0" for n in range(100))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", PROTOCOL + b"}" + storages + b".")
        archive.writestr("a/data/00", b"\0" * 1000)
        first = archive.getinfo("a/data/00")
        for number in range(1, 100):
            other = copy.copy(first)
            other.filename = other.orig_filename = f"a/data/{number:02}"
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        archive._didModify = True
    assert len(zipfile.ZipFile(file).namelist()) == 101
    with pytest.raises(ModelError, match="longer together than the file"):
        read_torch_file(file)


def test_names_of_a_member_that_unpacks_to_a_thousand_times_its_size(tmp_path):
    file = tmp_path / "model.bin"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"N" * (2 * bounds.LARGEST_HEADER))
    assert tensor_names(file) == frozenset()
    with pytest.raises(ModelError, match="compressed"):
        read_torch_file(file)


def bundle_entry(**fields: int) -> bytes:
    numbers = {"dtype": 1, "shard": 3, "offset": 4, "size": 5}
    dimension = delimited(2, encoded_key(1, VARINT) + encoded_varint(fields["size"] // 4))
    parts = [encoded_key(numbers[name], VARINT) + encoded_varint(value) for name, value in fields.items()]
    return parts[0] + delimited(2, dimension) + b"".join(parts[1:])


def test_variables_that_lie_on_each_other(tmp_path):
    """A hundred thousand names for the same megabyte: each would be compared with its checksum."""
    content = np.ones(1000, "f4")
    checksum = b"\x35" + masked(content.tobytes())
    entry = bundle_entry(dtype=1, size=4000) + checksum
    prefix = write_bundle(tmp_path / "m", {"a": content}, extra={b"b%d" % number: entry for number in range(9)})
    with pytest.raises(ModelError, match="longer together than the file"):
        read_tensor_bundle(f"{prefix}.index")


def test_names_of_variables_that_grow_with_each(tmp_path):
    """A name is what it adds to the one before: ten thousand of them are ten thousand characters long."""
    names = {("n" * length).encode(): b"" for length in range(1, bounds.LONGEST_NAME + 10, 5)}
    prefix = write_bundle(tmp_path / "m", {"a": np.zeros(1, "f4")}, extra=names)
    with pytest.raises(ModelError, match="a name has 4102 bytes"):
        read_tensor_bundle(f"{prefix}.index")


def test_blocks_of_an_index_that_lie_on_each_other(tmp_path):
    """A thousand handles of one block that holds nothing but restarts: each would be compared with its checksum."""
    table = Table()
    block = struct.pack("<I", 0) * 1000 + struct.pack("<I", 1000) + b"\0"
    table.content += block + masked(block)
    handle = encoded_varint(0) + encoded_varint(len(block) - 1)
    index = tmp_path / "m.index"
    index.write_bytes(table.finish([(b"%04d" % number, handle) for number in range(1000)]))
    with pytest.raises(ModelError, match="blocks are longer together"):
        read_tensor_bundle(index)
