"""MindSpore itself as the oracle: what it saves is read, and what is written it loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.errors import ModelError
from bertcore.formats import mindspore_ckpt
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

pytestmark = pytest.mark.mindspore

TENSORS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(3.5, np.float32),
    "one": np.array([3.5], np.float32),
    "float64": np.array([1e300, -1.0]),
    "float16": np.array([1.5, -2.0], np.float16),
    "int64": np.array([[1 << 62], [-1]]),
    "int32": np.array([1, -1], np.int32),
    "int16": np.array([1, -1], np.int16),
    "int8": np.array([1, -1], np.int8),
    "uint64": np.array([1, 1 << 63], np.uint64),
    "uint32": np.array([1, 1 << 31], np.uint32),
    "uint16": np.array([1, 65535], np.uint16),
    "uint8": np.array([1, 255], np.uint8),
    "bool": np.array([[True, False]]),
    "a name with é and spaces": np.zeros((2, 1, 3), np.float32),
}


@pytest.fixture(scope="module")
def mindspore() -> Any:
    return pytest.importorskip("mindspore")


def save(mindspore: Any, tensors: dict[str, np.ndarray[Any, Any]], path: Path, **options: Any) -> Path:
    named = [{"name": name, "data": mindspore.Tensor.from_numpy(array)} for name, array in tensors.items()]
    mindspore.save_checkpoint(named, str(path), **options)
    return path


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        np.testing.assert_array_equal(actual[name], array, err_msg=name, strict=True)


@pytest.mark.parametrize("options", [{}, {"crc_check": True}])
def test_what_mindspore_saves_is_read(mindspore: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    assert_same(read_ckpt(save(mindspore, TENSORS, tmp_path / "model.ckpt", **options)), TENSORS)


def test_what_mindspore_saves_as_safetensors_is_read(mindspore: Any, tmp_path: Path) -> None:
    assert_same(
        read_safetensors(save(mindspore, TENSORS, tmp_path / "model.safetensors", format="safetensors")), TENSORS
    )


def test_bfloat16_of_mindspore_is_widened(mindspore: Any, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    tensor = mindspore.Tensor(array).astype(mindspore.bfloat16)
    expected = {"half": tensor.astype(mindspore.float32).asnumpy()}
    for name, format_name, read in [("m.ckpt", "ckpt", read_ckpt), ("m.safetensors", "safetensors", read_safetensors)]:
        path = tmp_path / name
        mindspore.save_checkpoint([{"name": "half", "data": tensor}], str(path), format=format_name)
        assert_same(read(path), expected)


def test_values_saved_beside_the_parameters_are_read(mindspore: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    save(mindspore, {"a": np.ones(2, np.float32)}, path, append_dict={"epoch": 3, "note": "héy", "lr": 0.5, "on": True})
    read = read_ckpt(path)
    assert {name: array.item() for name, array in read.items() if name != "a"} == {
        "epoch": 3,
        "note": "héy",
        "lr": 0.5,
        "on": True,
    }


def test_a_flipped_bit_of_a_file_with_a_checksum_is_noticed(mindspore: Any, tmp_path: Path) -> None:
    path = save(mindspore, TENSORS, tmp_path / "model.ckpt", crc_check=True)
    content = bytearray(path.read_bytes())
    content[content.index(TENSORS["matrix"].tobytes()) + 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    with pytest.raises(ModelError, match="its checksum is wrong"):
        read_ckpt(path)


@pytest.mark.parametrize("mode", ["AES-GCM", "AES-CBC"])
def test_an_encrypted_file_is_refused(mindspore: Any, tmp_path: Path, mode: str) -> None:
    path = save(mindspore, TENSORS, tmp_path / "model.ckpt", enc_key=b"0123456789abcdef", enc_mode=mode)
    with pytest.raises(ModelError, match="encrypted checkpoints are not read"):
        read_ckpt(path)


@pytest.mark.parametrize("slice_size", [None, 8])
def test_mindspore_loads_what_is_written(
    mindspore: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_size: int | None
) -> None:
    if slice_size is not None:
        monkeypatch.setattr(mindspore_ckpt, "_LARGEST_SLICE", slice_size)
    path = tmp_path / "model.ckpt"
    write_ckpt(path, TENSORS)
    loaded = mindspore.load_checkpoint(str(path), crc_check=True)
    assert_same({name: parameter.asnumpy() for name, parameter in loaded.items()}, TENSORS)


def test_mindspore_loads_safetensors_that_are_written(mindspore: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, TENSORS)
    loaded = mindspore.load_checkpoint(str(path), format="safetensors")
    assert_same({name: parameter.asnumpy() for name, parameter in loaded.items()}, TENSORS)


def test_the_bytes_are_those_of_mindspore(mindspore: Any, tmp_path: Path) -> None:
    written = tmp_path / "written.ckpt"
    write_ckpt(written, TENSORS)
    assert written.read_bytes() == save(mindspore, TENSORS, tmp_path / "saved.ckpt", crc_check=True).read_bytes()


def test_mindspore_loads_a_real_model(mindspore: Any, tmp_path: Path, tiny_en: Path) -> None:
    tensors = read_safetensors(tiny_en / "model.safetensors")
    write_ckpt(tmp_path / "best_model.ckpt", tensors)
    loaded = mindspore.load_checkpoint(str(tmp_path / "best_model.ckpt"))
    assert_same({name: parameter.asnumpy() for name, parameter in loaded.items()}, tensors)


def test_a_tensor_without_elements_does_not_stop_mindspore(mindspore: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    write_ckpt(path, {"a": np.ones(2, np.float32), "empty": np.zeros((0, 3), np.float32)})
    loaded = mindspore.load_checkpoint(str(path))
    np.testing.assert_array_equal(loaded["a"].asnumpy(), np.ones(2))
    assert loaded["empty"].shape == (0, 3)
