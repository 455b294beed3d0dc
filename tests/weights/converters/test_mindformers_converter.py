"""mindformers' names and orientations, written down from its model definitions, for the releases 0.1 and 0.2 to 1.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import WeightSet
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, OutputError, UsageError
from bertcore.families.bert import BertFamily
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.heads import SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.converters.mindformers import MindFormers01Converter, MindFormersConverter
from bertcore.weights.opening import find_converter, open_model

CONVERTER = MindFormersConverter()
TEXTS = SequenceClassification(("no", "yes"))
CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=16,
)

# What one block holds: canonical name, and whether it lies there the other way round.
BLOCK = {
    "attention.dense1.weight": ("attention.self.query.weight", False),
    "attention.dense1.bias": ("attention.self.query.bias", False),
    "attention.dense2.weight": ("attention.self.key.weight", False),
    "attention.dense2.bias": ("attention.self.key.bias", False),
    "attention.dense3.weight": ("attention.self.value.weight", False),
    "attention.dense3.bias": ("attention.self.value.bias", False),
    "attention.projection.weight": ("attention.output.dense.weight", True),
    "attention.projection.bias": ("attention.output.dense.bias", False),
    "layernorm2.gamma": ("attention.output.LayerNorm.weight", False),
    "layernorm2.beta": ("attention.output.LayerNorm.bias", False),
    "output.mapping.weight": ("intermediate.dense.weight", True),
    "output.mapping.bias": ("intermediate.dense.bias", False),
    "output.projection.weight": ("output.dense.weight", True),
    "output.projection.bias": ("output.dense.bias", False),
    "layernorm1.gamma": ("output.LayerNorm.weight", False),
    "layernorm1.beta": ("output.LayerNorm.bias", False),
}
BESIDE = {
    "word_embedding.embedding_table": "embeddings.word_embeddings.weight",
    "embedding_postprocessor.full_position_embedding.embedding_table": "embeddings.position_embeddings.weight",
    "embedding_postprocessor.token_type_embedding.embedding_table": "embeddings.token_type_embeddings.weight",
    "embedding_postprocessor.layernorm.gamma": "embeddings.LayerNorm.weight",
    "embedding_postprocessor.layernorm.beta": "embeddings.LayerNorm.bias",
    "dense.weight": "pooler.dense.weight",
    "dense.bias": "pooler.dense.bias",
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model(head: Head = TEXTS) -> WeightSet:
    family = BertFamily()
    generator = np.random.default_rng(4)
    table = family.parameter_table(CONFIG, head)
    tensors = {name: generator.normal(size=spec.shape).astype("f4") for name, spec in table.items()}
    return WeightSet(tensors, family.config_json(CONFIG, head))


def as_mindformers(tensors: Any, prefix: str = "bert.") -> dict[str, np.ndarray]:
    """The encoder and pooler as mindformers' own `Parameter`s, without the converter."""
    result = {
        f"{prefix}{name}": tensors[f"bert.{canonical}"]
        for name, canonical in BESIDE.items()
        if f"bert.{canonical}" in tensors
    }
    for layer in range(CONFIG.num_hidden_layers):
        for name, (canonical, transposed) in BLOCK.items():
            tensor = tensors[f"bert.encoder.layer.{layer}.{canonical}"]
            result[f"{prefix}bert_encoder.encoder.blocks.{layer}.{name}"] = tensor.T if transposed else tensor
    return result


def head_of(tensors: Any, names: dict[str, str]) -> dict[str, np.ndarray]:
    return {foreign: tensors[canonical] for foreign, canonical in names.items()}


