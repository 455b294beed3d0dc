"""What becomes of names that a model does not have: wrappers around it, copies of it, a script's own layers.

The oracle is the model before it was wrapped, written and read with stock safetensors, torch and transformers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from bertcore import api, convert
from bertcore.api import ConversionReport
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError
from bertcore.families.bert import BertFamily
from bertcore.families.electra import ElectraFamily
from bertcore.families.roberta import RobertaFamily
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.formats.torch_file import write_torch_file
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.mindformers import MindFormersConverter
from bertcore.weights.opening import open_model

Tensors = dict[str, np.ndarray[Any, Any]]
TEXTS = SequenceClassification(("no", "yes", "maybe"))
TAGS = TokenClassification(("O", "B-X", "I-X"), crf=True)
CORE = (Regression, SequenceClassification, SpanExtraction, TokenClassification)
SIZES: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
    "pad_token_id": 1,
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model(family: ModelFamily, head: Head) -> tuple[Tensors, dict[str, Any]]:
    """Random weights under canonical names, and their config."""
    config_json = family.config_json(BertConfig(**SIZES), head)
    generator = np.random.default_rng(8)
    table = family.parameter_table(family.parse_config(config_json), head)
    return {name: generator.normal(size=spec.shape).astype("f4") for name, spec in table.items()}, config_json


def write(path: Path, tensors: Tensors, config_json: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("config.json").write_text(json.dumps(config_json), encoding="utf-8")
    if path.suffix == ".safetensors":
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    elif path.suffix == ".ckpt":
        write_ckpt(path, tensors)
    else:
        write_torch_file(path, tensors)
    return path


def assert_equal(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def strangers_of(report: ConversionReport) -> str:
    """The note that names what no model has."""
    (note,) = [note for note in report.notes if note.startswith("left out, as no")]
    return note


# Wrappers.

WRAPPERS = st.lists(
    st.sampled_from(["_orig_mod.", "module.", "model.", "net.", "_forward_module.", "0."]), max_size=3
).map("".join)
NAMES = st.sampled_from(["encoder.", "student.", "backbone.", "bert_model.", "bert.", "text_encoder.auto_model."])
OWN_LAYERS: Tensors = {
    "lstm.weight_ih_l0": np.ones((6, 8), "f4"),
    "lstm.weight_hh_l0": np.ones((6, 2), "f4"),
    "lstm.bias_ih_l0": np.ones(6, "f4"),
    "fc.weight": np.ones((3, 8), "f4"),
    "loss_weights": np.ones(3, "f4"),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    family=st.sampled_from([BertFamily(), RobertaFamily(), ElectraFamily()]),
    head=st.sampled_from([TEXTS, TAGS]),
    wrapper=WRAPPERS,
    renamed=st.one_of(st.none(), NAMES),
    copies=st.lists(st.sampled_from(["accu_grads.", "moment1.", "exp_avg.", "ema.", "grads.x."]), unique=True),
    own=st.booleans(),
    suffix=st.sampled_from([".safetensors", ".ckpt", ".pt"]),
)
def test_the_encoder_is_found_behind_any_wrapper_and_nothing_else_is_written(
    registry: Registry,
    tmp_path: Path,
    family: ModelFamily,
    head: Head,
    wrapper: str,
    renamed: str | None,
    copies: list[str],
    own: bool,
    suffix: str,
) -> None:
    shutil.rmtree(tmp_path)
    tensors, config_json = model(family, head)
    prefix = family.prefix if renamed is None else renamed
    wrapped = {
        wrapper + (prefix + name.removeprefix(family.prefix) if name.startswith(family.prefix) else name): tensor
        for name, tensor in tensors.items()
    }
    strangers = {f"{copy}{name}": tensor * 0 + 0.5 for copy in copies for name, tensor in wrapped.items()}
    strangers["accu_loss"] = np.array([0.5], "f4")
    if own:
        strangers |= {wrapper + name: tensor for name, tensor in OWN_LAYERS.items()}
    source = write(tmp_path / f"in/weights{suffix}", {**strangers, **wrapped}, config_json)

    report = convert(source, tmp_path / "out", registry=registry, verify=True)
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), tensors)
    assert {key.source for key in report.keys if key.target is None} == strangers.keys()
    listed = [note for note in report.notes if note.startswith("left out, as no")]
    assert len(listed) == own
    assert all(part in note for note in listed for part in ("lstm.* (3 tensors)", "fc.weight", "loss_weights"))
    if not own:
        parameters, fit = open_model(str(source), registry).fit(head, seed=0)
        assert_equal(dict(parameters), tensors)
        assert fit.skipped.keys() == strangers.keys()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_torch_saves_of_a_compiled_model_is_what_transformers_reads_without_the_prefix(
    registry: Registry, tmp_path: Path, prefix: str
) -> None:
    import torch
    from transformers import BertConfig as Config
    from transformers import BertForSequenceClassification as Model

    network = Model(Config(**SIZES, num_labels=3)).eval()
    network.save_pretrained(tmp_path / "plain")
    (tmp_path / "compiled").mkdir()
    shutil.copy(tmp_path / "plain" / "config.json", tmp_path / "compiled")
    state = torch.compile(network).state_dict() if prefix == "_orig_mod." else network.state_dict()
    state = {prefix + name.removeprefix("_orig_mod."): tensor for name, tensor in state.items()}
    torch.save(state, tmp_path / "compiled" / "pytorch_model.bin")
    report = convert(tmp_path / "compiled", tmp_path / "out", registry=registry, verify=True)
    assert report.notes == (f"{tmp_path}/compiled: the encoder's names begin with {prefix}bert.",)
    ids = torch.arange(2, 12)[None]
    with torch.no_grad():
        logits = [Model.from_pretrained(tmp_path / name).eval()(ids).logits for name in ("plain", "out")]
    assert logits[0].equal(logits[1])


@pytest.mark.parametrize(("first", "second"), [("student.", "teacher."), ("bert.", "teacher.bert_model.")])
def test_two_encoders_are_refused_by_their_prefixes(
    registry: Registry, tmp_path: Path, first: str, second: str
) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    both = {prefix + name.removeprefix("bert."): tensors[name] for prefix in (first, second) for name in tensors}
    source = write(tmp_path / "two.safetensors", both, config_json)
    for use in (
        lambda: convert(source, tmp_path / "out", registry=registry),
        lambda: open_model(str(source), registry),
    ):
        with pytest.raises(ModelError, match=f"holds 2 encoders: {first}, {second}") as caught:
            use()
        assert "save the one that is meant" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_shared_part_under_a_second_name_is_its_copy_and_a_head_beside_it_is_named(
    registry: Registry, tmp_path: Path
) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    twice = {**tensors, **{f"scorer.{name}": tensor for name, tensor in tensors.items() if "classifier" not in name}}
    twice["scorer.out.weight"] = np.ones((2, 8), "f4")
    report = convert(write(tmp_path / "x.pt", twice, config_json), tmp_path / "out", registry=registry)
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), tensors)
    assert "scorer.out.weight" in strangers_of(report)
    actions = {key.source: key.action for key in report.keys if key.target is None}
    assert "a copy of the model under scorer" in actions["scorer.bert.pooler.dense.bias"]


def test_matrices_of_zeros_are_said_to_be(registry: Registry, tmp_path: Path) -> None:
    """As a program leaves them that reserves the space of a download; not a model without segments, and no bias."""
    tensors, config_json = model(BertFamily(), TEXTS)
    tensors["bert.embeddings.token_type_embeddings.weight"] *= 0
    tensors["bert.pooler.dense.bias"] *= 0
    tensors["bert.embeddings.word_embeddings.weight"][[0, -1]] = 0
    source = write(tmp_path / "x.safetensors", tensors, config_json)
    assert open_model(str(source), registry).weights.notes == ()
    for layer in (0, 1):
        tensors[f"bert.encoder.layer.{layer}.output.dense.weight"] *= 0
    notes = open_model(str(write(source, tensors, config_json)), registry).weights.notes
    assert "2 matrices of the encoder hold nothing but zeros, as bert.encoder.layer." in notes[0]


# A script's own layers.


def test_own_layers_are_kept_on_request_with_every_bit(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(BertFamily(), TAGS)
    state = {f"moment1.{name}": tensor * 0 + 0.25 for name, tensor in tensors.items()}
    state |= {"global_step": np.array([7], "i4"), "learning_rate": np.array(0.5, "f4"), **OWN_LAYERS}
    source = write(tmp_path / "in" / "bert.ckpt", {**state, **tensors}, config_json)
    for destination in ("out", "out.ckpt", "out.pt"):
        report = api.convert(source, tmp_path / destination, keep_unknown=True, verify=True, registry=registry)
        assert report.counts["skipped"] == 0
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), {**state, **tensors})
    assert_equal(read_ckpt(tmp_path / "out.ckpt"), {**state, **tensors})


@pytest.mark.parametrize("layout", ["mindformers", "bert4torch"])
def test_other_layouts_leave_out_and_keep_the_same(registry: Registry, tmp_path: Path, layout: str) -> None:
    tensors, config_json = model(BertFamily(), SequenceClassification(("a", "b")))
    write(tmp_path / "in" / "model.safetensors", tensors, config_json)
    file = tmp_path / "in" / "there.safetensors"
    convert(tmp_path / "in", file, registry=registry, to_name=layout)
    stored = load_file(file)
    strangers = {f"accu_grads.{name}": tensor * 0 for name, tensor in stored.items()}
    strangers |= {"accu_loss": np.array([1], "f4"), **{name: OWN_LAYERS[name] for name in list(OWN_LAYERS)[:3]}}
    save_file({f"net.{name}": tensor for name, tensor in {**strangers, **stored}.items()}, file)
    report = convert(file, tmp_path / "out", registry=registry, verify=True)
    assert report.from_name == layout
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), tensors)
    assert report.counts["skipped"] == len(strangers)
    assert "lstm.* (3 tensors)" in strangers_of(report)
    convert(file, tmp_path / "all", registry=registry, verify=True, keep_unknown=True)
    assert len(load_file(tmp_path / "all" / "model.safetensors")) == len(stored) + len(strangers)


def test_a_head_of_another_width_is_no_head_of_the_model(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    wide = {**tensors, "classifier.weight": np.ones((3, 24), "f4")}
    report = convert(write(tmp_path / "x.pt", wide, config_json), tmp_path / "out", registry=registry)
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert_equal(found, {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")})
    assert "classifier.weight, classifier.bias" in strangers_of(report)


def test_a_head_that_is_kept_beside_layers_that_are_not_is_said_to_be(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    source = write(tmp_path / "x.pt", {**tensors, **OWN_LAYERS}, config_json)
    report = convert(source, tmp_path / "out", registry=registry)
    assert any(note.startswith("classifier.weight, classifier.bias may have read") for note in report.notes)
    encoder = {name: tensor for name, tensor in tensors.items() if name.startswith("bert.")}
    encoder["cls.seq_relationship.bias"] = np.ones(2, "f4")
    report = convert(
        write(tmp_path / "y.pt", {**encoder, **OWN_LAYERS}, config_json), tmp_path / "other", registry=registry
    )
    assert not any("may have read" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("cls.predictions.transform.LayerNorm.bias", True),
        ("cls.seq_relationship.weight", True),
        ("cls.weight", False),
        ("cls.predictions.extra.weight", False),
        ("lm_head.dense.weight", False),  # of RoBERTa
        ("classifier.dense.weight", False),  # of RoBERTa and ELECTRA
        ("classifier.0.weight", False),
        ("pooler.weight", False),
    ],
)
def test_heads_are_those_that_transformers_has_for_the_family(name: str, known: bool) -> None:
    assert BertFamily().has_in_head(name, CORE) is known


def test_the_heads_of_every_class_of_transformers_are_known() -> None:
    import transformers

    families = {"Bert": BertFamily(), "Roberta": RobertaFamily(), "Electra": ElectraFamily()}
    kinds = ("PreTraining", "MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering")
    for stem, family in families.items():
        config = getattr(transformers, f"{stem}Config")(**SIZES)
        for kind in (*kinds, "MultipleChoice", "NextSentencePrediction"):
            network = getattr(transformers, f"{stem}For{kind}", None)
            names = network(config).state_dict() if network else {}
            odd = [name for name in names if not name.startswith(family.prefix) and not family.has_in_head(name, CORE)]
            assert not odd, (stem, kind)


def test_an_encoder_of_transformers_alone_is_treated_alike(registry: Registry, tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    network = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=30, dim=8, n_heads=2, hidden_dim=8))
    network.save_pretrained(tmp_path / "plain")
    expected = load_file(tmp_path / "plain" / "model.safetensors")
    wrapped = {f"model.{name}": tensor for name, tensor in {**expected, **OWN_LAYERS}.items()}
    wrapped |= {f"ema.{name}": tensor for name, tensor in wrapped.items() if "distilbert" in name}
    config_json = json.loads((tmp_path / "plain" / "config.json").read_text())
    report = convert(
        write(tmp_path / "in" / "model.safetensors", wrapped, config_json), tmp_path / "out", registry=registry
    )
    assert_equal(load_file(tmp_path / "out" / "model.safetensors"), expected)
    assert "as no DistilBert model has them: fc.weight, loss_weights, lstm.* (3 tensors)" in strangers_of(report)


@pytest.mark.parametrize("model_type", ["Albert", "DistilBert", "DebertaV2"])
def test_an_encoder_of_no_known_names_asks_for_its_config(registry: Registry, tmp_path: Path, model_type: str) -> None:
    """Without a config, what is left out could not be told from what the model needs."""
    import transformers

    config = getattr(transformers, f"{model_type}Config")(vocab_size=30, hidden_size=8, num_attention_heads=2)
    network = getattr(transformers, f"{model_type}Model")(config)
    network.save_pretrained(tmp_path / "in")
    (tmp_path / "in" / "config.json").unlink()
    with pytest.raises(ModelError, match="--config FILE"):
        convert(tmp_path / "in" / "model.safetensors", tmp_path / "out.pt", registry=registry)
    assert not (tmp_path / "out.pt").exists()


def test_the_command_lists_what_it_left_out(bertcore_command: Callable[..., Any], tmp_path: Path) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    stored = {**tensors, **{f"accu_grads.{name}": tensor for name, tensor in tensors.items()}, **OWN_LAYERS}
    source = write(tmp_path / "in" / "bert.ckpt", stored, config_json)
    found = bertcore_command("convert", source, tmp_path / "out", "--verify")
    assert found.code == 0
    lines = found.out.splitlines()
    assert "left out, as no Bert model has them: lstm.* (3 tensors), fc.weight, loss_weights; --keep" in found.out
    assert lines[-2].endswith(f"{len(stored)} read, {len(tensors)} written, {len(stored) - len(tensors)} skipped")
    found = bertcore_command("convert", source, tmp_path / "all", "--keep-unknown")
    assert found.out.splitlines()[-1].endswith(f"{len(stored)} written, 0 skipped")


def test_mindformers_keeps_refusing_what_is_inside_its_encoder(registry: Registry, tmp_path: Path) -> None:
    tensors, config_json = model(BertFamily(), TEXTS)
    write(tmp_path / "in" / "model.safetensors", tensors, config_json)
    convert(tmp_path / "in", tmp_path / "x.ckpt", registry=registry, to_name="mindformers")
    odd = {**read_ckpt(tmp_path / "x.ckpt"), "bert.bert_encoder.encoder.blocks.0.adapter.weight": np.ones(3, "f4")}
    write_ckpt(tmp_path / "x.ckpt", odd)
    with pytest.raises(ModelError, match=r"knows bert\.bert_encoder\.encoder\.blocks\.0\.adapter\.weight"):
        MindFormersConverter().read(tmp_path / "x.ckpt")
