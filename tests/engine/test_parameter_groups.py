"""Which learning rate and decay each parameter gets: rules, layer-wise decay, freezing, in every family."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.config import ParameterRule, TrainConfig
from bertcore.contracts.backend import ParameterGroup
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import ParameterSpec
from bertcore.engine.model_parts import parts_of
from bertcore.engine.parameter_groups import describe_groups, parameter_groups
from bertcore.errors import ConfigError
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.plugins.registry import Registry

HEAD = SequenceClassification(("a", "b"))
LAYERS = 3
SIZES = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
RATE, HEAD_RATE, DECAY = 1e-3, 1e-2, 0.1
Model = tuple[dict[str, ParameterSpec], str]


def model_of(kind: str, head: Head = HEAD, **config: Any) -> Model:
    """The table of a model with three layers, and the prefix of its encoder."""
    registry, config = Registry(), {"model_type": kind, **SIZES, **config}
    family = registry.family(kind if kind in registry.families else "auto").bound(config)
    parsed = family.parse_config(config)
    return family.parameter_table(parsed, head), parsed.prefix


def groups_of(model: Model, head: Head = HEAD, **options: Any) -> tuple[ParameterGroup, ...]:
    common = {"learning_rate": RATE, "head_learning_rate": HEAD_RATE, "weight_decay": DECAY}
    return parameter_groups(TrainConfig(**{**common, **options}), *model, head)


def members_of(groups: Sequence[ParameterGroup], table: Mapping[str, Any]) -> dict[str, ParameterGroup]:
    """The only group whose pattern matches each name."""
    found = {name: [group for group in groups if re.search(group.pattern, name)] for name in table}
    assert {name: len(matching) for name, matching in found.items() if len(matching) != 1} == {}
    return {name: matching[0] for name, matching in found.items()}


def is_spared(name: str) -> bool:
    return name.endswith((".bias", "norm.weight", "Norm.weight"))


# Without rules


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_without_rules_there_are_encoder_and_head_with_and_without_decay(kind: str) -> None:
    table, prefix = model = model_of(kind)
    groups = groups_of(model)
    assert [group.name for group in groups] == ["encoder, no decay", "encoder", "head, no decay", "head"]
    for name, group in members_of(groups, table).items():
        rate = RATE if name.startswith(prefix) else HEAD_RATE
        assert (group.learning_rate, group.weight_decay) == (rate, 0.0 if is_spared(name) else DECAY), name


def test_a_head_may_ask_for_rates_of_its_own() -> None:
    head = TokenClassification(("O", "B-X", "I-X"), crf=True, crf_learning_rate=0.5)
    members = members_of(groups_of(model_of("bert", head), head), model_of("bert", head)[0])
    of_crf = {name for name in members if name.startswith("crf.")}
    assert len(of_crf) == 3
    assert {(members[name].learning_rate, members[name].weight_decay) for name in of_crf} == {(0.5, 0.0)}
    assert members["classifier.weight"].learning_rate == HEAD_RATE


# Layer-wise decay


def electra_rates(learning_rate: float, layer_decay: float, n_layers: int) -> dict[str, float]:
    """``_get_layer_lrs`` of google-research/electra, with the names that its models have as files of Hugging Face."""
    depths = {".embeddings.": 0, ".embeddings_project.": 0, "classifier.": n_layers + 2}
    depths |= {f".encoder.layer.{layer}.": layer + 1 for layer in range(n_layers)}
    return {key: learning_rate * layer_decay ** (n_layers + 2 - depth) for key, depth in depths.items()}


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "xlm-roberta"])
def test_layer_decay_is_that_of_electra(kind: str) -> None:
    table, _ = model = model_of(kind, **({"embedding_size": 8} if kind == "electra" else {}))
    expected = electra_rates(RATE, 0.8, LAYERS)
    for name, group in members_of(groups_of(model, head_learning_rate=None, layer_decay=0.8), table).items():
        if ".pooler." in name:  # ELECTRA has none; it stands between the last layer and the head
            assert group.learning_rate == pytest.approx(RATE * 0.8)
        else:
            (rate,) = {rate for key, rate in expected.items() if key in name}
            assert group.learning_rate == pytest.approx(rate, rel=1e-12), name
        assert group.weight_decay == (0.0 if is_spared(name) else DECAY)


def test_the_first_group_is_the_highest_of_the_encoder_which_the_log_shows() -> None:
    groups = groups_of(model_of("bert"), layer_decay=0.9, freeze="embeddings")
    order = list(dict.fromkeys(group.name.removesuffix(", no decay") for group in groups))
    assert order == ["pooler", "layers.2", "layers.1", "layers.0", "head", "frozen"]


FOREIGN = {
    "distilbert": ({"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}, "transformer.layer.1.ffn.lin1.bias"),
    "deberta-v2": ({"relative_attention": True, "pos_att_type": "p2c|c2p"}, "encoder.layer.1.output.dense.bias"),
    "xlm": ({"emb_dim": 16, "n_layers": 3, "n_heads": 2, "n_words": 100, "pad_index": 0}, "ffns.1.lin1.bias"),
    "mpnet": ({}, "encoder.layer.1.output.dense.bias"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_layers_of_a_foreign_encoder_are_found_by_their_numbers(kind: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    config, name = FOREIGN[kind]
    table, prefix = model_of(kind, **config)
    parts = parts_of(table, prefix)
    assert parts.layers == LAYERS
    assert parts.part_of[prefix + name] == "layers.1"
    for name, part in parts.part_of.items():
        number = re.search(r"\.(\d+)\.", name)
        if number is not None:
            assert part == f"layers.{number[1]}", name
        elif not name.startswith(prefix):
            assert part == "head", name
        else:
            assert part == ("pooler" if "pooler" in name else "embeddings" if "embed" in name else part), name
    if kind == "deberta-v2":  # every layer reads them
        assert parts.part_of["deberta.encoder.rel_embeddings.weight"] == "embeddings"


def test_layers_with_the_same_weights_are_one_layer() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    model = model_of("albert", embedding_size=8)
    assert parts_of(*model).layers == 1
    with pytest.raises(ConfigError, match="the one layer 0") as caught:
        groups_of(model, freeze="layers.0-2")
    assert "layers.0" in caught.value.remedy


# Rules


def test_the_first_match_counts_and_rules_come_before_freezing() -> None:
    table, _ = model = model_of("bert")
    rules = [
        {"pattern": r"query\.bias$", "frozen": True},
        {"pattern": "bias$", "factor": 2.0},
        {"pattern": "layers.1-2, pooler", "learning_rate": 0.5, "weight_decay": 0.7},
    ]
    members = members_of(groups_of(model, parameters=rules, freeze="encoder", layer_decay=0.5), table)
    for name, group in members.items():
        layer = re.search(r"layer\.(\d)", name)
        depth = 0 if "embeddings" in name else 4 if "pooler" in name else 5 if layer is None else int(layer[1]) + 1
        ordinary = HEAD_RATE if depth == 5 else RATE * 0.5 ** (5 - depth)
        if name.endswith("query.bias"):
            expected = (0.0, 0.0)
        elif name.endswith("bias"):
            expected = (2 * ordinary, 0.0)
        elif 2 <= depth <= 4:
            expected = (0.5, 0.0 if is_spared(name) else 0.7)
        else:
            expected = (0.0, 0.0) if depth == 0 or depth == 1 else (HEAD_RATE, DECAY)
        assert (group.learning_rate, group.weight_decay) == pytest.approx(expected), name


PATTERNS = ["embeddings", "encoder", "pooler", "head", "layers.0", "layers.1-2", "layers.0-2,head"]
EXPRESSIONS = ["bias$", r"query", r"layer\.[01]\.", "LayerNorm", "."]
CHANGES = st.sampled_from(
    [{"frozen": True}, {"factor": 0.0}, {"factor": 3.0}, {"learning_rate": 0.25}, {"weight_decay": 0.5}, {}]
)
RULES = st.lists(
    st.builds(lambda pattern, change: {"pattern": pattern, **change}, st.sampled_from(PATTERNS + EXPRESSIONS), CHANGES),
    max_size=4,
)


@given(
    rules=RULES,
    freeze=st.none() | st.sampled_from(PATTERNS),
    layer_decay=st.none() | st.just(0.5),
    head_rate=st.none() | st.just(0.125),
)
def test_every_parameter_is_in_one_group_and_every_name_is_one_group_s(
    rules: list[dict[str, Any]], freeze: str | None, layer_decay: float | None, head_rate: float | None
) -> None:
    table, _ = BERT
    options = {"parameters": rules, "freeze": freeze, "layer_decay": layer_decay, "head_learning_rate": head_rate}
    patterns = [rule["pattern"] for rule in rules] + [freeze] * (freeze is not None)
    firsts = {next((index for index, pattern in enumerate(patterns) if matches(pattern, name)), None) for name in table}
    if not set(range(len(patterns))) <= firsts:
        with pytest.raises(ConfigError, match="earlier rules match all"):
            groups_of(BERT, **options)
        return
    groups = groups_of(BERT, **options)
    assert len({group.name for group in groups}) == len(groups)
    members = members_of(groups, table)
    assert set(members.values()) == set(groups), "no group is empty"
    lines = list(describe_groups(groups, table))
    sizes = [int(re.search(r"([\d,]+) parameters", line)[1].replace(",", "")) for line in lines]  # type: ignore[index]
    assert sum(sizes) == sum(math.prod(spec.shape) for spec in table.values())
    for name, group in members.items():
        first = next((rule for rule in rules if matches(rule["pattern"], name)), None)
        by_freeze = freeze is not None and matches(freeze, name)
        is_frozen = by_freeze if first is None else ParameterRule(**first).freezes
        assert (group.learning_rate == 0) == is_frozen, name
        if not is_frozen and first is not None and "learning_rate" in first:
            assert group.learning_rate == first["learning_rate"]


BERT = model_of("bert")


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of the property above matches, by what BERT's names are."""
    if pattern in EXPRESSIONS:
        return re.search(pattern, name) is not None
    words = {
        "embeddings": "bert.embeddings.",
        "encoder": "bert.",
        "pooler": "bert.pooler.",
        "head": "classifier.",
        "layers.0": "bert.encoder.layer.0.",
        "layers.1-2": ("bert.encoder.layer.1.", "bert.encoder.layer.2."),
        "layers.0-2": "bert.encoder.layer.",
    }
    return any(name.startswith(words[word]) for word in pattern.split(","))


