"""bert4torch's names, from its `variable_mapping` and its examples, with torch as the reader of what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, OutputError
from bertcore.families.bert import BertFamily
from bertcore.families.electra import ElectraFamily
from bertcore.families.roberta import RobertaFamily
from bertcore.formats.torch_file import write_torch_file
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.bert4torch import Bert4TorchConverter, OldBert4TorchConverter
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.opening import find_converter, open_model

CONVERTER = Bert4TorchConverter()
TAGS = TokenClassification(("O", "B-PER", "I-PER"), crf=True)
SIZES: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
}

# One layer of bert4torch's BERT (0.6.2), by canonical name.
NAMES = {
    "embeddings.word_embeddings.weight": "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight": "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight": "embeddings.segment_embeddings.weight",
    "embeddings.LayerNorm.weight": "embeddings.layerNorm.weight",
    "embeddings.LayerNorm.bias": "embeddings.layerNorm.bias",
    "encoder.layer.0.attention.self.query.weight": "encoderLayer.0.multiHeadAttention.q.weight",
    "encoder.layer.0.attention.self.query.bias": "encoderLayer.0.multiHeadAttention.q.bias",
    "encoder.layer.0.attention.self.key.weight": "encoderLayer.0.multiHeadAttention.k.weight",
    "encoder.layer.0.attention.self.key.bias": "encoderLayer.0.multiHeadAttention.k.bias",
    "encoder.layer.0.attention.self.value.weight": "encoderLayer.0.multiHeadAttention.v.weight",
    "encoder.layer.0.attention.self.value.bias": "encoderLayer.0.multiHeadAttention.v.bias",
    "encoder.layer.0.attention.output.dense.weight": "encoderLayer.0.multiHeadAttention.o.weight",
    "encoder.layer.0.attention.output.dense.bias": "encoderLayer.0.multiHeadAttention.o.bias",
    "encoder.layer.0.attention.output.LayerNorm.weight": "encoderLayer.0.attnLayerNorm.weight",
    "encoder.layer.0.attention.output.LayerNorm.bias": "encoderLayer.0.attnLayerNorm.bias",
    "encoder.layer.0.intermediate.dense.weight": "encoderLayer.0.feedForward.intermediateDense.weight",
    "encoder.layer.0.intermediate.dense.bias": "encoderLayer.0.feedForward.intermediateDense.bias",
    "encoder.layer.0.output.dense.weight": "encoderLayer.0.feedForward.outputDense.weight",
    "encoder.layer.0.output.dense.bias": "encoderLayer.0.feedForward.outputDense.bias",
    "encoder.layer.0.output.LayerNorm.weight": "encoderLayer.0.ffnLayerNorm.weight",
    "encoder.layer.0.output.LayerNorm.bias": "encoderLayer.0.ffnLayerNorm.bias",
    "pooler.dense.weight": "pooler.weight",
    "pooler.dense.bias": "pooler.bias",
}
CRF = ("crf.transitions", "crf.start_transitions", "crf.end_transitions")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model(head: Head, family: ModelFamily | None = None, **sizes: Any) -> WeightSet:
    family = family or BertFamily()
    config_json = {**family.config_json(BertConfig(**SIZES), head), **sizes}
    generator = np.random.default_rng(3)
    table = family.parameter_table(family.parse_config(config_json), head)
    tensors = {name: generator.normal(size=spec.shape).astype("f4") for name, spec in table.items()}
    return WeightSet(tensors, config_json)


def written_names(weights: WeightSet, path: Path, converter: Bert4TorchConverter = CONVERTER) -> dict[str, str]:
    return {entry.source: str(entry.target) for entry in converter.write(weights, path)}


def as_in_the_ner_example(tensors: Any, prefix: str = "bert.", head: str = "fc.") -> dict[str, np.ndarray]:
    """Canonical tensors of `bert.` under the names of a user's model, written down independently of the converter."""
    result = {}
    for name, tensor in tensors.items():
        stem = name.removeprefix("bert.")
        layer = next((part for part in stem.split(".") if part.isdigit()), "0")
        known = NAMES.get(stem.replace(f".{layer}.", ".0."))
        if known is not None:
            result[prefix + known.replace(".0.", f".{layer}.")] = tensor
        else:
            result[name.replace("classifier.", head)] = tensor
    return result


