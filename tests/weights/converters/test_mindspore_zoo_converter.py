"""The names of MindSpore's model zoo, written down from its cells, and its CRF, rewritten from its source."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import WeightSet
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, OutputError
from bertcore.families.bert import BertFamily
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.heads import SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.mindspore_zoo import MindSporeZooConverter
from bertcore.weights.opening import find_converter, open_model

Tensors = dict[str, np.ndarray[Any, Any]]
TEXTS = SequenceClassification(("no", "yes", "maybe"))
TAGS = TokenClassification(("O", "B-X", "I-X"), crf=True)
CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=8,  # square, so that no shape gives a mistake away
    max_position_embeddings=16,
)
LAYER = {
    "attention.attention.query_layer.weight": "attention.self.query.weight",
    "attention.attention.query_layer.bias": "attention.self.query.bias",
    "attention.attention.key_layer.weight": "attention.self.key.weight",
    "attention.attention.key_layer.bias": "attention.self.key.bias",
    "attention.attention.value_layer.weight": "attention.self.value.weight",
    "attention.attention.value_layer.bias": "attention.self.value.bias",
    "attention.output.dense.weight": "attention.output.dense.weight",
    "attention.output.dense.bias": "attention.output.dense.bias",
    "attention.output.layernorm.gamma": "attention.output.LayerNorm.weight",
    "attention.output.layernorm.beta": "attention.output.LayerNorm.bias",
    "intermediate.weight": "intermediate.dense.weight",
    "intermediate.bias": "intermediate.dense.bias",
    "output.dense.weight": "output.dense.weight",
    "output.dense.bias": "output.dense.bias",
    "output.layernorm.gamma": "output.LayerNorm.weight",
    "output.layernorm.beta": "output.LayerNorm.bias",
}
POST = "bert_embedding_postprocessor."
SINCE_2021 = {
    f"{POST}token_type_embedding.embedding_table": "embeddings.token_type_embeddings.weight",
    f"{POST}full_position_embedding.embedding_table": "embeddings.position_embeddings.weight",
}
BEFORE_2021 = {
    f"{POST}embedding_table": "embeddings.token_type_embeddings.weight",
    f"{POST}full_position_embeddings": "embeddings.position_embeddings.weight",
}
BESIDE = {
    "bert_embedding_lookup.embedding_table": "embeddings.word_embeddings.weight",
    f"{POST}layernorm.gamma": "embeddings.LayerNorm.weight",
    f"{POST}layernorm.beta": "embeddings.LayerNorm.bias",
    "dense.weight": "pooler.dense.weight",
    "dense.bias": "pooler.dense.bias",
}
HEADS = {
    "dense_1": "classifier",
    "dense1": "qa_outputs",
    "cls1.dense": "cls.predictions.transform.dense",
    "cls2.dense": "cls.seq_relationship",
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model(head: Head) -> tuple[Tensors, dict[str, Any]]:
    family = BertFamily()
    generator = np.random.default_rng(5)
    table = family.parameter_table(CONFIG, head)
    tensors = {name: generator.normal(size=spec.shape).astype("f4") for name, spec in table.items()}
    return tensors, family.config_json(CONFIG, head)


def as_zoo(tensors: Tensors, prefix: str = "bert.bert.", tables: dict[str, str] = SINCE_2021) -> Tensors:
    """The encoder and the heads of one layer as the zoo's own Parameters, without the converter."""
    names = {**BESIDE, **tables}
    for layer in range(CONFIG.num_hidden_layers):
        names |= {f"bert_encoder.layers.{layer}.{name}": f"encoder.layer.{layer}.{LAYER[name]}" for name in LAYER}
    result = {
        prefix + name: tensors[f"bert.{canonical}"]
        for name, canonical in names.items()
        if tensors.get(f"bert.{canonical}") is not None
    }
    outside = prefix.removesuffix("bert.")
    for name, canonical in HEADS.items():
        for kind in ("weight", "bias"):
            if f"{canonical}.{kind}" in tensors:
                result[f"{outside}{name}.{kind}"] = tensors[f"{canonical}.{kind}"]
    return result


def write(path: Path, tensors: Tensors, config_json: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "config.json").write_text(json.dumps(config_json), encoding="utf-8")
    if path.suffix == ".ckpt":
        write_ckpt(path, tensors)
    else:
        save_file(tensors, path)
    return path


