"""TensorFlow 1 checkpoints; the oracle is a file of TensorFlow's own saver, and the same model as safetensors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tensor_bundle_writer import write_bundle

from bertcore import convert
from bertcore.errors import ModelError, OutputError, UsageError
from bertcore.plugins.registry import Registry
from bertcore.weights.converters import tensorflow1
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.converters.rules import RenameRule
from bertcore.weights.converters.tensorflow1 import TensorFlow1Converter
from bertcore.weights.opening import find_converter, open_model

CONVERTER = TensorFlow1Converter()
CONFIG = {
    "vocab_size": 11,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 8,
    "type_vocab_size": 2,
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def tiny_tf(shared: Path) -> Path:
    folder = shared / "weights" / "tf1-bert-tiny-en"
    if not folder.is_dir():
        pytest.skip("needs ../shared/weights/tf1-bert-tiny-en")
    return folder


def variables(family: str = "bert") -> dict[str, np.ndarray]:
    """The variables of google-research's graph, by its names and shapes, for the sizes above."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{family}/embeddings/word_embeddings": (11, 4),
        f"{family}/embeddings/position_embeddings": (8, 4),
        f"{family}/embeddings/token_type_embeddings": (2, 4),
    }
    layer = f"{family}/encoder/layer_0"
    for dense, shape in {
        f"{layer}/attention/self/query": (4, 4),
        f"{layer}/attention/self/key": (4, 4),
        f"{layer}/attention/self/value": (4, 4),
        f"{layer}/attention/output/dense": (4, 4),
        f"{layer}/intermediate/dense": (4, 6),
        f"{layer}/output/dense": (6, 4),
        f"{family}/pooler/dense": (4, 4),
    }.items():
        shapes |= {f"{dense}/kernel": shape, f"{dense}/bias": shape[1:]}
    for norm in (f"{family}/embeddings", f"{layer}/attention/output", f"{layer}/output"):
        shapes |= {f"{norm}/LayerNorm/gamma": (4,), f"{norm}/LayerNorm/beta": (4,)}
    generator = np.random.default_rng(5)
    return {name: generator.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def test_every_tensor_equals_the_same_model_as_safetensors(tiny_tf: Path, tiny_en: Path) -> None:
    found, expected = CONVERTER.read(tiny_tf), HuggingFaceConverter().read(tiny_en)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array, err_msg=name, strict=True)
    assert found.config is not None
    assert found.config["model_type"] == "bert"
    actions = {entry.source: entry.action for entry in found.report}
    assert actions["bert/encoder/layer_0/attention/self/query/kernel"] == "renamed, transposed"
    assert actions["cls/predictions/output_bias"] == "renamed"


@pytest.mark.parametrize(
    "name", ["", "bert_model.ckpt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"]
)
def test_it_is_converted_and_opened_by_any_of_its_names(
    tiny_tf: Path, tiny_en: Path, registry: Registry, tmp_path: Path, name: str
) -> None:
    source = tiny_tf / name
    assert find_converter(source, registry).name == "tensorflow1"
    model = open_model(str(source), registry)
    assert model.folder == tiny_tf
    assert model.tokenizer().vocab_size == 30522
    report = convert(source, tmp_path / "folder", registry=registry, verify=True)
    assert report.counts == {"read": 42, "written": 42, "skipped": 0}
    assert {"config.json", "model.safetensors", "vocab.txt"} == set(report.files)
    expected = HuggingFaceConverter().read(tiny_en).tensors
    found = HuggingFaceConverter().read(tmp_path / "folder").tensors
    assert all((found[key] == expected[key]).all() for key in expected)