def test_the_names_of_an_encoder(tmp_path: Path) -> None:
    weights = model(Regression())
    encoder = {name: array for name, array in weights.tensors.items() if not name.startswith("classifier.")}
    found = written_names(WeightSet(encoder), tmp_path / "bert.pt")
    assert {name.removeprefix("bert."): key for name, key in found.items() if ".layer.1." not in name} == NAMES
    old = written_names(WeightSet(encoder), tmp_path / "old.pt", OldBert4TorchConverter())
    assert old["bert.encoder.layer.1.attention.output.LayerNorm.weight"] == "encoderLayer.1.layerNorm1.weight"
    assert old["bert.encoder.layer.1.output.LayerNorm.bias"] == "encoderLayer.1.layerNorm2.bias"
    differing = {name for name in found if found[name] != old[name]}
    assert all(".layer." in name and ".LayerNorm." in name for name in differing)
    assert len(differing) == 8


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (TAGS, {"classifier.weight": "fc.weight", "classifier.bias": "fc.bias", **{name: name for name in CRF}}),
        (TokenClassification(("O", "B", "I")), {"classifier.weight": "fc.weight", "classifier.bias": "fc.bias"}),
        (
            SequenceClassification(("no", "yes")),
            {"classifier.weight": "dense.weight", "classifier.bias": "dense.bias"},
        ),
        (SpanExtraction(), {"qa_outputs.weight": "qa_outputs.weight", "qa_outputs.bias": "qa_outputs.bias"}),
    ],
    ids=["crf", "tags", "texts", "spans"],
)
def test_the_names_of_a_model_with_a_head(tmp_path: Path, head: Head, names: dict[str, str]) -> None:
    found = written_names(model(head), tmp_path / "best_model.pt")
    assert {source: target for source, target in found.items() if not source.startswith("bert.")} == names
    assert all(target.startswith("bert.") for source, target in found.items() if source.startswith("bert."))


def test_torch_opens_what_is_written_and_our_file_of_a_crf(registry: Registry, tmp_path: Path) -> None:
    import torch

    weights = model(TAGS)
    HuggingFaceConverter().write(weights, tmp_path / "run")
    write_torch_file(tmp_path / "run" / "best_model.pt", weights.tensors)
    assert set(torch.load(tmp_path / "run" / "best_model.pt", weights_only=True)) == set(weights.tensors)
    report = convert(
        tmp_path / "run" / "best_model.pt",
        tmp_path / "best_model.pt",
        registry=registry,
        to_name="bert4torch",
        verify=True,
    )
    assert report.from_name == "huggingface"
    assert report.verification is not None
    assert [item.output for item in report.verification.differences] == ["hidden states", "logits", "score of tags"]
    found = torch.load(tmp_path / "best_model.pt", weights_only=True)
    expected = as_in_the_ner_example(weights.tensors)
    assert found.keys() == expected.keys()
    assert all(found[name].equal(torch.from_numpy(expected[name])) for name in expected)


@pytest.mark.parametrize(
    ("prefix", "head"),
    [
        ("bert.", "fc."),
        ("bert.", "dense."),
        ("model.", "classifier."),
        ("encoder.bert.", "fc."),
        ("module.bert.", "module.fc."),
    ],
)
def test_any_prefix_and_any_head_of_the_examples(registry: Registry, tmp_path: Path, prefix: str, head: str) -> None:
    weights = model(TAGS if head != "dense." else SequenceClassification(("a", "b")))
    stored = as_in_the_ner_example(weights.tensors, prefix, head)
    if prefix.startswith("module."):
        stored = {name if name.startswith("module.") else f"module.{name}": array for name, array in stored.items()}
    write_torch_file(tmp_path / "best_model.pt", stored)
    (tmp_path / "config.json").write_text(json.dumps(weights.config))
    assert find_converter(tmp_path / "best_model.pt", registry).name == "bert4torch"
    opened = open_model(str(tmp_path / "best_model.pt"), registry)
    assert opened.weights.tensors.keys() == weights.tensors.keys()
    assert all((opened.weights.tensors[name] == weights.tensors[name]).all() for name in weights.tensors)
    assert opened.head() == (TAGS if head != "dense." else SequenceClassification(("a", "b")))
    convert(tmp_path / "best_model.pt", tmp_path / "folder", registry=registry, verify=True)