def assert_equal(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


@pytest.mark.parametrize("prefix", ["bert.bert.", "bert.", "", "network.bert.bert.", "net.bert."])
@pytest.mark.parametrize("tables", [SINCE_2021, BEFORE_2021], ids=["since 2021", "before"])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_every_form_is_read_to_the_bit(
    registry: Registry, tmp_path: Path, prefix: str, tables: dict[str, str], suffix: str
) -> None:
    tensors, config_json = model(TEXTS)
    source = write(tmp_path / f"in/bert{suffix}", as_zoo(tensors, prefix, tables), config_json)
    assert find_converter(source, registry).name == "mindspore_zoo"
    report = convert(source, tmp_path / "out", registry=registry, verify=True)
    assert report.counts == {"read": len(tensors), "written": len(tensors), "skipped": 0}
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), tensors)
    parameters, fit = open_model(str(source), registry).fit(TEXTS, seed=0)
    assert not fit.initialized
    assert_equal(dict(parameters), tensors)


@pytest.mark.parametrize(
    ("head", "names"),
    [(TEXTS, {"dense_1"}), (TokenClassification(("O", "B")), {"dense_1"}), (SpanExtraction(), {"dense1"})],
    ids=["texts", "tags", "spans"],
)
def test_what_is_written_is_what_the_zoo_names(registry: Registry, tmp_path: Path, head: Head, names: set[str]) -> None:
    tensors, config_json = model(head)
    write(tmp_path / "in/model.safetensors", tensors, config_json)
    convert(tmp_path / "in", tmp_path / "x.ckpt", registry=registry, to_name="mindspore_zoo", verify=True)
    written = read_ckpt(tmp_path / "x.ckpt")
    assert_equal(written, as_zoo(tensors))
    assert {name.split(".")[1] for name in written} == {"bert", *names}
    back = convert(tmp_path / "x.ckpt", tmp_path / "back", registry=registry, config=tmp_path / "in" / "config.json")
    assert back.from_name == "mindspore_zoo"
    assert_equal(load_file(tmp_path / "back" / "model.safetensors"), tensors)


def test_transformers_computes_the_logits_of_the_model_that_the_file_was_made_of(
    registry: Registry, tmp_path: Path
) -> None:
    import torch
    from transformers import BertConfig as Config
    from transformers import BertForSequenceClassification as Model

    sizes = {name: getattr(CONFIG, name) for name in ("vocab_size", "hidden_size", "num_hidden_layers")}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 16, "num_labels": 3}
    network = Model(Config(**sizes)).eval()
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    network.config.save_pretrained(tmp_path / "in")
    write_ckpt(tmp_path / "in" / "classifier-3_1250.ckpt", as_zoo(tensors))
    convert(tmp_path / "in" / "classifier-3_1250.ckpt", tmp_path / "out", registry=registry, verify=True)
    ids = torch.arange(2, 12)[None]
    with torch.no_grad():
        assert Model.from_pretrained(tmp_path / "out").eval()(ids).logits.equal(network(ids).logits)


def test_pre_training_heads_and_training_state(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(TEXTS)
    encoder = {name: tensor for name, tensor in tensors.items() if name.startswith("bert.")}
    generator = np.random.default_rng(2)
    heads = {
        "cls.predictions.transform.dense.weight": generator.normal(size=(8, 8)).astype("f4"),
        "cls.predictions.transform.dense.bias": generator.normal(size=8).astype("f4"),
        "cls.seq_relationship.weight": generator.normal(size=(2, 8)).astype("f4"),
        "cls.seq_relationship.bias": generator.normal(size=2).astype("f4"),
    }
    stored = as_zoo({**encoder, **heads})
    norm = {"gamma": np.full(8, 2, "f4"), "beta": np.full(8, 3, "f4")}
    stored |= {f"bert.cls1.layernorm.{name}": tensor for name, tensor in norm.items()}
    stored["bert.cls1.output_bias"] = np.full(30, 4, "f4")
    state = {
        f"{slot}.{name}": tensor * 0 for slot in ("moment1", "moment2", "accu_grads") for name, tensor in stored.items()
    }
    state |= {"global_step": np.array([9], "i4"), "beta1_power": np.array(0.9, "f4"), "accu_loss": np.array([1], "f4")}
    source = write(tmp_path / "in/bert.ckpt", {**state, **stored}, config_json)
    report = convert(source, tmp_path / "out", registry=registry, verify=True)
    assert {key.source for key in report.keys if key.target is None} == state.keys()
    expected = {**encoder, **heads, "cls.predictions.bias": stored["bert.cls1.output_bias"]}
    expected["cls.predictions.transform.LayerNorm.weight"] = norm["gamma"]
    expected["cls.predictions.transform.LayerNorm.bias"] = norm["beta"]
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), expected)
    convert(tmp_path / "out", tmp_path / "back.ckpt", registry=registry, to_name="mindspore_zoo")
    assert_equal(read_ckpt(tmp_path / "back.ckpt"), stored)


