"""What the tests compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import OptimizerState
from bertcore.errors import BertcoreError
from bertcore.testing.reference import Array


def norm_of(gradients: Mapping[str, NDArray[Any]]) -> float:
    """The global norm."""
    return float(np.sqrt(sum(float((value.astype(np.float64) ** 2).sum()) for value in gradients.values())))


def assert_outputs(actual: Outputs, expected: Mapping[str, Array], tolerance: float) -> None:
    """The same names, shapes and values within a tolerance; tags are int32, all else float32."""
    assert set(actual) == set(expected)
    for name, values in expected.items():
        assert actual[name].dtype == (np.int32 if name == "tags" else np.float32), name
        assert actual[name].shape == values.shape, name
        found = actual[name].astype(np.float64)
        np.testing.assert_allclose(found, values, rtol=tolerance, atol=tolerance, err_msg=name)


def assert_equal(actual: Parameters, expected: Parameters) -> None:
    """To the bit, and in the same order."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def assert_same_state(actual: OptimizerState, expected: OptimizerState) -> None:
    """To the bit, in float32."""
    assert actual.updates == expected.updates
    assert actual.loss_scale == expected.loss_scale
    assert actual.missed == expected.missed
    for name in ("first_moment", "second_moment", "averages"):
        values: Parameters = getattr(actual, name)
        assert {value.dtype for value in values.values()} <= {np.dtype(np.float32)}
        assert_equal(values, getattr(expected, name))


def assert_two_lines(error: BertcoreError) -> None:
    """One of cause and one of remedy."""
    assert error.cause
    assert error.remedy
    assert "\n" not in error.cause + error.remedy