def test_a_model_without_segments_gets_zeros_for_them(registry: Registry, tmp_path: Path) -> None:
    weights = model(TAGS)
    stored = as_in_the_ner_example(weights.tensors)
    del stored["bert.embeddings.segment_embeddings.weight"]
    write_torch_file(tmp_path / "best_model.pt", stored)
    (tmp_path / "config.json").write_text(json.dumps(weights.config))
    report = convert(tmp_path / "best_model.pt", tmp_path / "folder", registry=registry, verify=True)
    assert report.counts == {"read": len(stored), "written": len(stored) + 1, "skipped": 0}
    made = [key for key in report.keys if key.source == "-"]
    assert [(key.target, key.action) for key in made] == [
        ("bert.embeddings.token_type_embeddings.weight", "made of zeros: the model has no segments, renamed")
    ]
    found = HuggingFaceConverter().read(tmp_path / "folder").tensors
    assert not found["bert.embeddings.token_type_embeddings.weight"].any()
    assert found["bert.embeddings.token_type_embeddings.weight"].shape == (2, 8)


def test_the_names_of_releases_up_to_0_3_5(registry: Registry, tmp_path: Path) -> None:
    weights = model(TAGS)
    stored = {
        name.replace("attnLayerNorm", "layerNorm1").replace("ffnLayerNorm", "layerNorm2"): array
        for name, array in as_in_the_ner_example(weights.tensors).items()
    }
    write_torch_file(tmp_path / "best_model.pt", stored)
    report = convert(tmp_path / "best_model.pt", tmp_path / "x.safetensors", registry=registry, verify=True)
    assert report.from_name == "bert4torch_0_3"
    found = HuggingFaceConverter().read(tmp_path / "x.safetensors").tensors
    assert all((found[name] == weights.tensors[name]).all() for name in weights.tensors)
    back = convert(
        tmp_path / "x.safetensors", tmp_path / "y.pt", registry=registry, to_name="bert4torch_0_3", verify=True
    )
    assert {key.target for key in back.keys} == stored.keys()


