"""What proves a conversion: its numbers against transformers, and mistakes planted in the rules and in the files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import ModelParts, WeightConverter, WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError
from bertcore.families.bert import BertFamily
from bertcore.families.electra import ElectraFamily
from bertcore.families.roberta import RobertaFamily
from bertcore.formats.mindspore_ckpt import read_ckpt
from bertcore.heads import MultipleChoice, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry
from bertcore.weights.computed_model import ComputedModel
from bertcore.weights.converters import bert4torch, mindformers
from bertcore.weights.converters.bert4torch import Bert4TorchConverter
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.converters.mindformers import MindFormers01Converter, MindFormersConverter
from bertcore.weights.converters.mindspore_ckpt import MindSporeCheckpointConverter
from bertcore.weights.converters.rules import RenameRule
from bertcore.weights.family_choice import find_family
from bertcore.weights.opening import open_model
from bertcore.weights.verification import verify

TEXTS = SequenceClassification(("no", "yes", "maybe"))
TAGS = TokenClassification(("O", "B-X", "I-X"), crf=True)
SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 12,  # square, so that no shape gives a mistake away
    "max_position_embeddings": 16,
    "pad_token_id": 1,
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model(head: Head, family: ModelFamily | None = None, **sizes: Any) -> WeightSet:
    family = family or BertFamily()
    config_json = {**family.config_json(BertConfig(**SIZES), head), **sizes}
    generator = np.random.default_rng(6)
    table = family.parameter_table(family.parse_config(config_json), head)
    tensors = {name: (generator.normal(size=spec.shape) / 3).astype("f4") for name, spec in table.items()}
    return WeightSet(tensors, config_json)


def saved(folder: Path, weights: WeightSet) -> Path:
    HuggingFaceConverter().write(weights, folder)
    return folder


# The numbers are right: transformers is the oracle.


@pytest.mark.parametrize(
    ("family", "head", "sizes"),
    [
        (BertFamily(), TEXTS, {}),
        (BertFamily(), TEXTS, {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}),
        (BertFamily(), TokenClassification(("O", "B", "I")), {}),
        (BertFamily(), SpanExtraction(), {"hidden_act": "relu"}),
        (RobertaFamily(), TEXTS, {"type_vocab_size": 1}),
        (ElectraFamily(), TEXTS, {"embedding_size": 6}),
        (RobertaFamily(), MultipleChoice(), {"type_vocab_size": 1}),
        (ElectraFamily(), MultipleChoice(), {}),
    ],
    ids=["texts", "gelu_new", "tags", "spans", "roberta", "electra", "choice of roberta", "choice of electra"],
)
def test_the_computed_model_is_that_of_transformers(
    registry: Registry, tmp_path: Path, family: ModelFamily, head: Head, sizes: dict[str, Any]
) -> None:
    import torch
    import transformers

    folder = saved(tmp_path / "model", model(head, family, **sizes))
    oracle = getattr(transformers, f"AutoModel{head.architecture}").from_pretrained(folder).double().eval()
    ids = np.array([5, 20, 33, 7, 2])
    types = np.array([0, 0, 1, 1, 1]) % sizes.get("type_vocab_size", 2)
    with torch.no_grad():
        inputs = {"input_ids": torch.tensor(ids[None]), "token_type_ids": torch.tensor(types[None])}
        if isinstance(head, MultipleChoice):
            inputs = {name: values[None] for name, values in inputs.items()}
        expected = oracle(**inputs, output_hidden_states=True)
    config_json = json.loads((folder / "config.json").read_text())
    config = find_family(config_json, registry, "").parse_config(config_json)
    rows = [(ids, types), (ids[::-1], types)]  # the second one shows that rows do not see each other
    found = ComputedModel(HuggingFaceConverter().parts(folder), config, "the model").outputs(rows)
    # ELECTRA's first hidden state is the embedding before its projection.
    states = [state.numpy()[0] for state in expected.hidden_states][1:]
    np.testing.assert_allclose(found["hidden states"][1:, :5], states, atol=1e-9)
    if isinstance(head, SpanExtraction):
        logits = torch.stack([expected.start_logits[0], expected.end_logits[0]], dim=1)
        np.testing.assert_allclose(found["start and end logits"][:5], logits.numpy(), atol=1e-9)
    elif head.uses_pooler:
        first = 10 if "pooled output" in found else 0  # with a pooler, those of the ten tokens come before
        np.testing.assert_allclose(found["logits"][first], expected.logits[0].numpy(), atol=1e-9)
    else:
        np.testing.assert_allclose(found["logits"][:5], expected.logits[0].numpy(), atol=1e-9)


@pytest.mark.parametrize("source", ["tiny_en", "chinese_l12"])
@pytest.mark.parametrize("to", ["bert4torch", "mindformers_0_1", "mindspore_ckpt"])
def test_real_models_are_verified_on_real_text(
    request: pytest.FixtureRequest, registry: Registry, tmp_path: Path, source: str, to: str
) -> None:
    folder: Path = request.getfixturevalue(source)
    report = convert(
        folder, tmp_path / ("x.pt" if to == "bert4torch" else "x.ckpt"), registry=registry, to_name=to, verify=True
    )
    assert report.verification is not None
    assert report.verification.text == "English and Chinese text"
    assert report.verification.tokens > 60
    (states,) = report.verification.differences
    assert states.output == "hidden states"
    assert states.largest <= 1e-12
    assert states.limit == 1e-5 * states.reference > 1e-5


# Planted mistakes.


class Planted:
    """Registers a converter whose rules are wrong, under a name of its own."""

    def __init__(self, converter: WeightConverter) -> None:
        self.converter = converter

    @hookimpl
    def bertcore_register_converters(self) -> list[WeightConverter]:
        return [self.converter]


def with_planted(converter: WeightConverter) -> Registry:
    plugins = installed_plugins()
    plugins.register(Planted(converter), "planted")
    return Registry(plugins)


def turn(rules: tuple[RenameRule, ...], canonical: str) -> tuple[RenameRule, ...]:
    """The rules with the matrix of one canonical name the other way round."""
    wrong: list[RenameRule] = []
    for rule in rules:
        if rule.canonical.endswith(canonical):
            kinds = ["weight", "bias"] if "{kind}" in rule.canonical else [""]
            for kind in kinds:
                foreign, name = (text.replace("{kind}", kind) for text in (rule.foreign, rule.canonical))
                wrong.append(RenameRule(foreign, name, rule.transpose ^ (kind != "bias")))
        else:
            wrong.append(rule)
    assert tuple(wrong) != rules
    return tuple(wrong)


def swap(rules: tuple[RenameRule, ...], one: str, other: str) -> tuple[RenameRule, ...]:
    """The rules with two canonical names in each other's place."""
    names = {one: other, other: one}
    wrong = []
    for rule in rules:
        part = next((part for part in names if f".{part}." in rule.canonical), None)
        replaced = (
            rule if part is None else replace(rule, canonical=rule.canonical.replace(f".{part}.", f".{names[part]}."))
        )
        wrong.append(replaced)
    assert tuple(wrong) != rules
    return tuple(wrong)


