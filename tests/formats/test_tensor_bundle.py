"""TensorFlow's checkpoint format: a file of TensorFlow's own saver, and files written by its description."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tensor_bundle_writer import write_bundle

from bertcore.errors import ModelError
from bertcore.formats.tensor_bundle import find_index, read_tensor_bundle

NUMBER_TYPES = (
    "float32",
    "float64",
    "float16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)


@pytest.fixture
def copied(shared: Path, tmp_path: Path) -> Path:
    """A copy of the real checkpoint that a test may damage: its prefix."""
    source = shared / "weights" / "tf1-bert-tiny-en"
    if not source.is_dir():
        pytest.skip("needs ../shared/weights/tf1-bert-tiny-en")
    for file in source.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    return tmp_path / "bert_model.ckpt"


def index_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def shard_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.data-00000-of-00001")


def flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 0x10
    file.write_bytes(content)


def refusal(index: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_tensor_bundle(index)
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    return caught.value.cause


def test_a_checkpoint_of_tensorflow_is_read(copied: Path) -> None:
    found = read_tensor_bundle(index_of(copied))
    assert len(found) == 42
    assert found["bert/embeddings/word_embeddings"].shape == (30522, 128)
    assert found["bert/encoder/layer_1/intermediate/dense/kernel"].shape == (128, 512)
    assert {array.dtype.name for array in found.values()} == {"float32"}


@pytest.mark.parametrize(("shards", "per_block"), [(1, 50), (3, 4), (5, 1)])
def test_shards_blocks_and_number_types(tmp_path: Path, shards: int, per_block: int) -> None:
    generator = np.random.default_rng(0)
    tensors = {f"model/{name}/x": generator.integers(0, 100, (2, 3, 4)).astype(name) for name in NUMBER_TYPES}
    tensors |= {f"model/layer_{number}/kernel": generator.normal(size=(3, 5)).astype("f4") for number in range(40)}
    tensors |= {"scalar": np.array(7, np.int64), "empty": np.zeros((0, 3), np.float32), "flag": np.array([True, False])}
    found = read_tensor_bundle(index_of(write_bundle(tmp_path / "model", tensors, shards=shards, per_block=per_block)))
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)


def test_a_changed_byte_of_the_data_is_found_and_the_variable_named(copied: Path) -> None:
    entry_start = 512 + 512  # beta and gamma of the first LayerNorm come before the positions
    flip(shard_of(copied), entry_start + 1000)
    cause = refusal(index_of(copied))
    assert "bert_model.ckpt.data-00000-of-00001" in cause
    assert "the checksum of bert/embeddings/position_embeddings is wrong" in cause


def test_a_changed_byte_of_the_index_never_changes_a_tensor(copied: Path) -> None:
    index = index_of(copied)
    original = index.read_bytes()
    expected = read_tensor_bundle(index)
    refused = 0
    for position in range(0, len(original), 29):
        flip(index, position)
        try:
            found = read_tensor_bundle(index)
        except ModelError:
            refused += 1
        else:  # a byte of the footer's padding, which means nothing
            assert found.keys() == expected.keys()
            assert all((found[name] == expected[name]).all() for name in expected)
        index.write_bytes(original)
    assert refused > 55
    flip(index, 100)
    assert "the checksum of its block at byte 0 is wrong" in refusal(index)


@pytest.mark.parametrize("kept", [0, 10, 47, 48, 1000, 1816])
def test_a_truncated_index(copied: Path, kept: int) -> None:
    index = index_of(copied)
    index.write_bytes(index.read_bytes()[:kept])
    assert "bert_model.ckpt.index" in refusal(index)


def test_a_truncated_shard_and_a_missing_one(copied: Path) -> None:
    shard = shard_of(copied)
    shard.write_bytes(shard.read_bytes()[:-5])
    assert "truncated: " in refusal(index_of(copied))
    shard.unlink()
    cause = refusal(index_of(copied))
    assert shard.name in cause
    assert "no such weight file" in cause


def test_a_missing_shard_of_several_is_named(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "model", {"a": np.ones(2, "f4"), "b": np.ones(2, "f4")}, shards=2)
    (tmp_path / "model.data-00001-of-00002").unlink()
    assert "model.data-00001-of-00002" in refusal(index_of(prefix))


def test_what_is_not_read_says_what_it_is(tmp_path: Path) -> None:
    tensors = {"a": np.ones(2, "f4")}
    entry = b"\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08"

    def cause(**options: object) -> str:
        return refusal(index_of(write_bundle(tmp_path / "model", tensors, **options)))

    assert "big-endian" in cause(header=b"\x10\x01")
    assert "compressed" in cause(compression=1)
    assert "partitioned variables are not read: words" in cause(
        extra={b"words": entry + b"\x3a\x02\x0a\x00", b"\0\x01words": entry}
    )
    assert "TensorFlow 2" in cause(extra={b"_CHECKPOINTABLE_OBJECT_GRAPH": b"\x08\x07"})
    assert "b lies in shard 3 of 1" in cause(extra={b"b": entry + b"\x18\x03"})
    assert "b has 8 bytes" in cause(extra={b"b": b"\x08\x01\x12\x04\x12\x02\x08\x05\x28\x08"})
    assert "field 9 of an entry is unknown" in cause(extra={b"b": b"\x48\x01"})


def test_texts_among_the_variables_are_left_out(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "model", {"a": np.ones(2, "f4")}, extra={b"note": b"\x08\x07\x28\x05"})
    assert list(read_tensor_bundle(index_of(prefix))) == ["a"]


def test_an_index_without_header_or_variables(tmp_path: Path) -> None:
    assert "names no variables" in refusal(index_of(write_bundle(tmp_path / "none", {})))
    (tmp_path / "text.index").write_bytes(b"no index\n" * 20)
    assert "does not end as an index does" in refusal(tmp_path / "text.index")


def test_a_checkpoint_is_found_by_any_of_its_names(copied: Path, tmp_path: Path) -> None:
    for name in (copied, index_of(copied), shard_of(copied), tmp_path):
        assert find_index(name) == index_of(copied)
    assert find_index(tmp_path / "other.ckpt") is None
    assert find_index(tmp_path / "vocab.txt") is None


def test_of_several_checkpoints_in_a_folder_the_latest_is_meant_or_one_must_be_named(tmp_path: Path) -> None:
    for step in (0, 500, 1000):
        write_bundle(tmp_path / f"model.ckpt-{step}", {"a": np.full(2, step, "f4")})
    with pytest.raises(ModelError, match=r"holds 3 TensorFlow checkpoints: model\.ckpt-0, model\.ckpt-1000"):
        find_index(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/cluster/job/model.ckpt-500"\n')
    assert find_index(tmp_path) == tmp_path / "model.ckpt-500.index"
    assert find_index(tmp_path / "model.ckpt-1000") == tmp_path / "model.ckpt-1000.index"
