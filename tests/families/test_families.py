"""Model families with transformers as the oracle of names, shapes and config.json."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError
from bertcore.families.bert import BertFamily
from bertcore.heads import MultipleChoice, Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.discovery import Plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry
from bertcore.testing.reference import ReferenceModel
from bertcore.weights.family_choice import find_family
from bertcore.weights.opening import open_model
from bertcore.weights.stored_head import head_from_config

FAMILY = BertFamily()
SIZES = {
    "vocab_size": 30,
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
HEADS = {
    "classification": (SequenceClassification(("no", "yes", "maybe")), transformers.BertForSequenceClassification),
    "multi-label": (SequenceClassification(("a", "b"), multi_label=True), transformers.BertForSequenceClassification),
    "regression": (Regression(), transformers.BertForSequenceClassification),
    "token": (TokenClassification(("O", "B-X", "I-X")), transformers.BertForTokenClassification),
    "span": (SpanExtraction(), transformers.BertForQuestionAnswering),
}


CORE = (Regression, SequenceClassification, SpanExtraction, TokenClassification)


@pytest.mark.parametrize("name", HEADS)
def test_the_table_is_that_of_transformers(name):
    head, oracle = HEADS[name]
    config = FAMILY.parse_config(SIZES)
    model = oracle(transformers.BertConfig(**SIZES, num_labels=head.output_size))
    expected = {key: tuple(value.shape) for key, value in model.named_parameters()}
    table = FAMILY.parameter_table(config, head)
    assert {key: spec.shape for key, spec in table.items()} == expected
    assert list(table) == list(expected), "in the order of transformers' modules"


@pytest.mark.parametrize("name", HEADS)
def test_new_parameters_start_as_in_transformers(name):
    head, oracle = HEADS[name]
    model = oracle(transformers.BertConfig(**SIZES, num_labels=head.output_size))
    for key, spec in FAMILY.parameter_table(FAMILY.parse_config(SIZES), head).items():
        value = model.get_parameter(key).detach()
        if spec.initializer == "normal":
            assert float(value.std()) > 0
            assert not (value == 1).all()
        else:
            assert (value == (1 if spec.initializer == "ones" else 0)).all(), key


def test_a_crf_adds_its_transitions():
    head = TokenClassification(("O", "B-X", "I-X"), crf=True)
    table = FAMILY.parameter_table(FAMILY.parse_config(SIZES), head)
    assert [(name, spec.shape) for name, spec in table.items() if name.startswith("crf.")] == [
        ("crf.transitions", (3, 3)),
        ("crf.start_transitions", (3,)),
        ("crf.end_transitions", (3,)),
    ]


def test_only_pooler_and_head_may_be_missing():
    table = FAMILY.parameter_table(FAMILY.parse_config(SIZES), HEADS["classification"][0])
    optional = [name for name, spec in table.items() if spec.optional]
    assert optional == ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("name", HEADS)
def test_transformers_reads_the_config_that_is_written(name, tmp_path):
    head, oracle = HEADS[name]
    config = FAMILY.parse_config({**SIZES, "hidden_act": "gelu_new", "layer_norm_eps": 1e-7, "pad_token_id": 5})
    (tmp_path / "config.json").write_text(json.dumps(FAMILY.config_json(config, head)), encoding="utf-8")
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    assert isinstance(read, transformers.BertConfig)
    assert read.architectures == [oracle.__name__]
    assert read.num_labels == head.output_size
    for field in dataclasses.fields(BertConfig):
        if hasattr(read, field.name):
            assert getattr(read, field.name) == getattr(config, field.name), field.name
    if isinstance(head, SequenceClassification):
        assert tuple(read.id2label[index] for index in range(len(head.labels))) == head.labels


@pytest.mark.parametrize("name", HEADS)
def test_the_written_config_is_read_back(name):
    head, _ = HEADS[name]
    config = FAMILY.parse_config({**SIZES, "classifier_dropout": 0.3})
    written = json.loads(json.dumps(FAMILY.config_json(config, head)))
    assert FAMILY.parse_config(written) == config
    assert head_from_config(written, CORE) == head


@settings(max_examples=50)
@given(
    st.builds(
        BertConfig,
        vocab_size=st.integers(1, 99),
        hidden_size=st.sampled_from([12, 24]),
        num_hidden_layers=st.integers(1, 30),
        num_attention_heads=st.sampled_from([1, 2, 3, 4, 6, 12]),
        intermediate_size=st.integers(1, 99),
        max_position_embeddings=st.integers(1, 999),
        type_vocab_size=st.integers(1, 3),
        hidden_act=st.sampled_from(["gelu", "gelu_new", "relu"]),
        hidden_dropout_prob=st.floats(0, 0.9),
        attention_probs_dropout_prob=st.floats(0, 0.9),
        classifier_dropout=st.none() | st.floats(0, 0.9),
        layer_norm_eps=st.floats(1e-12, 1e-3),
        initializer_range=st.floats(0.001, 1),
        pad_token_id=st.integers(0, 9),
    )
)
def test_any_config_is_read_back(config):
    assert FAMILY.parse_config(FAMILY.config_json(config, Regression())) == config


@pytest.mark.parametrize("name", ["minilm", "tiny_en", "chinese_l12"])
def test_real_configs_are_read_as_transformers_does(name, request):
    folder = request.getfixturevalue(name)
    config = FAMILY.parse_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    oracle = transformers.BertConfig.from_pretrained(folder)
    for field in dataclasses.fields(BertConfig):
        if hasattr(oracle, field.name):
            assert getattr(config, field.name) == getattr(oracle, field.name), field.name


def test_transformers_defaults_hold_where_the_file_is_silent():
    config = FAMILY.parse_config({key: SIZES[key] for key in list(SIZES)[:5]})
    oracle = transformers.BertConfig()
    names = ["max_position_embeddings", "type_vocab_size", "hidden_act", "hidden_dropout_prob", "layer_norm_eps"]
    names += ["attention_probs_dropout_prob", "initializer_range", "classifier_dropout", "pad_token_id"]
    for name in names:
        assert getattr(config, name) == getattr(oracle, name), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocab_size": None}, "vocab_size is None"),
        ({"hidden_size": "768"}, "hidden_size is '768'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"num_hidden_layers": 10**9}, "no encoder has more than"),
        ({"hidden_size": 10**18, "num_attention_heads": 1}, "that an array can have"),
        ({"vocab_size": 2**31}, "that an array can have"),
        ({"num_attention_heads": 5}, "no multiple of num_attention_heads"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small'"),
        ({"pad_token_id": "x"}, "pad_token_id is 'x'"),
        ({"pad_token_id": -1}, "pad_token_id is -1"),
        ({"hidden_act": "swish"}, "hidden_act 'swish' is not supported"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' is not supported"),
    ],
)
def test_a_wrong_config_is_named(change, words):
    with pytest.raises(ModelError) as caught:
        FAMILY.parse_config({**SIZES, **change}, origin="a/config.json")
    assert caught.value.cause.startswith("a/config.json: ")
    assert words in caught.value.cause
    assert caught.value.remedy


def test_a_family_of_a_third_party_differs_in_what_it_says():
    family = ModelFamily("shifted", "shifted.", "Shifted", position_offset=2)
    config = family.parse_config(SIZES)
    assert (config.family, config.prefix, config.position_offset) == ("shifted", "shifted.", 2)
    assert config.max_length == SIZES["max_position_embeddings"] - 2
    own = [name.removeprefix("shifted.") for name in family.parameter_table(config, Regression())]
    bert = [name.removeprefix("bert.") for name in FAMILY.parameter_table(FAMILY.parse_config(SIZES), Regression())]
    assert own == bert
    assert family.config_json(config, Regression())["architectures"] == ["ShiftedForSequenceClassification"]


def test_a_config_without_a_fine_tuned_head_is_refused():
    with pytest.raises(ModelError, match="names no fine-tuned head"):
        head_from_config({"architectures": ["BertForMaskedLM"]}, CORE)
    for damaged in ({}, {"architectures": {"a": 1}}, {"architectures": "BertForSequenceClassification"}):
        with pytest.raises(ModelError, match="names no fine-tuned head"):
            head_from_config(damaged, CORE)


@pytest.mark.parametrize(
    ("architecture", "entries", "words"),
    [
        ("ForSequenceClassification", {"id2label": {"1": "a", "2": "b"}}, "id2label has no label '0'"),
        ("ForTokenClassification", {"id2label": ["O", "B"]}, "id2label is no object"),
        ("ForTokenClassification", {"tag_scheme": "IOB3"}, "tag_scheme is 'IOB3', none of BIO"),
        (
            "ForSequenceClassification",
            {"problem_type": "multi_label_classification", "threshold": "half"},
            "threshold is 'half', not a number",
        ),
        ("ForQuestionAnswering", {"null_threshold": [0]}, "null_threshold is [0], not a number"),
    ],
)
def test_a_wrong_entry_of_a_head_is_named(architecture, entries, words):
    with pytest.raises(ModelError) as caught:
        head_from_config({"architectures": [f"Bert{architecture}"], **entries}, CORE, origin="a/config.json")
    assert caught.value.cause.startswith("a/config.json: ")
    assert words in caught.value.cause
    assert caught.value.remedy


def test_labels_that_transformers_leaves_out_are_its_default():
    config = transformers.BertConfig(**SIZES, num_labels=2, architectures=["BertForSequenceClassification"])
    written = json.loads(config.to_json_string())
    assert "id2label" not in written
    assert head_from_config(written, CORE) == SequenceClassification(("LABEL_0", "LABEL_1"))


def test_the_dropout_of_the_head_is_its_own_or_the_hidden_one():
    config = FAMILY.parse_config({**SIZES, "hidden_dropout_prob": 0.2})
    assert config.head_dropout_prob == 0.2
    assert dataclasses.replace(config, classifier_dropout=0.0).head_dropout_prob == 0.0


# RoBERTa, its relatives, and ELECTRA

RELATIVES = ["roberta", "xlm-roberta", "camembert", "electra"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(params=RELATIVES)
def family(request: pytest.FixtureRequest, registry: Registry) -> ModelFamily:
    return registry.family(request.param)


@pytest.fixture(params=list(HEADS))
def head(request: pytest.FixtureRequest) -> Head:
    return HEADS[request.param][0]


def oracle_of(build: Callable[..., Any], family: ModelFamily, head: Head, **changes: Any) -> Any:
    labels = {} if isinstance(head, SpanExtraction) else {"num_labels": head.output_size}
    return build(family.name, head.architecture, **labels, **changes)


def test_names_and_shapes_of_relatives_are_those_of_transformers(
    family: ModelFamily, head: Head, family_model: Callable[..., Any]
) -> None:
    oracle = oracle_of(family_model, family, head)
    config = family.parse_config(oracle.config.to_dict())
    expected = {name: tuple(value.shape) for name, value in oracle.named_parameters()}
    table = family.parameter_table(config, head)
    assert {name: spec.shape for name, spec in table.items()} == expected
    optional = {name.partition(".")[0] for name, spec in table.items() if spec.optional}
    assert optional == {"qa_outputs" if isinstance(head, SpanExtraction) else "classifier"}, "but for the head"


def test_transformers_reads_the_config_of_relatives(
    family: ModelFamily, head: Head, family_model: Callable[..., Any], tmp_path: Path
) -> None:
    oracle = oracle_of(family_model, family, head, classifier_dropout=0.3)
    config = family.parse_config(oracle.config.to_dict())
    written = json.loads(json.dumps(family.config_json(config, head)))
    (tmp_path / "config.json").write_text(json.dumps(written), encoding="utf-8")
    read = transformers.AutoConfig.from_pretrained(tmp_path)
    assert type(read) is type(oracle.config)
    assert read.architectures == [type(oracle).__name__]
    for field in dataclasses.fields(BertConfig):
        if hasattr(read, field.name) and field.name != "embedding_size":
            assert getattr(read, field.name) == getattr(config, field.name), field.name
    assert getattr(read, "embedding_size", config.hidden_size) == config.embedding_width
    assert family.parse_config(written) == config
    assert head_from_config(written, CORE) == head


def reference_logits(model: ReferenceModel, head: Head, tokens: Any) -> np.ndarray:
    kind = {SpanExtraction: "span", TokenClassification: "token"}.get(type(head), "sequence")
    return model.logits(*tokens, kind)


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu_new"}], ids=["gelu", "gelu_new"])
def test_what_a_family_says_makes_the_reference_equal_transformers(
    family: ModelFamily, head: Head, changes: dict[str, Any], family_model: Callable[..., Any]
) -> None:
    """Logits and gradients in float64: the description is complete, and the reference computes what it says."""
    oracle = oracle_of(family_model, family, head, **changes).double()
    config = family.parse_config(oracle.config.to_dict())
    parameters = {name: value.detach().numpy() for name, value in oracle.named_parameters()}
    model = ReferenceModel(parameters, config)
    generator = np.random.default_rng(3)
    for length in (1, 9, config.max_length):
        input_ids = generator.integers(5, 120, length)
        types = generator.integers(0, 2, length)
        # transformers' tokenizers give RoBERTa no token types, so that they are 0 whatever ours says.
        given = {"token_type_ids": torch.from_numpy(types)[None]} if config.token_types else {}
        outputs = oracle(input_ids=torch.from_numpy(input_ids)[None], **given)
        if isinstance(head, SpanExtraction):
            logits = torch.stack([outputs.start_logits[0], outputs.end_logits[0]], 1)
        else:
            logits = outputs.logits[0]
        np.testing.assert_allclose(
            reference_logits(model, head, (input_ids, types)), logits.detach().numpy(), rtol=0, atol=1e-10
        )
        logits_gradient = torch.from_numpy(generator.normal(size=tuple(logits.shape)))
        oracle.zero_grad()
        logits.backward(logits_gradient)
        expected = {name: value.grad.numpy() for name, value in oracle.named_parameters() if value.grad is not None}
        kind = {"Token": "token", "Quest": "span"}.get(head.architecture[3:8], "sequence")
        actual = model.gradients(input_ids, types, logits_gradient.numpy(), kind)
        assert actual.keys() == expected.keys()
        noise = 1e-13 * np.sqrt(sum((gradient**2).sum() for gradient in expected.values()))
        for name, gradient in expected.items():
            assert np.linalg.norm(actual[name] - gradient) <= 1e-9 * np.linalg.norm(gradient) + noise, name


def test_positions_of_roberta_begin_behind_the_padding_token(registry: Registry) -> None:
    roberta = registry.family("roberta")
    sizes = {**SIZES, "type_vocab_size": 1}
    assert (roberta.parse_config(sizes).pad_token_id, roberta.parse_config(sizes).position_offset) == (1, 2)
    other = roberta.parse_config({**sizes, "pad_token_id": 4})
    assert (other.position_offset, other.max_length) == (5, 11)


def test_an_embedding_of_the_hidden_size_is_not_projected(registry: Registry) -> None:
    electra = registry.family("electra")
    assert electra.parse_config({**SIZES, "embedding_size": 12}).embedding_size is None
    assert electra.parse_config(SIZES).embedding_width == 128, "the default of transformers"
    with pytest.raises(ModelError, match="embedding_size is 0"):
        electra.parse_config({**SIZES, "embedding_size": 0})


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("roberta", "ForMaskedLM"),
        ("xlm-roberta", "ForMaskedLM"),
        ("camembert", "ForMaskedLM"),
        ("electra", "ForPreTraining"),
        ("electra", "ForMaskedLM"),
        ("roberta", "Model"),
        ("electra", "Model"),
    ],
)
def test_pre_trained_weights_are_taken_without_their_head(
    family: str, architecture: str, family_model: Callable[..., Any], registry: Registry, tmp_path: Path
) -> None:
    oracle = family_model(family, architecture)
    oracle.save_pretrained(tmp_path)
    source = open_model(str(tmp_path), registry)
    parameters, report = source.fit(SequenceClassification(("no", "yes")), seed=0)
    assert set(report.initialized) == {f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in KINDS}
    assert all(name.startswith((*PRE_TRAINING, f"{source.family.prefix}pooler.")) for name in report.skipped)
    encoder = oracle if architecture == "Model" else oracle.base_model
    for name in report.loaded:
        value = encoder.get_parameter(name.removeprefix(source.family.prefix)).detach().numpy()
        np.testing.assert_array_equal(parameters[name], value, err_msg=name)


KINDS = ("weight", "bias")
PRE_TRAINING = ("lm_head.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head.")


# Contents of the published files, but for names that say nothing of the model.
CHINESE_BASE = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "type_vocab_size": 2,
    "vocab_size": 21128,
}
BERT_CLASSES = {
    "hfl/chinese-roberta-wwm-ext": {**CHINESE_BASE, "bos_token_id": 0, "eos_token_id": 2, "output_past": True},
    "hfl/chinese-macbert-base": {**CHINESE_BASE, "gradient_checkpointing": False},
}


@pytest.mark.parametrize("name", BERT_CLASSES)
def test_roberta_wwm_and_macbert_are_of_the_family_bert(name: str, registry: Registry) -> None:
    content = BERT_CLASSES[name]
    family = find_family(content, registry, name)
    assert isinstance(family, BertFamily)
    config = family.parse_config(content)
    with torch.device("meta"):
        oracle = transformers.AutoModelForSequenceClassification.from_config(
            transformers.AutoConfig.for_model(**content), dtype=torch.float32
        )
    expected = {key: tuple(value.shape) for key, value in oracle.named_parameters()}
    table = family.parameter_table(config, SequenceClassification(("no", "yes")))
    assert {key: spec.shape for key, spec in table.items()} == expected


# Which family, and for which backend


@dataclasses.dataclass(frozen=True)
class StandIn(ModelFamily):
    """For the backend ``abacus``, every model type that begins with an x."""

    name: str = "stand_in"
    prefix: str = ""
    architecture: str = ""
    backends: tuple[str, ...] | None = ("abacus", "slide_rule")
    any_model_type: bool = True

    def bound(self, config: Any, origin: str = "config.json") -> ModelFamily:
        if not config["model_type"].startswith("x"):
            raise ModelError(f"{origin}: not with an x", "choose another")
        return bound_to(config["model_type"])


def bound_to(model_type: str) -> ModelFamily:
    return ModelFamily(model_type, "", "")


COUNTED = ModelFamily("counted", "", "", backends=("abacus",))


def registry_of(*families: ModelFamily) -> Registry:
    class Plugin:
        @hookimpl
        def bertcore_register_families(self) -> list[ModelFamily]:
            return list(families)

    plugins = Plugins()
    plugins.register(Plugin(), "third_party")
    return Registry(plugins)


def test_a_family_may_stand_in_for_every_other() -> None:
    registry = registry_of(BertFamily(), StandIn())
    assert find_family({"model_type": "x1"}, registry, "a", "abacus") == bound_to("x1")
    assert find_family({"model_type": "x1"}, registry, "a") == bound_to("x1"), "where nothing is computed"
    assert isinstance(find_family({"model_type": "bert"}, registry, "a", "abacus"), BertFamily)
    with pytest.raises(ModelError, match="a: not with an x"):
        find_family({"model_type": "y"}, registry, "a", "abacus")


@pytest.mark.parametrize("model_type", ["x1", "counted"])
def test_a_backend_that_does_not_compute_a_family_is_told_in_one_line(model_type: str) -> None:
    registry = registry_of(BertFamily(), StandIn(), COUNTED, registry_family("electra"))
    with pytest.raises(ModelError) as caught:
        find_family({"model_type": model_type}, registry, "m/config.json", "mindspore")
    assert caught.value.cause == f"m/config.json: model_type is {model_type!r}, and mindspore computes bert, electra"
    assert caught.value.remedy == (
        "use --backend abacus" if model_type == "counted" else "use --backend abacus or slide_rule"
    )


def registry_family(name: str) -> ModelFamily:
    return Registry().family(name)


def test_without_a_stand_in_the_known_families_are_named() -> None:
    with pytest.raises(ModelError) as caught:
        find_family({"model_type": "x1"}, registry_of(BertFamily(), COUNTED), "a")
    assert caught.value.cause == "a: model_type 'x1' is not known"
    assert caught.value.remedy == "known are bert, counted; a plugin can add a family"


# What other programs and old releases write in a config.json.


@pytest.mark.parametrize("name", ["gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"])
def test_other_names_of_an_activation_are_the_function_that_transformers_has_for_them(name: str) -> None:
    from transformers.activations import ACT2FN

    from bertcore.testing.reference import ACTIVATIONS

    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    if name not in ACT2FN:
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    parsed = FAMILY.parse_config({**SIZES, "hidden_act": name}).hidden_act
    found = ACTIVATIONS[parsed][0](x.numpy())
    np.testing.assert_allclose(found, ACT2FN[name](x).numpy(), atol=1e-7)
    other = {"gelu": "gelu_new", "gelu_new": "gelu"}[parsed]
    assert not np.allclose(ACTIVATIONS[other][0](x.numpy()), found, atol=1e-5)


def test_an_activation_that_computes_something_else_is_refused() -> None:
    for name in ("quick_gelu", "gelu_10", "silu", ["gelu"]):
        with pytest.raises(ModelError, match="is not supported"):
            FAMILY.parse_config({**SIZES, "hidden_act": name})


def old_model(folder: Path, model_class: Any, **changes: Any) -> Path:
    """A model of transformers with changes of its config.json; None takes an entry away."""
    model_class(model_class.config_class(**{**SIZES, "pad_token_id": 1})).save_pretrained(folder)
    content = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return folder


@pytest.mark.parametrize(
    ("model_class", "family"),
    [
        (transformers.BertForMaskedLM, "bert"),
        (transformers.BertModel, "bert"),
        (transformers.RobertaForMaskedLM, "roberta"),
        (transformers.XLMRobertaForMaskedLM, "xlm-roberta"),
        (transformers.CamembertModel, "camembert"),
        (transformers.ElectraForPreTraining, "electra"),
    ],
)
def test_a_config_without_model_type_has_the_family_of_its_architecture(
    tmp_path: Path, model_class: Any, family: str
) -> None:
    """As bert-base-chinese and the models of HFL had it in 2019."""
    registry = Registry()
    folder = old_model(tmp_path / "old", model_class, model_type=None)
    assert open_model(str(folder), registry).family.name == family
    report = convert(folder, tmp_path / "out", registry=registry)
    assert report.counts["skipped"] == 0
    assert transformers.AutoConfig.from_pretrained(tmp_path / "out").model_type == family


def test_a_config_with_an_unknown_architecture_alone_names_it(tmp_path: Path) -> None:
    folder = old_model(tmp_path / "old", transformers.BertModel, model_type=None, architectures=["BertweetTagger"])
    with pytest.raises(ModelError, match="no model_type, and no family has the architecture BertweetTagger"):
        open_model(str(folder), Registry())
    old_model(tmp_path / "older", transformers.BertModel, model_type=None, architectures=None)
    with pytest.raises(ModelError, match="no model_type") as caught:
        open_model(str(tmp_path / "older"), Registry())
    assert '"model_type": "bert"' in caught.value.remedy


# What stands before a head is a trait of the family and of the head.


def test_dropout_behind_the_summary_of_electra_is_its_own(registry: Registry) -> None:
    family = registry.family("electra")
    stated = {**SIZES, "classifier_dropout": 0.3, "summary_last_dropout": 0.05}
    config = family.parse_config(stated)
    assert family.config_for(config, SequenceClassification(("a", "b"))).head_dropout_prob == 0.3
    assert family.config_for(config, MultipleChoice()).head_dropout_prob == 0.05
    assert family.parse_config(family.config_json(config, MultipleChoice())) == config
    default = family.parse_config(SIZES)
    assert (
        family.config_for(default, MultipleChoice()).head_dropout_prob
        == transformers.ElectraConfig().summary_last_dropout
    )