MISTAKES = {
    "pooler transposed": lambda rules: turn(rules, "pooler.dense.{kind}"),
    "feed-forward transposed": lambda rules: turn(rules, "intermediate.dense.weight"),
    "projection transposed": lambda rules: turn(rules, "attention.output.dense.weight"),
    "query and key exchanged": lambda rules: swap(rules, "query", "key"),
    "LayerNorms exchanged": lambda rules: swap(rules, "attention.output.LayerNorm", "output.LayerNorm"),
}


def test_a_transposed_pooler_also_in_rules_for_reading_is_caught_and_leaves_nothing(tmp_path: Path) -> None:
    source = saved(tmp_path / "model", model(TEXTS))

    class Wrong(MindFormersConverter):
        name = "wrong"
        rules = turn(mindformers.RULES, "pooler.dense.{kind}")

        def recognizes(self, path: Path) -> bool:
            return False

    registry = with_planted(Wrong())
    convert(source, tmp_path / "good.ckpt", registry=registry, to_name="mindformers", verify=True)
    before = (tmp_path / "good.ckpt").read_bytes()
    # Wrong both ways, a round trip is the identity all the same.
    convert(source, tmp_path / "wrong.ckpt", registry=registry, to_name="wrong")
    convert(tmp_path / "wrong.ckpt", tmp_path / "again.safetensors", registry=registry, from_name="wrong")
    again = HuggingFaceConverter().read(tmp_path / "again.safetensors").tensors
    assert all((again[name] == array).all() for name, array in model(TEXTS).tensors.items())
    names = sorted(file.name for file in tmp_path.iterdir())

    for destination, from_name, to_name in [
        ("new.ckpt", None, "wrong"),
        ("good.ckpt", None, "wrong"),
        ("deep/folder", "wrong", "huggingface"),
    ]:
        origin = source if from_name is None else tmp_path / "good.ckpt"
        with pytest.raises(ModelError) as caught:
            convert(
                origin,
                tmp_path / destination,
                registry=registry,
                from_name=from_name,
                to_name=to_name,
                config=source / "config.json",
                force=True,
                verify=True,
            )
        cause = caught.value.cause
        assert "verification failed: pooled output differ by" in cause
        assert "logits differ by" in cause
        assert "hidden states" not in cause
        assert "\n" not in cause + caught.value.remedy
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert (tmp_path / "good.ckpt").read_bytes() == before


