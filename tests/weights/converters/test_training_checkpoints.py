"""Checkpoints of training loops: Lightning's, and whole modules. Beside the weights they hold objects of any class.

torch itself writes them and, with `weights_only=False`, says what the weights are. bertcore makes none of the objects.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import functools
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from transformers import BertConfig, BertForSequenceClassification

from bertcore import convert
from bertcore.errors import ModelError
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import find_converter, open_model


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def network() -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertForSequenceClassification(BertConfig(**sizes, intermediate_size=8, max_position_embeddings=16)).eval()


@pytest.fixture
def folder(network: BertForSequenceClassification, tmp_path: Path) -> Path:
    network.config.save_pretrained(tmp_path / "in")
    (tmp_path / "in" / "config.json").write_text(
        json.dumps({**json.loads((tmp_path / "in" / "config.json").read_text()), "architectures": None})
    )
    return tmp_path / "in"


class Strategy(enum.Enum):
    STEPS = "steps"


class Settings:
    def __init__(self) -> None:
        self.rate, self.names, self.path = 1e-5, {"a", "b"}, Path("data")


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def lightning(network: torch.nn.Module, hyper_parameters: Any) -> dict[str, Any]:
    """What `lightning.pytorch.callbacks.ModelCheckpoint` saves of a module that holds a model and a loss."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    network(torch.arange(2, 12)[None]).logits.sum().backward()
    optimizer.step()
    network.zero_grad()
    state = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    return {
        "epoch": 2,
        "global_step": 30,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": collections.OrderedDict(state, **{"loss.weight": torch.ones(2)}),
        "loops": {"fit_loop": {"epoch_progress": {"total": {"ready": 3}}, "state_dict": {}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'val_f1', 'mode': 'max'}": {
                "best_model_score": torch.tensor(0.9),
                "best_k_models": {"/logs/epoch=2.ckpt": torch.tensor(0.9)},
                "kth_value": torch.tensor(0.9),
            },
            "EarlyStopping": {"wait_count": 0, "best_score": np.float64(0.9)},
        },
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"base_lrs": [1e-5], "lr_lambdas": [functools.partial(max, 1)]}],
        "hparams_name": "kwargs",
        "hyper_parameters": hyper_parameters,
        "datamodule_hyper_parameters": argparse.Namespace(path=Path("data"), when=datetime.date(2024, 1, 2)),
    }


def assert_weights(folder: Path, network: BertForSequenceClassification) -> None:
    found = load_file(folder / "model.safetensors")
    expected = network.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), err_msg=name)


@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_of_lightning_is_read_and_none_of_its_objects_made(
    registry: Registry, network: BertForSequenceClassification, folder: Path, tmp_path: Path, zip_format: bool
) -> None:
    module = types.ModuleType("lightning_fabric_of_this_test")
    exec("class AttributeDict(dict): pass", module.__dict__)
    sys.modules[module.__name__] = module
    trace = tmp_path / "was here"
    hyper_parameters = module.AttributeDict(
        config=network.config, strategy=Strategy.STEPS, settings=Settings(), tags={"x"}, evil=Malicious(trace)
    )
    checkpoint = lightning(network, hyper_parameters)
    file = folder / "epoch=2-step=30.ckpt"
    torch.save(checkpoint, file, _use_new_zipfile_serialization=zip_format)
    del sys.modules[module.__name__]  # as on a machine without Lightning

    assert find_converter(file, registry).name == "huggingface"
    report = convert(file, tmp_path / "out", registry=registry, verify=True)
    assert not trace.exists()
    assert_weights(tmp_path / "out", network)
    left_out = {key.source for key in report.keys if key.target is None}
    assert left_out == {*checkpoint.keys() - {"state_dict"}, "loss.weight"}
    parameters, _ = open_model(str(file), registry).fit(open_head(network), seed=0, new_head=True)
    name = "bert.encoder.layer.1.output.dense.weight"
    np.testing.assert_array_equal(parameters[name], network.state_dict()[name].numpy())
    assert not trace.exists()
    sys.modules[module.__name__] = module
    torch.load(file, weights_only=False)
    assert trace.exists()  # the file is dangerous indeed
    del sys.modules[module.__name__]


def open_head(network: BertForSequenceClassification) -> Any:
    from bertcore.heads import SequenceClassification

    return SequenceClassification(tuple(network.config.id2label.values()))


