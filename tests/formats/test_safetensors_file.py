from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.errors import ModelError, OutputError
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

NUMBER_TYPES = [
    "float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
]  # fmt: skip

arrays = st.sampled_from(NUMBER_TYPES).flatmap(
    lambda number_type: numpy_strategies.arrays(
        number_type, numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        np.testing.assert_array_equal(actual[name], array, err_msg=name, strict=True)


def file_of(header: Any, data: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def entry(begin: int, end: int, dtype: str = "U8", shape: list[Any] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@settings(deadline=None)  # a slow disk is no failure
@given(tensors=st.dictionaries(st.text(min_size=1).filter(lambda name: name != "__metadata__"), arrays, max_size=5))
def test_what_is_written_safetensors_reads_and_so_do_we(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("random") / "model.safetensors"
    write_safetensors(path, tensors, {"format": "pt"})
    assert_same(safetensors.numpy.load_file(path), tensors)
    assert_same(read_safetensors(path), tensors)


@settings(deadline=None)  # a slow disk is no failure
@given(tensors=st.dictionaries(st.text(min_size=1).filter(lambda name: name != "__metadata__"), arrays, max_size=5))
def test_what_safetensors_writes_is_read(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("random") / "model.safetensors"
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}, path
    )
    assert_same(read_safetensors(path), tensors)


def test_metadata_is_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"weight": np.ones(2, np.float32)}, {"format": "pt"})
    with safetensors.safe_open(path, framework="np") as file:
        assert file.metadata() == {"format": "pt"}


def test_bfloat16_is_widened_without_loss(tmp_path: Path) -> None:
    tensor = torch.randn(3, 5).to(torch.bfloat16)
    special = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-40]).to(torch.bfloat16)
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"weight": tensor, "special": special}, path)
    read = read_safetensors(path)
    assert_same(read, {"weight": tensor.float().numpy(), "special": special.float().numpy()})


def test_arrays_that_are_not_contiguous_or_not_little_endian_are_written_right(tmp_path: Path) -> None:
    tensors = {
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "reversed": np.arange(6)[::-1],
        "big_endian": np.arange(6, dtype=">f4"),
    }
    path = tmp_path / "model.safetensors"
    write_safetensors(path, tensors)
    for name, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, tensors[name])


def test_changing_an_array_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"weight": np.ones(4, np.float32)})
    read_safetensors(path)["weight"][:] = 7
    assert_same(read_safetensors(path), {"weight": np.ones(4, np.float32)})


@pytest.mark.parametrize("model", ["tiny_en", "chinese_l12", "minilm"])
def test_real_weights_are_those_of_the_safetensors_package(request: pytest.FixtureRequest, model: str) -> None:
    path = request.getfixturevalue(model) / "model.safetensors"
    assert_same(read_safetensors(path), safetensors.numpy.load_file(path))