def zoo_score(transitions: np.ndarray[Any, Any], emissions: np.ndarray[Any, Any], tags: tuple[int, ...]) -> float:
    """`_realpath_score` of the zoo's CRF.py: `transitions[to, from]`, from `<START>`, and at the end to `<STOP>`."""
    start, stop = len(transitions) - 2, len(transitions) - 1
    score, previous = 0.0, start
    for step, tag in enumerate(tags):
        score += transitions[tag, previous] + emissions[step, tag]
        previous = tag
    return float(score + transitions[stop, previous])


def test_a_crf_scores_every_path_as_the_zoo_does(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(TAGS)
    generator = np.random.default_rng(3)
    transitions = generator.normal(size=(5, 5)).astype("f4")
    transitions[3, :] = -10000
    transitions[:, 4] = -10000
    stored = as_zoo({name: tensor for name, tensor in tensors.items() if not name.startswith("crf.")})
    stored |= {
        f"bert.dense_1.{kind}": generator.normal(size=(5, 8)[: 2 - (kind == "bias")]).astype("f4")
        for kind in ("weight", "bias")
    }
    stored["loss.transitions"] = transitions
    source = write(tmp_path / "in/ner.ckpt", stored, config_json)
    report = convert(source, tmp_path / "out", registry=registry, verify=True)
    assert any("trained over [CLS], [SEP] and padding" in note for note in report.notes)
    assert not any(key.target is None for key in report.keys)
    found = load_file(tmp_path / "out" / "model.safetensors")

    hidden = generator.normal(size=(4, 8))
    wide = hidden @ stored["bert.dense_1.weight"].T + stored["bert.dense_1.bias"]
    emissions = hidden @ found["classifier.weight"].T + found["classifier.bias"]
    for tags in product(range(3), repeat=4):
        own = found["crf.start_transitions"][tags[0]] + found["crf.end_transitions"][tags[-1]]
        own += sum(emissions[step, tag] for step, tag in enumerate(tags))
        own += sum(found["crf.transitions"][first, second] for first, second in pairwise(tags))
        assert own == pytest.approx(zoo_score(transitions, wide, tags), rel=1e-5)

    convert(tmp_path / "out", tmp_path / "back.ckpt", registry=registry, to_name="mindspore_zoo", verify=True)
    back = read_ckpt(tmp_path / "back.ckpt")
    assert back.keys() == stored.keys()
    assert back["bert.dense_1.weight"].shape == (5, 8)
    np.testing.assert_array_equal(back["loss.transitions"][:3, :4], transitions[:3, :4])
    np.testing.assert_array_equal(back["loss.transitions"][4, :3], transitions[4, :3])


def test_an_lstm_and_a_crf_that_means_something_else_are_left_out_by_name(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(TEXTS)
    stored = as_zoo(tensors) | {
        "bert.lstm.weight_ih_l0": np.ones((3, 8), "f4"),
        "loss.transitions": np.ones((3, 3), "f4"),
    }
    source = write(tmp_path / "in/ner.ckpt", stored, config_json)
    report = convert(source, tmp_path / "out", registry=registry, verify=True)
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), tensors)
    assert any("no Bert model has them: lstm.weight_ih_l0, loss.transitions" in note for note in report.notes)


# What is refused.


def test_what_is_no_bert_of_the_zoo(registry: Registry, tmp_path: Path) -> None:
    converter = MindSporeZooConverter()
    tensors, config_json = model(TEXTS)
    plain = write(tmp_path / "plain/x.ckpt", tensors, config_json)
    assert not converter.recognizes(plain)
    with pytest.raises(ModelError, match="holds no BERT of MindSpore's model zoo"):
        converter.read(plain)
    relative = "bert.bert.bert_encoder.layers.0.attention.attention._generate_relative_positions_embeddings.table"
    source = write(tmp_path / "nezha/x.ckpt", {**as_zoo(tensors), relative: np.ones((33, 4), "f4")}, config_json)
    with pytest.raises(ModelError, match="_generate_relative_positions_embeddings"):
        convert(source, tmp_path / "out", registry=registry)
    with pytest.raises(ModelError, match=r"no place for roberta\.embeddings"):
        converter.write(WeightSet({"roberta.embeddings.LayerNorm.bias": np.ones(3, "f4")}), tmp_path / "y.ckpt")
    with pytest.raises(OutputError, match=r"mindspore_zoo is written to \.ckpt, \.safetensors"):
        converter.write(WeightSet(tensors), tmp_path / "y.pt")