LAYOUTS = {
    "1.x texts": ("mindformers", "bert.", TEXTS, {"classifier.weight": "classifier.weight"}, "classifier.bias"),
    "1.x spans": (
        "mindformers",
        "bert.",
        SpanExtraction(),
        {"qa_outputs.weight": "qa_outputs.weight"},
        "qa_outputs.bias",
    ),
    "0.1 texts": (
        "mindformers_0_1",
        "bert.bert.",
        TEXTS,
        {"bert.dense_1.weight": "classifier.weight"},
        "bert.dense_1.bias",
    ),
    "0.1 tags": (
        "mindformers_0_1",
        "bert.bert.",
        TokenClassification(("O", "B", "I")),
        {"bert.dense_1.weight": "classifier.weight"},
        "bert.dense_1.bias",
    ),
    "0.1 spans": (
        "mindformers_0_1",
        "bert.bert.",
        SpanExtraction(),
        {"bert.dense1.weight": "qa_outputs.weight"},
        "bert.dense1.bias",
    ),
}


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_names_and_orientations_of_each_layout(registry: Registry, tmp_path: Path, layout: str, suffix: str) -> None:
    name, prefix, head, weight, bias = LAYOUTS[layout]
    weights = model(head)
    stem = next(iter(weight.values())).removesuffix("weight")
    expected = {**as_mindformers(weights.tensors, prefix), **head_of(weights.tensors, {**weight, bias: f"{stem}bias"})}
    HuggingFaceConverter().write(weights, tmp_path / "model")
    report = convert(tmp_path / "model", tmp_path / f"x{suffix}", registry=registry, to_name=name, verify=True)
    assert report.counts == {"read": len(expected), "written": len(expected), "skipped": 0}
    found = (read_ckpt if suffix == ".ckpt" else read_safetensors)(tmp_path / f"x{suffix}")
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key, strict=True)

    assert find_converter(tmp_path / f"x{suffix}", registry).name == name
    back = convert(
        tmp_path / f"x{suffix}",
        tmp_path / "back",
        registry=registry,
        config=tmp_path / "model" / "config.json",
        verify=True,
    )
    assert back.from_name == name
    again = HuggingFaceConverter().read(tmp_path / "back").tensors
    assert again.keys() == weights.tensors.keys()
    for key, array in weights.tensors.items():
        np.testing.assert_array_equal(again[key], array, err_msg=key, strict=True)


@pytest.mark.parametrize("prefix", ["bert.bert.", "bert.", ""])
@pytest.mark.parametrize("name", ["mindformers", "mindformers_0_1"])
def test_either_converter_reads_every_release(registry: Registry, tmp_path: Path, prefix: str, name: str) -> None:
    weights = model()
    write_ckpt(tmp_path / "x.ckpt", as_mindformers(weights.tensors, prefix))
    found = registry.converter(name).read(tmp_path / "x.ckpt").tensors
    assert found.keys() == {key for key in weights.tensors if key.startswith("bert.")}
    assert all((found[key] == weights.tensors[key]).all() for key in found)
    convert(tmp_path / "x.ckpt", tmp_path / "x.safetensors", registry=registry, verify=True)


def test_what_training_leaves_is_skipped_and_counted(registry: Registry, tmp_path: Path) -> None:
    weights = model()
    stored = as_mindformers(weights.tensors)
    beside = {
        "mlmloss.dense.weight": np.ones((8, 8), "f4"),
        "mlmloss.output_bias": np.ones(30, "f4"),
        "bert.mlmloss.layernorm.gamma": np.ones(8, "f4"),
        "nsploss.dense.bias": np.ones(2, "f4"),
        # The moments of all weights, as a callback saves them: a proof must not compute the model from these.
        **{f"adam_{kind}.{name}": np.full_like(tensor, 0.01) for name, tensor in stored.items() for kind in "mv"},
        "epoch": np.array(3, np.int32),
        "global_step": np.array([7], np.int32),
        "scale_sense": np.array(65536, "f4"),
    }
    write_ckpt(tmp_path / "x.ckpt", {**beside, **stored})
    report = convert(tmp_path / "x.ckpt", tmp_path / "x.pt", registry=registry, verify=True)
    assert {key.source for key in report.keys if key.target is None} == set(beside)
    assert report.counts == {"read": len(stored) + len(beside), "written": len(stored), "skipped": len(beside)}


def test_a_checkpoint_with_its_config_is_a_model_for_a_run(registry: Registry, tmp_path: Path) -> None:
    weights = model()
    CONVERTER.write(weights, tmp_path / "mindformers.ckpt")
    (tmp_path / "config.json").write_text(json.dumps(weights.config))
    opened = open_model(str(tmp_path / "mindformers.ckpt"), registry)
    parameters, report = opened.fit(TEXTS, seed=0)
    assert not report.initialized
    assert not report.skipped
    assert all((parameters[name] == weights.tensors[name]).all() for name in parameters)


