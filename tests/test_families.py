"""Model families with transformers as the oracle of names, shapes and config.json."""

from __future__ import annotations

import dataclasses
import json

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.errors import ModelError
from bertcore.families import BertConfig, BertFamily, ModelFamily, head_from_config
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification

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
    assert head_from_config(written) == head


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
        ({"num_attention_heads": 5}, "no multiple of num_attention_heads"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small'"),
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
    class Shifted(ModelFamily):
        name = "shifted"
        prefix = "shifted."
        architecture = "Shifted"
        position_offset = 2

    family = Shifted()
    config = family.parse_config(SIZES)
    assert (config.family, config.prefix, config.position_offset) == ("shifted", "shifted.", 2)
    assert config.max_length == SIZES["max_position_embeddings"] - 2
    own = [name.removeprefix("shifted.") for name in family.parameter_table(config, Regression())]
    bert = [name.removeprefix("bert.") for name in FAMILY.parameter_table(FAMILY.parse_config(SIZES), Regression())]
    assert own == bert
    assert family.config_json(config, Regression())["architectures"] == ["ShiftedForSequenceClassification"]


def test_a_config_without_a_fine_tuned_head_is_refused():
    with pytest.raises(ModelError, match="names no fine-tuned head"):
        head_from_config({"architectures": ["BertForMaskedLM"]})
    with pytest.raises(ModelError, match="names no fine-tuned head"):
        head_from_config({})


def test_labels_must_be_numbered_from_zero():
    with pytest.raises(ModelError, match="id2label has no label"):
        head_from_config({"architectures": ["BertForSequenceClassification"], "id2label": {"1": "a", "2": "b"}})


def test_labels_that_transformers_leaves_out_are_its_default():
    config = transformers.BertConfig(**SIZES, num_labels=2, architectures=["BertForSequenceClassification"])
    written = json.loads(config.to_json_string())
    assert "id2label" not in written
    assert head_from_config(written) == SequenceClassification(("LABEL_0", "LABEL_1"))


def test_the_dropout_of_the_head_is_its_own_or_the_hidden_one():
    config = FAMILY.parse_config({**SIZES, "hidden_dropout_prob": 0.2})
    assert config.head_dropout_prob == 0.2
    assert dataclasses.replace(config, classifier_dropout=0.0).head_dropout_prob == 0.0