def test_a_type_that_numpy_lacks_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(2).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(ModelError, match="tensor weight has the type F8_E4M3"):
        read_safetensors(path)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "empty, of 0 bytes"),
        (b"\x80\x02\x8a", "only 3 bytes long"),
        (struct.pack("<Q", 1 << 62) + b"{}", "its header should be 4611686018427387904 bytes long"),
        (file_of(b"{'weight'}"), "its header is not valid JSON"),
        (file_of(b"\xff\xfe"), "its header is not valid JSON"),
        (file_of(b"[" * 100_000), "its header is not valid JSON"),
        (file_of(b'{"a": 1, "a": 2}'), "a appears twice"),
        (file_of([]), "its header is not a JSON object"),
        (file_of({"a": 1}), "entry for tensor a is not understood: 1"),
        (file_of({"a": entry(0, 4, shape=[-4])}, bytes(4)), "entry for tensor a is not understood"),
        (file_of({"a": entry(0, 4, shape=[4.0])}, bytes(4)), "entry for tensor a is not understood"),
        (file_of({"a": entry(4, 0, shape=[0])}, bytes(4)), "tensor a is said to lie between the bytes 4 and 0"),
        (file_of({"a": entry(-4, 0, shape=[4])}, bytes(4)), "tensor a is said to lie between the bytes -4 and 0"),
        (file_of({"a": entry(0, 8)}, bytes(4)), "truncated: it has 72 bytes of 76"),
        (file_of({"a": entry(0, 4, "F32", [2])}, bytes(4)), "tensor a has 4 bytes, but F32 of shape [2] takes 8"),
        (
            file_of({"a": entry(0, 0, "U8", [2**63, 0])}),
            "tensor a has a dimension that no tensor has",
        ),
        (file_of({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6)), "tensor b overlaps the one before it"),
        (file_of({"a": entry(0, 2), "b": entry(4, 6)}, bytes(6)), "2 bytes before tensor b belong to no tensor"),
        (file_of({"a": entry(0, 2)}, bytes(6)), "4 bytes at its end belong to no tensor"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(str(path)) + ".*" + re.escape(cause)):
        read_safetensors(path)
    with pytest.raises((safetensors.SafetensorError, ValueError)):  # the package agrees that this is no such file
        safetensors.numpy.load_file(path)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    write_safetensors(whole, {"a": np.arange(5, dtype=np.float32), "b": np.ones((2, 2), np.int64)})
    content = whole.read_bytes()
    path = tmp_path / "model.safetensors"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_safetensors(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such weight file"):
        read_safetensors(tmp_path / "missing.safetensors")
    with pytest.raises(ModelError, match="a folder, where a weight file is expected"):
        read_safetensors(tmp_path)


def test_a_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        write_safetensors(tmp_path / "file" / "model.safetensors", {"a": np.ones(2)})
    for tensors in ({"text": np.array("x")}, {"__metadata__": np.ones(2)}):
        with pytest.raises(ValueError, match="safetensors cannot hold a tensor"):
            write_safetensors(tmp_path / "model.safetensors", tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestShards:
    @pytest.fixture
    def index(self, tmp_path: Path) -> Path:
        safetensors.numpy.save_file({"a": np.ones(2), "b": np.zeros(3)}, tmp_path / "model-1-of-2.safetensors")
        safetensors.numpy.save_file({"c": np.arange(4)}, tmp_path / "model-2-of-2.safetensors")
        path = tmp_path / "model.safetensors.index.json"
        files = {"a": "model-1-of-2.safetensors", "b": "model-1-of-2.safetensors", "c": "model-2-of-2.safetensors"}
        path.write_text(json.dumps({"metadata": {"total_size": 72}, "weight_map": files}))
        return path

    def test_all_shards_are_read(self, index: Path) -> None:
        assert_same(read_safetensors(index), {"a": np.ones(2), "b": np.zeros(3), "c": np.arange(4)})

    def test_shards_of_transformers_are_read(self, tiny_en: Path, tmp_path: Path) -> None:
        transformers = pytest.importorskip("transformers")
        model = transformers.BertForMaskedLM.from_pretrained(tiny_en)
        model.save_pretrained(tmp_path, max_shard_size="4MB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        read = read_safetensors(tmp_path / "model.safetensors.index.json")
        assert_same(read, safetensors.numpy.load_file(tiny_en / "model.safetensors"))

    def test_a_type_of_a_megabyte_is_cut(self, tmp_path: Path) -> None:
        header = json.dumps({"a": {"dtype": "F" * 1_000_000, "shape": [1], "data_offsets": [0, 4]}}).encode()
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        with pytest.raises(ModelError, match="tensor a has the type FFFF") as caught:
            read_safetensors(tmp_path / "x.safetensors")
        assert len(caught.value.cause) < 500

    def test_a_missing_shard_is_named(self, index: Path) -> None:
        (index.parent / "model-2-of-2.safetensors").unlink()
        with pytest.raises(ModelError, match=r"names 2 files, of which 1 are missing: model-2-of-2\.safetensors"):
            read_safetensors(index)

    def test_a_tensor_that_a_shard_lacks_is_named(self, index: Path) -> None:
        safetensors.numpy.save_file({"d": np.arange(4)}, index.parent / "model-2-of-2.safetensors")
        with pytest.raises(ModelError, match=r"model-2-of-2.safetensors: lacks the tensor c"):
            read_safetensors(index)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "{}",
            '{"weight_map": {"a": 1}}',
            '{"weight_map": {"a": "../b"}}',
            '{"weight_map": {"a": "b\\u0000.safetensors"}}',
            '{"weight_map": {"a": "b\\ud800.safetensors"}}',
        ],
    )
    def test_a_damaged_index_is_named(self, index: Path, content: str) -> None:
        index.write_text(content)
        with pytest.raises(
            ModelError, match=r"model.safetensors.index.json: (not valid JSON|has no|names no file)|is empty"
        ):
            read_safetensors(index)
