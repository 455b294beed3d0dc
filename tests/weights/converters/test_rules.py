from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError
from bertcore.weights.converters.rules import OLD_LAYER_NORM, RenameRule, to_canonical, to_foreign

# A layout of the kind that other libraries use: other names, and some matrices the other way round.
RULES = (
    RenameRule("encoder.blocks.{layer}.attention.dense1.{kind}", "encoder.layer.{layer}.attention.self.query.{kind}"),
    RenameRule(
        "encoder.blocks.{layer}.output.mapping.weight",
        "encoder.layer.{layer}.intermediate.dense.weight",
        transpose=True,
    ),
    RenameRule("encoder.blocks.{layer}.output.mapping.bias", "encoder.layer.{layer}.intermediate.dense.bias"),
    RenameRule("{path}layernorm.gamma", "{path}LayerNorm.weight"),
    RenameRule("bert.bert.{rest}", "bert.{rest}", written=False),
)


def renamed(*names: str) -> list[str]:
    return list(to_canonical({name: np.zeros(1, np.float32) for name in names}, OLD_LAYER_NORM)[0])


def test_gamma_and_beta_are_renamed_only_directly_under_a_layer_norm() -> None:
    names = ["bert.embeddings.LayerNorm.gamma", "LayerNorm.beta", "cls.transform.LayerNorm.gamma"]
    assert renamed(*names) == ["bert.embeddings.LayerNorm.weight", "LayerNorm.bias", "cls.transform.LayerNorm.weight"]
    others = ["gamma", "film.gamma", "OtherLayerNorm.gamma", "LayerNorm.inner.beta", "LayerNorm.gammas"]
    assert renamed(*others) == others


def test_a_transposed_matrix_is_turned_and_turned_back() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors, report = to_canonical({"encoder.blocks.11.output.mapping.weight": matrix}, RULES)
    name = "encoder.layer.11.intermediate.dense.weight"
    np.testing.assert_array_equal(tensors[name], [[0, 3], [1, 4], [2, 5]])
    assert report[0].action == "renamed, transposed"
    np.testing.assert_array_equal(to_foreign(tensors, RULES)[0]["encoder.blocks.11.output.mapping.weight"], matrix)


def test_rules_follow_one_another_in_order_and_back() -> None:
    rules = (RenameRule("model.{rest}", "net.{rest}"), RenameRule("net.encoder.{rest}", "bert.{rest}"))
    tensors, _ = to_canonical({"model.encoder.x": np.zeros(1, np.float32)}, rules)
    assert list(tensors) == ["bert.x"]
    assert list(to_foreign(tensors, rules)[0]) == ["model.encoder.x"]


def test_an_old_spelling_is_read_and_never_written() -> None:
    tensors, _ = to_canonical({"bert.bert.layernorm.gamma": np.zeros(1, np.float32)}, RULES)
    assert list(tensors) == ["bert.LayerNorm.weight"]
    assert list(to_foreign(tensors, RULES)[0]) == ["bert.layernorm.gamma"]


@given(
    st.lists(
        st.one_of(
            st.builds(
                "encoder.blocks.{}.attention.dense1.{}".format, st.integers(0, 99), st.sampled_from(["weight", "bias"])
            ),
            st.builds("encoder.blocks.{}.output.mapping.weight".format, st.integers(0, 99)),
            st.builds("{}layernorm.gamma".format, st.sampled_from(["", "embeddings.", "encoder.blocks.3.output."])),
            st.sampled_from(["classifier.weight", "qa_outputs.bias", "crf.transitions"]),
        ),
        unique=True,
    )
)
def test_writing_undoes_reading(names: list[str]) -> None:
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(size=(2, 3)).astype(np.float32) for name in names}
    canonical, read = to_canonical(tensors, RULES)
    back, written = to_foreign(canonical, RULES)
    assert list(back) == names
    for name in names:
        np.testing.assert_array_equal(back[name], tensors[name])
    assert [entry.source for entry in read] == names == [entry.target for entry in written]


def test_two_names_of_one_tensor_are_both_named() -> None:
    tensors = {"LayerNorm.gamma": np.zeros(1, np.float32), "LayerNorm.weight": np.zeros(1, np.float32)}
    with pytest.raises(
        ModelError, match=r"old\.bin: LayerNorm\.gamma and LayerNorm\.weight are both LayerNorm\.weight"
    ):
        to_canonical(tensors, OLD_LAYER_NORM, origin="old.bin")


def test_two_tensors_that_would_have_one_name_in_the_file_are_both_named() -> None:
    tensors = {"encoder.layer.0.x": np.zeros(1, np.float32), "blocks.0.x": np.ones(1, np.float32)}
    with pytest.raises(ModelError, match=r"new\.bin: encoder\.layer\.0\.x and blocks\.0\.x are both blocks\.0\.x"):
        to_foreign(tensors, [RenameRule("blocks.{layer}.x", "encoder.layer.{layer}.x")], origin="new.bin")


def test_a_skipped_name_is_reported_with_its_reason() -> None:
    tensors, report = to_canonical({"adam_m": np.zeros(1)}, (), [SkipRule("adam_.", "optimizer state")])
    assert tensors == {}
    assert (report[0].target, report[0].action) == (None, "skipped: optimizer state")


@pytest.mark.parametrize(("foreign", "canonical"), [("a.{layer}", "b"), ("{what}", "{what}")])
def test_a_rule_that_cannot_be_reversed_is_refused(foreign: str, canonical: str) -> None:
    with pytest.raises(ValueError, match="same known fields"):
        RenameRule(foreign, canonical)