def test_pre_training_heads_go_along(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    report = convert(tiny_en, tmp_path / "tiny.pt", registry=registry, to_name="bert4torch", verify=True)
    assert report.counts == {"read": 42, "written": 42, "skipped": 0}
    target = {key.source: key.target for key in report.keys}
    assert target["cls.predictions.bias"] == "mlmBias"
    assert target["cls.predictions.transform.LayerNorm.gamma"] == "mlmLayerNorm.weight"
    back = convert(
        tmp_path / "tiny.pt", tmp_path / "back", registry=registry, config=tiny_en / "config.json", verify=True
    )
    assert {key.target for key in back.keys} == {key.canonical for key in report.keys}


def test_buffers_of_transformers_are_skipped(minilm: Path, registry: Registry, tmp_path: Path) -> None:
    report = convert(minilm, tmp_path / "minilm.pt", registry=registry, to_name="bert4torch")
    assert [key.source for key in report.keys if key.target is None] == ["embeddings.position_ids"]


@pytest.mark.parametrize(
    ("family", "sizes"),
    [(RobertaFamily(), {"pad_token_id": 1, "type_vocab_size": 1}), (ElectraFamily(), {"embedding_size": 4})],
    ids=["roberta", "electra"],
)
def test_other_families_there_and_back(
    registry: Registry, tmp_path: Path, family: ModelFamily, sizes: dict[str, int]
) -> None:
    weights = model(SequenceClassification(("a", "b")), family, **sizes)
    HuggingFaceConverter().write(weights, tmp_path / "folder")
    convert(tmp_path / "folder", tmp_path / "there.pt", registry=registry, to_name="bert4torch", verify=True)
    convert(
        tmp_path / "there.pt",
        tmp_path / "back",
        registry=registry,
        config=tmp_path / "folder" / "config.json",
        verify=True,
    )
    found = HuggingFaceConverter().read(tmp_path / "back").tensors
    assert found.keys() == weights.tensors.keys()
    assert all((found[name] == weights.tensors[name]).all() for name in found)


# What is refused.


def refusal(path: Path, tensors: dict[str, np.ndarray]) -> str:
    write_torch_file(path, tensors)
    with pytest.raises(ModelError) as caught:
        CONVERTER.read(path)
    assert "\n" not in caught.value.cause + caught.value.remedy
    return caught.value.cause


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_stranger_beside_the_encoder_goes_along_on_request(registry: Registry, tmp_path: Path, prefix: str) -> None:
    """As in every layout: else it is left out and named. Inside the encoder it is refused."""
    weights = model(SequenceClassification(("a", "b")))
    encoder = {name: tensor for name, tensor in weights.tensors.items() if name.startswith("bert.")}
    tensors = as_in_the_ner_example(encoder, prefix) | {"lstm.weight_ih_l0": np.ones((3, 8), "f4")}
    file = tmp_path / "model.pt"
    write_torch_file(file, tensors)
    (tmp_path / "config.json").write_text(json.dumps(weights.config), encoding="utf-8")
    report = convert(file, tmp_path / "without", registry=registry)
    assert "lstm.weight_ih_l0" in report.notes[0]
    assert open_model(str(tmp_path / "without"), registry).weights.tensors.keys() == encoder.keys()
    convert(file, tmp_path / "folder", registry=registry, keep_unknown=True)
    source = open_model(str(tmp_path / "folder"), registry)
    head = SequenceClassification(("a", "b"))
    with pytest.raises(ModelError, match=r"lstm\.weight_ih_l0: unexpected") as caught:
        source.fit(head, seed=0)
    assert "--set model.new_head=true" in caught.value.remedy
    parameters, fit = source.fit(head, seed=0, new_head=True)
    assert all(np.array_equal(parameters[name], tensor) for name, tensor in encoder.items())
    assert list(fit.skipped) == ["lstm.weight_ih_l0"]
    write_torch_file(file, tensors | {f"{prefix}embeddings.odd": np.ones(3, "f4")})
    with pytest.raises(ModelError, match=r"no rule of this layout knows .*embeddings\.odd"):
        convert(file, tmp_path / "other", registry=registry)
    assert not (tmp_path / "other").exists()


def test_what_is_no_model_of_bert4torch(tmp_path: Path) -> None:
    stored = as_in_the_ner_example(model(TAGS).tensors)
    path = tmp_path / "x.pt"
    assert "holds no encoder of bert4torch" in refusal(path, dict(model(TAGS).tensors))
    twins = {**stored, **{name.replace("bert.", "teacher."): array for name, array in stored.items()}}
    assert "holds 2 encoders: bert., teacher." in refusal(path, twins)
    odd = {name.replace("bert.", "{layer}."): array for name, array in stored.items()}
    assert "holds no encoder of bert4torch" in refusal(path, odd)
    cause = refusal(path, {**stored, "bert.encoderLayer.0.multiHeadAttention.a_bias": np.ones(1, "f4")})
    assert "no rule of this layout knows bert.encoderLayer.0.multiHeadAttention.a_bias" in cause
    both = refusal(path, {**stored, "dense.weight": stored["fc.weight"]})
    assert "fc.weight and dense.weight are both classifier.weight" in both


def test_what_is_not_written(tmp_path: Path) -> None:
    weights = model(TAGS)
    with pytest.raises(OutputError, match=r"bert4torch is written to \.pt"):
        CONVERTER.write(weights, tmp_path / "model.ckpt")
    adapter = WeightSet({**weights.tensors, "bert.encoder.layer.0.adapter.weight": np.ones((2, 2), "f4")})
    with pytest.raises(ModelError, match=r"bert\.encoder\.layer\.0\.adapter\.weight"):
        CONVERTER.write(adapter, tmp_path / "model.pt")
    second = WeightSet({**weights.tensors, "fc.weight": np.ones((2, 2), "f4")}, weights.config)
    with pytest.raises(ModelError, match=r"model\.pt: classifier\.weight and fc\.weight are both fc\.weight"):
        CONVERTER.write(second, tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_only_its_own_files_are_recognized(registry: Registry, tmp_path: Path) -> None:
    import torch

    weights = model(TAGS)
    for converter, name in (("bert4torch", "b.pt"), ("bert4torch", "b.safetensors"), ("huggingface", "h.pt")):
        registry.converter(converter).write(weights, tmp_path / name)
        assert find_converter(tmp_path / name, registry).name == converter
    stored = {name: torch.from_numpy(array) for name, array in as_in_the_ner_example(weights.tensors).items()}
    torch.save({"model_state_dict": stored, "epoch": 3}, tmp_path / "wrapped.pt")
    torch.save(stored, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    for name in ("wrapped.pt", "legacy.bin"):
        assert find_converter(tmp_path / name, registry).name == "bert4torch"
        assert len(CONVERTER.read(tmp_path / name).tensors) == len(weights.tensors)
    (tmp_path / "empty.pt").write_bytes(b"")
    assert not CONVERTER.recognizes(tmp_path / "empty.pt")
    assert not CONVERTER.recognizes(tmp_path)
    assert not CONVERTER.recognizes(tmp_path / "missing.pt")