def test_transformers_computes_the_same_from_both(
    tiny_tf: Path, tiny_en: Path, registry: Registry, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModel

    convert(tiny_tf, tmp_path / "folder", registry=registry)
    ids = torch.tensor([[101, 2009, 2003, 9432, 102]])
    with torch.no_grad():
        states = [AutoModel.from_pretrained(folder).eval()(ids)[0] for folder in (tiny_en, tmp_path / "folder")]
    assert states[0].equal(states[1])


def test_the_optimizer_is_skipped_and_counted(registry: Registry, tmp_path: Path) -> None:
    model = variables()
    optimizer = {f"{name}/adam_{letter}": array for name, array in model.items() for letter in "mv"}
    steps = {"global_step": np.array(1000, np.int64), "output_bias/adam_m_1": np.zeros(2, "f4")}
    head = {"output_weights": np.ones((3, 4), "f4"), "output_bias": np.ones(3, "f4")}
    write_bundle(tmp_path / "model.ckpt-9", {**model, **optimizer, **steps, **head}, shards=3)
    (tmp_path / "bert_config.json").write_text(json.dumps(CONFIG))
    report = convert(tmp_path / "model.ckpt-9", tmp_path / "folder", registry=registry, verify=True)
    skipped = {key.source: key.action for key in report.keys if key.target is None}
    assert skipped.keys() == optimizer.keys() | steps.keys()
    assert set(skipped.values()) == {"skipped: optimizer state", "skipped: training state"}
    assert report.counts == {"read": 3 * len(model) + 4, "written": len(model) + 2, "skipped": 2 * len(model) + 2}


def test_heads_of_run_classifier_and_run_squad(tmp_path: Path) -> None:
    weights, bias = np.arange(8, dtype="f4").reshape(2, 4), np.array([1, 2], "f4")
    for foreign, canonical in (("", "classifier"), ("cls/squad/", "qa_outputs")):
        write_bundle(
            tmp_path / canonical, {**variables(), f"{foreign}output_weights": weights, f"{foreign}output_bias": bias}
        )
        found = CONVERTER.read(tmp_path / canonical).tensors
        np.testing.assert_array_equal(found[f"{canonical}.weight"], weights)  # already [out, in]
        np.testing.assert_array_equal(found[f"{canonical}.bias"], bias)


def test_electra_keeps_its_names(tmp_path: Path) -> None:
    tensors = {
        **variables("electra"),
        "electra/embeddings_project/kernel": np.arange(8, dtype="f4").reshape(2, 4),
        "electra/embeddings_project/bias": np.zeros(4, "f4"),
        "discriminator_predictions/dense/kernel": np.ones((4, 4), "f4"),
        "generator/encoder/layer_0/output/dense/bias": np.ones(1, "f4"),
    }
    found = CONVERTER.read(write_bundle(tmp_path / "electra", tensors))
    assert found.tensors["electra.embeddings_project.weight"].shape == (4, 2)
    assert sum(entry.target is None for entry in found.report) == 2


MISTAKES = {
    "pooler": ("pooler/dense/kernel", "pooler.dense.weight"),
    "attention output": ("attention/output/dense/kernel", "attention.output.dense.weight"),
    "query as key": ("attention/self/query/", "attention.self.key."),
    "key as query": ("attention/self/key/", "attention.self.query."),
}


@pytest.mark.parametrize("mistakes", [["pooler"], ["attention output"], ["query as key", "key as query"]])
def test_mistakes_planted_in_the_rules_are_caught(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistakes: list[str]
) -> None:
    head = {"output_weights": np.ones((3, 4), "f4"), "output_bias": np.ones(3, "f4")}
    prefix = write_bundle(tmp_path / "bert_model.ckpt", {**variables(), **head})
    (tmp_path / "bert_config.json").write_text(json.dumps(CONFIG))
    report = convert(prefix, tmp_path / "good.pt", registry=registry, verify=True)
    assert report.verification is not None
    assert [item.output for item in report.verification.differences] == ["hidden states", "pooled output", "logits"]

    wrong = []
    for rule in tensorflow1.RULES:
        for foreign, canonical in (MISTAKES[name] for name in mistakes):
            if foreign in rule.foreign:
                stem = rule.canonical.partition(".attention.self.")[0]
                turned = rule.canonical.endswith(canonical)  # its own name: then the mistake is the direction
                name = rule.canonical if turned else stem + "." + canonical + rule.canonical.rpartition(".")[2]
                rule = RenameRule(rule.foreign, name, rule.transpose ^ turned)
                break
        wrong.append(rule)
    assert tuple(wrong) != tensorflow1.RULES
    monkeypatch.setattr(tensorflow1, "RULES", tuple(wrong))
    with pytest.raises(ModelError, match=r"verification failed: .* differ by"):
        convert(prefix, tmp_path / "x.pt", registry=registry, verify=True)
    assert not (tmp_path / "x.pt").exists()


def test_an_unknown_variable_is_named(tmp_path: Path) -> None:
    tensors = {**variables(), "bert/encoder/layer_0/adapter/kernel": np.ones((4, 4), "f4")}
    with pytest.raises(ModelError, match="bert/encoder/layer_0/adapter/kernel"):
        CONVERTER.read(write_bundle(tmp_path / "model", tensors))


def test_it_is_read_and_not_written(tiny_tf: Path, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        convert(tiny_tf, tmp_path / "model", registry=registry, to_name="tensorflow1")
    assert caught.value.cause == "the layout tensorflow1 is read, not written"
    assert "tensorflow1" not in caught.value.remedy
    with pytest.raises(OutputError):
        CONVERTER.write(CONVERTER.read(tiny_tf), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_leaves_nothing(tiny_tf: Path, registry: Registry, tmp_path: Path) -> None:
    for file in tiny_tf.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    shard = tmp_path / "bert_model.ckpt.data-00000-of-00001"
    content = bytearray(shard.read_bytes())
    content[-1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(ModelError, match="checksum of cls/"):
        convert(tmp_path / "bert_model.ckpt", tmp_path / "deep" / "folder", registry=registry)
    assert not (tmp_path / "deep").exists()


def test_a_folder_of_two_checkpoints_asks_for_one(registry: Registry, tmp_path: Path) -> None:
    for step in (1, 2):
        write_bundle(tmp_path / f"model.ckpt-{step}", variables())
    with pytest.raises(ModelError, match="holds 2 TensorFlow checkpoints"):
        convert(tmp_path, tmp_path / "x.safetensors", registry=registry)
    assert convert(tmp_path / "model.ckpt-2", tmp_path / "x.safetensors", registry=registry).from_name == "tensorflow1"


def test_a_prefix_that_is_not_there(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder or file"):
        convert(tmp_path / "bert_model.ckpt", tmp_path / "folder", registry=registry)
    with pytest.raises(ModelError, match="no TensorFlow checkpoint"):
        CONVERTER.read(tmp_path / "bert_model.ckpt")