@pytest.mark.parametrize("word", ["bert.embeddings", "bert.encoder.layer.1", "bert.pooler.dense.bias"])
def test_modules_are_frozen_by_their_names_in_transformers(word: str) -> None:
    members = members_of(groups_of(BERT, freeze=word), BERT[0])
    frozen = {name for name, group in members.items() if group.learning_rate == 0.0}
    assert frozen == {name for name in BERT[0] if name == word or name.startswith(f"{word}.")} != set()


def test_parts_may_be_given_as_a_list() -> None:
    expected = groups_of(BERT, freeze="embeddings,layers.0")
    assert groups_of(BERT, freeze=["embeddings", "layers.0"]) == expected
    assert groups_of(BERT, freeze='["embeddings", "layers.0"]') == expected, "as --set has it"


# What matches nothing


@pytest.mark.parametrize(
    ("options", "cause", "remedy"),
    [
        ({"freeze": "layers.0-50"}, "'layers.0-50' of train.freeze matches no", "'layers.0-2'"),
        ({"freeze": "layers.3"}, "the layers 0 to 2", "'layers."),
        ({"freeze": "embeddings, embedings"}, "'embedings' of train.freeze", "'embeddings'"),
        ({"freeze": ""}, "'' of train.freeze", "embeddings"),
        ({"parameters": [{"pattern": "pooler"}, {"pattern": "hed"}]}, "'hed' of train.parameters[1]", "'head'"),
        (
            {"parameters": [{"pattern": r"bert\.encoder\.layr\.0"}]},
            "of train.parameters[0] matches no",
            "'bert.encoder.layer.0.",
        ),
        ({"parameters": [{"pattern": "."}, {"pattern": "head"}]}, "train.parameters[1] changes nothing", "in front"),
        ({"parameters": [{"pattern": "encoder"}], "freeze": "pooler"}, "train.freeze changes nothing", "in front"),
    ],
)
def test_a_rule_that_matches_nothing_is_refused_with_the_nearest_name(
    options: dict[str, Any], cause: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        groups_of(BERT, **options)
    assert caught.value.code == "parameters-missing"
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy


def test_what_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'pooler' of train\.freeze matches no parameter") as caught:
        groups_of(model_of("electra"), freeze="pooler")
    assert caught.value.remedy == "it has embeddings, head, encoder"


@pytest.mark.parametrize(
    "rule", [{"pattern": "("}, {"pattern": ""}, {"pattern": "head", "factor": 2, "frozen": True}, {"pattrn": "head"}]
)
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        TrainConfig(parameters=[rule])