def test_a_real_model_goes_through_both_layouts_unchanged(minilm: Path, registry: Registry, tmp_path: Path) -> None:
    first = convert(minilm, tmp_path / "a.ckpt", registry=registry, to_name="mindformers_0_1", verify=True)
    assert [key.source for key in first.keys if key.target is None] == ["embeddings.position_ids"]
    convert(tmp_path / "a.ckpt", tmp_path / "b.safetensors", registry=registry, to_name="mindformers", verify=True)
    convert(
        tmp_path / "b.safetensors", tmp_path / "back", registry=registry, config=minilm / "config.json", verify=True
    )
    expected = HuggingFaceConverter().read(minilm).tensors
    found = HuggingFaceConverter().read(tmp_path / "back").tensors
    assert len(found) == 103
    assert all((found[name] == expected[name.removeprefix("bert.")]).all() for name in found)


def test_pre_training_heads_are_not_written(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    report = convert(tiny_en, tmp_path / "x.ckpt", registry=registry, to_name="mindformers", verify=True)
    assert report.counts == {"read": 42, "written": 37, "skipped": 5}


# What is refused.


def test_what_is_no_bert_of_mindformers(tmp_path: Path) -> None:
    stored = as_mindformers(model().tensors)
    write_ckpt(tmp_path / "other.ckpt", dict(model().tensors))
    with pytest.raises(ModelError, match="holds no BERT of mindformers"):
        CONVERTER.read(tmp_path / "other.ckpt")
    write_ckpt(
        tmp_path / "adapter.ckpt",
        {**stored, "bert.bert_encoder.encoder.blocks.0.adapter.gamma": stored["bert.dense.bias"]},
    )
    with pytest.raises(ModelError, match=r"knows bert\.bert_encoder\.encoder\.blocks\.0\.adapter\.gamma"):
        CONVERTER.read(tmp_path / "adapter.ckpt")


def test_a_layer_that_lacks_a_tensor_is_named_with_a_config(registry: Registry, tmp_path: Path) -> None:
    weights = model()
    stored = as_mindformers(weights.tensors)
    del stored["bert.bert_encoder.encoder.blocks.1.output.mapping.bias"]
    stored["bert.dense.weight"] = np.ones((8, 7), "f4")
    write_ckpt(tmp_path / "x.ckpt", stored)
    with pytest.raises(ModelError, match="lacks intermediate of layer 1"):
        convert(tmp_path / "x.ckpt", tmp_path / "x.pt", registry=registry, verify=True)
    (tmp_path / "config.json").write_text(json.dumps(weights.config))
    with pytest.raises(ModelError) as caught:
        convert(tmp_path / "x.ckpt", tmp_path / "folder", registry=registry)
    assert "bert.encoder.layer.1.intermediate.dense.bias: missing" in caught.value.cause
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "x.ckpt"]


def test_another_family_and_another_suffix_are_not_written(registry: Registry, tmp_path: Path) -> None:
    roberta = WeightSet({"roberta.embeddings.word_embeddings.weight": np.ones((3, 4), "f4")})
    with pytest.raises(ModelError, match="it has BERT, no other family"):
        CONVERTER.write(roberta, tmp_path / "x.ckpt")
    HuggingFaceConverter().write(model(), tmp_path / "model")
    for destination in ("x.pt", "folder"):
        with pytest.raises(OutputError, match=r"mindformers is written to \.ckpt, \.safetensors"):
            convert(tmp_path / "model", tmp_path / destination, registry=registry, to_name="mindformers")
    with pytest.raises(UsageError, match="did you mean 'mindformers"):
        convert(tmp_path / "model", tmp_path / "x.ckpt", registry=registry, to_name="mindformer")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_only_its_own_files_are_recognized(tmp_path: Path) -> None:
    converters = (CONVERTER, MindFormers01Converter())
    write_ckpt(tmp_path / "own.ckpt", dict(model().tensors))
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "text.ckpt").write_text("version https://git-lfs.github.com/spec/v1\n")
    for name in ("own.ckpt", "empty.ckpt", "text.ckpt", "missing.ckpt", "."):
        assert not any(converter.recognizes(tmp_path / name) for converter in converters), name
    # Optimizer state may come first.
    stored = {"moment1.bert.dense.weight": np.ones(3, "f4"), **as_mindformers(model().tensors)}
    write_ckpt(tmp_path / "x.ckpt", stored)
    assert [converter.recognizes(tmp_path / "x.ckpt") for converter in converters] == [True, False]
