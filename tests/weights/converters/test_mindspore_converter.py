"""MindSpore checkpoints, with MindSpore as the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bertcore import convert
from bertcore.contracts.converter import WeightSet
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.converters.mindformers import MindFormersConverter
from bertcore.weights.converters.mindspore_ckpt import MindSporeCheckpointConverter
from bertcore.weights.converters.mindspore_zoo import MindSporeZooConverter
from bertcore.weights.opening import find_converter

pytestmark = pytest.mark.mindspore

CONVERTER = MindSporeCheckpointConverter()


@pytest.fixture(scope="module")
def weights(tiny_en: Path) -> WeightSet:
    return HuggingFaceConverter().read(tiny_en)


def save_with_mindspore(file: Path, tensors: dict[str, np.ndarray], kind: str = "ckpt") -> None:
    import mindspore

    parameters = [{"name": name, "data": mindspore.Tensor(array)} for name, array in tensors.items()]
    mindspore.save_checkpoint(parameters, str(file), format=kind)


def assert_equal(found: WeightSet, expected: WeightSet) -> None:
    assert set(found.tensors) == set(expected.tensors)
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array, err_msg=name)


def test_mindspore_opens_what_is_written(weights: WeightSet, tmp_path: Path) -> None:
    import mindspore

    CONVERTER.write(weights, tmp_path / "x.ckpt")
    loaded = mindspore.load_checkpoint(str(tmp_path / "x.ckpt"), crc_check=True)
    assert set(loaded) == set(weights.tensors)
    for name, parameter in loaded.items():
        np.testing.assert_array_equal(parameter.asnumpy(), weights.tensors[name])


@pytest.mark.parametrize("name", ["x.ckpt", "x.safetensors"])
def test_mindspore_opens_a_file_for_mindformers(weights: WeightSet, tmp_path: Path, name: str) -> None:
    import mindspore

    converter = MindFormersConverter()
    converter.write(weights, tmp_path / name)
    loaded = mindspore.load_checkpoint(str(tmp_path / name), format=name.partition(".")[2])
    mapping = loaded["bert.bert_encoder.encoder.blocks.1.output.mapping.weight"].asnumpy()
    np.testing.assert_array_equal(mapping, weights.tensors["bert.encoder.layer.1.intermediate.dense.weight"].T)
    state = {name: parameter.asnumpy() for name, parameter in loaded.items()}
    save_with_mindspore(tmp_path / "again.ckpt", {"global_step": np.zeros(1, np.int32), **state})
    assert find_converter(tmp_path / "again.ckpt", Registry()).name == "mindformers"
    found = converter.read(tmp_path / "again.ckpt")
    expected = {key: array for key, array in weights.tensors.items() if not key.startswith("cls.")}
    assert_equal(found, WeightSet(expected))


def test_mindspore_opens_a_file_for_its_model_zoo_and_the_zoos_own_cells_bear_its_names(
    weights: WeightSet, tmp_path: Path
) -> None:
    import mindspore
    from mindspore import nn

    converter = MindSporeZooConverter()
    converter.write(weights, tmp_path / "x.ckpt")
    loaded = mindspore.load_checkpoint(str(tmp_path / "x.ckpt"), crc_check=True)
    output = nn.Cell()  # what bert_model.py calls BertOutput, with the same attributes
    output.dense, output.layernorm = nn.Dense(128, 128), nn.LayerNorm((128,))
    post = nn.Cell()
    post.token_type_embedding = nn.Embedding(2, 128)
    names = {f"bert_encoder.layers.0.attention.output.{name}" for name in output.parameters_dict()}
    names |= {f"bert_embedding_postprocessor.{name}" for name in post.parameters_dict()}
    assert {f"bert.bert.{name}" for name in names} <= loaded.keys()
    state = {name: parameter.asnumpy() for name, parameter in loaded.items()}
    save_with_mindspore(tmp_path / "again.ckpt", {"global_step": np.zeros(1, np.int32), **state})
    assert converter.recognizes(tmp_path / "again.ckpt")
    expected = {name: array for name, array in weights.tensors.items() if "decoder" not in name}
    assert_equal(converter.read(tmp_path / "again.ckpt"), WeightSet(expected))


def test_what_mindspore_wrote_is_read(weights: WeightSet, tiny_en: Path, tmp_path: Path) -> None:
    save_with_mindspore(tmp_path / "x.ckpt", dict(weights.tensors))
    (tmp_path / "config.json").write_bytes((tiny_en / "config.json").read_bytes())
    assert find_converter(tmp_path / "x.ckpt", Registry()).name == "mindspore_ckpt"
    found = CONVERTER.read(tmp_path / "x.ckpt")
    assert_equal(found, weights)
    assert found.config == weights.config
    assert [entry.source for entry in found.report] == list(weights.tensors)


def test_old_names_and_training_state(weights: WeightSet, tmp_path: Path) -> None:
    old = {}
    for name, array in weights.tensors.items():
        stem, _, last = name.rpartition(".")
        old[f"{stem}.{ {'weight': 'gamma', 'bias': 'beta'}[last] }" if stem.endswith("LayerNorm") else name] = array
    state = {
        "moment1.bert.embeddings.LayerNorm.gamma": np.zeros(128, np.float32),
        "learning_rate": np.float32(0.1),
        "global_step": np.zeros(1, np.int32),
        "epoch": np.int32(3),
    }
    state |= {f"moment2.{name}": np.full_like(array, 0.01) for name, array in old.items()}
    save_with_mindspore(tmp_path / "x.ckpt", {**old, **state})
    convert(tmp_path / "x.ckpt", tmp_path / "x.safetensors", registry=Registry(), verify=True)
    found = CONVERTER.read(tmp_path / "x.ckpt")
    assert_equal(found, weights)
    assert {entry.source for entry in found.report if entry.target is None} == set(state)


def test_safetensors_that_mindspore_wrote_are_read_as_any_other(weights: WeightSet, tmp_path: Path) -> None:
    save_with_mindspore(tmp_path / "x.safetensors", dict(weights.tensors), "safetensors")
    converter = find_converter(tmp_path / "x.safetensors", Registry())
    assert converter.name == "huggingface"
    assert_equal(converter.read(tmp_path / "x.safetensors"), weights)


def test_only_a_mindspore_file_with_canonical_names_is_recognized(weights: WeightSet, tmp_path: Path) -> None:
    contents = {
        "empty.ckpt": b"",
        "zip.ckpt": b"PK\x03\x04" + bytes(300),
        "text.ckpt": b"version https://git-lfs.github.com/spec/v1\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert not CONVERTER.recognizes(tmp_path / name), name
    save_with_mindspore(tmp_path / "other.ckpt", {"bert.word_embedding.embedding_table": np.zeros((3, 4), np.float32)})
    assert not CONVERTER.recognizes(tmp_path / "other.ckpt")
    assert not CONVERTER.recognizes(tmp_path)
    assert not CONVERTER.recognizes(tmp_path / "missing.ckpt")
    for name in ("embeddings.word_embeddings.weight", "roberta.encoder.layer.0.output.dense.bias", "classifier.bias"):
        CONVERTER.write(WeightSet({name: np.zeros(300, np.float32)}), tmp_path / "own.ckpt")
        assert CONVERTER.recognizes(tmp_path / "own.ckpt"), name