OBJECTS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=5),
        st.dates(),
        st.decimals(),
        st.fractions(),
        st.complex_numbers(),
        st.uuids(),
        st.just(Strategy.STEPS),
        st.builds(Path, st.sampled_from(["a", "b/c"])),
        st.builds(Settings),
        st.builds(np.float32, st.floats(width=32)),
        st.just(torch.ones(2)),
        st.just(torch.float16),
        st.just(dict),
        st.just(torch.nn.functional.gelu),
    ),
    lambda children: st.one_of(
        st.lists(children, max_size=3),
        st.tuples(children, children),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.tuples(st.integers())), children, max_size=3),
        st.builds(lambda items: collections.defaultdict(list, items), st.dictionaries(st.text(max_size=3), children)),
        st.builds(lambda items: collections.Counter(items), st.lists(st.text(max_size=3))),
        st.builds(lambda value: types.SimpleNamespace(value=value), children),
        st.builds(collections.deque, st.lists(children, max_size=3)),
        st.frozensets(st.integers(), max_size=3),
        st.sets(st.integers(), max_size=3),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("key", ["params", "bert", 7])
def test_weights_under_any_name_of_a_script_are_found(registry: Registry, tmp_path: Path, key: Any) -> None:
    weights = {"bert.pooler.dense.weight": torch.ones(2, 3)}
    torch.save({"epoch": 3, key: weights, "history": [1.0], "empty": {}}, tmp_path / "x.pt")
    found = registry.converter("huggingface").read(tmp_path / "x.pt")
    assert list(found.tensors) == list(weights)
    torch.save({"student": weights, "teacher": weights}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="'student' is dict, no tensor"):
        registry.converter("huggingface").read(tmp_path / "x.pt")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(beside=OBJECTS, before=st.booleans(), protocol=st.integers(2, 5), zip_format=st.booleans())
def test_whatever_lies_beside_the_weights_they_are_read(
    registry: Registry, tmp_path: Path, beside: Any, before: bool, protocol: int, zip_format: bool
) -> None:
    weights = {"bert.pooler.dense.weight": torch.arange(6.0).reshape(2, 3), "classifier.bias": torch.ones(2)}
    entries = [("args", beside), ("state_dict", weights)]
    file = tmp_path / "checkpoint.pt"
    torch.save(
        dict(entries if before else entries[::-1]),
        file,
        pickle_protocol=protocol if zip_format else 2,
        _use_new_zipfile_serialization=zip_format,
    )
    found = registry.converter("huggingface").read(file)
    assert found.tensors.keys() == weights.keys()
    for name, tensor in weights.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.numpy())
    assert [entry.source for entry in found.report if entry.target is None] == ["args"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_whole_module_is_read_by_its_parameters(
    registry: Registry, network: BertForSequenceClassification, folder: Path, tmp_path: Path, wrapped: bool
) -> None:
    torch.save({"model": network, "epoch": 3} if wrapped else network, folder / "model.pt")
    convert(folder / "model.pt", tmp_path / "out", registry=registry, verify=True)
    assert_weights(tmp_path / "out", network)


class Classifier(torch.nn.Module):
    """A script's own class."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = torch.nn.DataParallel(encoder)
        self.lstm = torch.nn.LSTM(8, 4)
        self.register_buffer("step", torch.tensor(3))


def test_a_whole_module_of_a_scripts_own_class(
    registry: Registry, network: BertForSequenceClassification, folder: Path, tmp_path: Path
) -> None:
    torch.save(Classifier(network.bert), folder / "model.pt")
    report = convert(folder / "model.pt", tmp_path / "out", registry=registry, verify=True)
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == {name for name in network.state_dict() if name.startswith("bert.")}
    assert any("lstm.* (4 tensors)" in note for note in report.notes)


@pytest.mark.parametrize(
    "make",
    [
        lambda trace: {"state_dict": {"bert.pooler.dense.weight": Malicious(trace)}},
        lambda trace: {"bert.pooler.dense.weight": torch.ones(2), "args": Malicious(trace)},
        lambda trace: Malicious(trace),
        lambda trace: {"model": Malicious(trace)},
        lambda trace: [Malicious(trace)],
    ],
)
def test_an_object_among_the_weights_is_refused_by_its_name(
    registry: Registry, folder: Path, tmp_path: Path, make: Any
) -> None:
    trace = tmp_path / "was here"
    torch.save(make(trace), folder / "model.pt")
    with pytest.raises(ModelError) as caught:
        convert(folder / "model.pt", tmp_path / "out", registry=registry)
    assert "posix.mkdir" in caught.value.cause or "holds no tensors by name" in caught.value.cause
    assert not trace.exists()
    assert not (tmp_path / "out").exists()