@pytest.mark.parametrize("converter", [MindFormersConverter, MindFormers01Converter])
@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_mistakes_in_the_rules_of_mindformers(
    tmp_path: Path, converter: type[MindFormersConverter], mistake: str
) -> None:
    class Wrong(converter):  # type: ignore[misc, valid-type]
        name = "wrong"
        rules = MISTAKES[mistake](converter.rules)

    source = saved(tmp_path / "model", model(TEXTS))
    with pytest.raises(ModelError, match=r"verification failed: .* differ by"):
        convert(source, tmp_path / "x.ckpt", registry=with_planted(Wrong()), to_name="wrong", verify=True)


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if "transposed" not in name or "pooler" in name])
def test_mistakes_in_the_rules_of_bert4torch(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    right = bert4torch.encoder_rules

    def wrong(foreign: str, canonical: str, norms: tuple[str, str]) -> tuple[RenameRule, ...]:
        return MISTAKES[mistake](right(foreign, canonical, norms))

    source = saved(tmp_path / "model", model(TEXTS))
    convert(source, tmp_path / "good.pt", registry=registry, to_name="bert4torch", verify=True)
    monkeypatch.setattr(bert4torch, "encoder_rules", wrong)
    for origin, destination, to in ((source, "x.pt", "bert4torch"), (tmp_path / "good.pt", "y.bin", "huggingface")):
        with pytest.raises(ModelError, match=r"verification failed: .* differ by"):
            convert(origin, tmp_path / destination, registry=registry, to_name=to, verify=True)


class Careless(Bert4TorchConverter):
    """Does something to the canonical tensors before they are written."""

    name = "careless"

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def write(self, weights: WeightSet, path: Path) -> Any:
        tensors = dict(weights.tensors)
        for name, change in self.changes.items():
            tensors[name] = change(tensors[name])
        return super().write(replace(weights, tensors=tensors), path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("crf.transitions", lambda x: x.T, "score of tags differ by"),
        ("crf.start_transitions", lambda x: x[::-1], "score of tags differ by"),
        ("classifier.weight", lambda x: x[::-1], "logits differ by"),
        ("classifier.weight", lambda x: x[:2], "the shapes do not fit"),
        ("bert.embeddings.position_embeddings.weight", lambda x: np.roll(x, 1, 0), "hidden states differ by"),
        ("bert.encoder.layer.1.output.dense.bias", lambda x: x * np.float32(np.nan), "differ by nan"),
        ("bert.embeddings.word_embeddings.weight", lambda x: x + np.eye(*x.shape, dtype=x.dtype) / 1000, "differ by"),
    ],
)
def test_a_changed_tensor_is_caught(tmp_path: Path, name: str, change: Any, message: str) -> None:
    source = saved(tmp_path / "model", model(TAGS))
    registry = with_planted(Careless(**{name: change}))
    with pytest.raises(ModelError, match=f"verification failed: .*{message}"):
        convert(source, tmp_path / "x.pt", registry=registry, to_name="careless", verify=True)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_part_that_gets_lost_is_named(tmp_path: Path, registry: Registry) -> None:
    weights = model(TAGS)
    full = HuggingFaceConverter().parts(saved(tmp_path / "model", weights))
    for lost, message in (
        ("classifier", "lacks classifier"),
        ("crf", "lacks transitions"),
        ("bert.encoder.layer.1", "1 layers"),
    ):
        kept = {name: array for name, array in full.tensors.items() if not name.startswith(lost)}
        with pytest.raises(ModelError, match=message):
            verify(full, replace(full, tensors=kept), None, None, "a -> b")
    with pytest.raises(ModelError, match="no encoder that can be verified"):
        verify(ModelParts({}, {}), full, None, None, "a -> b")


def test_what_cannot_be_verified_says_so(registry: Registry, tmp_path: Path) -> None:
    class Unknown(MindSporeCheckpointConverter):
        name = "unknown"

        def parts(self, path: Path) -> None:  # type: ignore[override]
            return None

    source = saved(tmp_path / "model", model(TEXTS))
    with pytest.raises(ModelError, match="the layout unknown cannot be verified"):
        convert(source, tmp_path / "x.ckpt", registry=with_planted(Unknown()), to_name="unknown", verify=True)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_half_type_and_a_missing_config_and_tokenizer_do_not_matter(registry: Registry, tmp_path: Path) -> None:
    half = {name: array.astype(np.float16) for name, array in model(TEXTS).tensors.items()}
    HuggingFaceConverter().write(WeightSet(half), tmp_path / "x.bin")
    report = convert(tmp_path / "x.bin", tmp_path / "x.ckpt", registry=registry, to_name="mindformers", verify=True)
    assert report.verification is not None
    assert report.verification.text == "token ids drawn by chance (there is no tokenizer)"
    assert max(item.largest for item in report.verification.differences) <= 1e-12
    assert {array.dtype.name for array in read_ckpt(tmp_path / "x.ckpt").values()} == {"float16"}


def test_a_folder_is_put_in_its_place_whole(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    report = convert(tiny_en, tmp_path / "deep" / "model-1.5", registry=registry, verify=True)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["model-1.5"]
    assert {"config.json", "model.safetensors", "vocab.txt"} <= set(report.files)
    assert report.files == tuple(sorted(file.name for file in (tmp_path / "deep" / "model-1.5").iterdir()))
    convert(tiny_en, tmp_path / "deep" / "model-1.5", registry=registry, verify=True, force=True)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["model-1.5"]
    assert open_model(str(tmp_path / "deep" / "model-1.5"), registry).tokenizer().vocab_size == 30522
