"""Fitting weights to a table: strict but for what is allowed, with an account of every key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.parameters import ParameterSpec, SkipRule, fit_parameters, initial_value
from bertcore.errors import ModelError

TABLE = {
    "bert.a.weight": ParameterSpec((2, 3)),
    "bert.LayerNorm.weight": ParameterSpec((3,), "ones"),
    "bert.pooler.bias": ParameterSpec((3,), "zeros", "the file holds no pooler"),
    "classifier.weight": ParameterSpec((2, 3), "normal", "the head is new"),
}
SOURCE = {
    "bert.a.weight": np.arange(6, dtype=np.float16).reshape(2, 3),
    "bert.LayerNorm.weight": np.array([1.5, 2, 2.5]),
    "bert.pooler.bias": np.array([7, 8, 9], dtype=np.float32),
    "classifier.weight": np.ones((2, 3), dtype=np.float32),
}
RULES = (SkipRule(r"cls\..*", "pre-training head"),)


def without(*names: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in SOURCE.items() if name not in names}


def test_a_complete_file_is_taken_as_it_is():
    parameters, report = fit_parameters(TABLE, SOURCE)
    assert list(parameters) == list(TABLE), "in the order of the table"
    for name, value in parameters.items():
        assert value.dtype == np.float32
        assert value.flags.c_contiguous
        np.testing.assert_array_equal(value, SOURCE[name])
    assert report.loaded == tuple(TABLE)
    assert report.initialized == {}
    assert report.skipped == {}


def test_the_parameters_are_copies():
    parameters, _ = fit_parameters(TABLE, SOURCE)
    parameters["classifier.weight"][:] = 5
    assert SOURCE["classifier.weight"].tolist() == np.ones((2, 3)).tolist()


def test_what_may_be_missing_is_made_new_and_reported():
    parameters, report = fit_parameters(TABLE, without("bert.pooler.bias", "classifier.weight"), seed=3)
    assert report.loaded == ("bert.a.weight", "bert.LayerNorm.weight")
    assert report.initialized == {
        "bert.pooler.bias": "the file holds no pooler",
        "classifier.weight": "the head is new",
    }
    assert not parameters["bert.pooler.bias"].any()
    assert parameters["classifier.weight"].std() > 0


def test_what_is_asked_for_anew_is_made_new_whatever_the_file_holds():
    other_size = {**SOURCE, "classifier.weight": np.ones((9, 9))}
    parameters, report = fit_parameters(TABLE, other_size, new=["classifier.weight"])
    assert parameters["classifier.weight"].shape == (2, 3)
    assert report.initialized == {"classifier.weight": "made new on request"}


def test_keys_that_a_rule_names_are_skipped_and_reported():
    source = {**SOURCE, "cls.predictions.bias": np.zeros(4), "cls.seq.weight": np.zeros(4)}
    _, report = fit_parameters(TABLE, source, skip_rules=RULES)
    assert report.skipped == {"cls.predictions.bias": "pre-training head", "cls.seq.weight": "pre-training head"}


def test_a_rule_must_match_the_whole_name():
    with pytest.raises(ModelError, match=r"xcls\.bias: unexpected"):
        fit_parameters(TABLE, {**SOURCE, "xcls.bias": np.zeros(1)}, skip_rules=RULES)


def test_all_that_does_not_fit_is_listed_at_once():
    source = {
        "bert.LayerNorm.weight": np.zeros((4,)),
        "bert.stranger.bias": np.zeros(1),
        "classifier.weight": np.ones((2, 3)),
    }
    with pytest.raises(ModelError) as caught:
        fit_parameters(TABLE, source, origin="model.safetensors")
    assert "model.safetensors" in caught.value.cause
    assert "bert.a.weight: missing" in caught.value.cause
    assert "bert.LayerNorm.weight: shape [4] instead of [3]" in caught.value.cause
    assert "bert.stranger.bias: unexpected" in caught.value.cause
    assert "pooler" not in caught.value.cause
    assert "\n" not in caught.value.cause


def test_sizes_that_the_file_does_not_have_are_named_before_anything_is_made_of_that_size():
    table = {
        "bert.a.weight": ParameterSpec((2**30, 2**30)),
        "bert.b.weight": ParameterSpec((2**30, 2**30), optional="b"),
    }
    with pytest.raises(ModelError, match=r"bert\.a\.weight: shape \[2, 3\] instead of \[1073741824, 1073741824\]"):
        fit_parameters(table, {"bert.a.weight": np.ones((2, 3))})


def test_a_head_of_another_size_is_answered_with_the_option():
    with pytest.raises(ModelError) as caught:
        fit_parameters(TABLE, {**SOURCE, "classifier.weight": np.ones((5, 3))}, encoder="bert.")
    assert "classifier.weight: shape [5, 3] instead of [2, 3]" in caught.value.cause
    assert "model.new_head=true" in caught.value.remedy


def test_a_transposed_matrix_of_the_same_size_is_another_shape():
    with pytest.raises(ModelError, match=r"\[3, 2\] instead of \[2, 3\]"):
        fit_parameters(TABLE, {**SOURCE, "bert.a.weight": SOURCE["bert.a.weight"].T})


def test_new_parameters_are_what_their_table_says():
    large = (400, 300)
    normal = initial_value("x", ParameterSpec(large), 0.02, seed=1)
    assert normal.dtype == np.float32
    assert abs(float(normal.mean())) < 3e-4
    assert float(normal.std()) == pytest.approx(0.02, rel=0.01)
    assert (initial_value("x", ParameterSpec(large, "ones"), 0.02, seed=1) == 1).all()
    assert (initial_value("x", ParameterSpec(large, "zeros"), 0.02, seed=1) == 0).all()


@given(seed=st.integers(0, 2**63 - 1), name=st.text(max_size=20))
def test_a_new_parameter_depends_on_seed_and_name_alone(seed, name):
    spec = ParameterSpec((4, 3))
    value = initial_value(name, spec, 0.02, seed)
    np.testing.assert_array_equal(initial_value(name, spec, 0.02, seed), value)
    assert not np.array_equal(initial_value(name + "'", spec, 0.02, seed), value)
    assert not np.array_equal(initial_value(name, spec, 0.02, seed ^ 1), value)
