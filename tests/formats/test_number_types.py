from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy

from bertcore.formats.number_types import floats_to_float32
from bertcore.formats.safetensors_file import read_safetensors


def test_real_float16_weights_become_float32_without_loss(chinese_l12: Path) -> None:
    path = chinese_l12 / "model.safetensors"
    stored = safetensors.numpy.load_file(path)
    widened = floats_to_float32(read_safetensors(path))
    assert widened.keys() == stored.keys()
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}
    for name, array in widened.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, stored[name])


def test_integers_and_bools_stay_and_float64_is_narrowed() -> None:
    tensors = {
        "position_ids": np.arange(3),
        "mask": np.array([True, False]),
        "float64": np.array(0.1),
        "float32": np.ones(2, np.float32),
    }
    result = floats_to_float32(tensors)
    assert [str(array.dtype) for array in result.values()] == ["int64", "bool", "float32", "float32"]
    assert result["float64"] == np.float32(0.1)
    assert result["float32"] is tensors["float32"]
