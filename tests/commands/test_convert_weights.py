from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcore import convert
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import WeightSet
from bertcore.contracts.parameters import initial_value
from bertcore.errors import ModelError, OutputError, UsageError
from bertcore.families.bert import BertFamily
from bertcore.formats.mindspore_ckpt import read_ckpt
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry
from bertcore.weights.converters.huggingface import HuggingFaceConverter
from bertcore.weights.converters.mindspore_ckpt import MindSporeCheckpointConverter
from bertcore.weights.opening import open_model

CONVERTER = HuggingFaceConverter()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def assert_equal(found: Any, expected: Any) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_every_converter_is_a_plugin_of_its_own_name(registry: Registry) -> None:
    """So that ``-p no:NAME`` switches off the one and nothing else."""
    known = registry.converters
    assert {name: entry.record.name for name, entry in known.items()} == {name: name for name in known}
    assert set(Registry(blocked=["mindformers_0_1"]).converters) == set(known) - {"mindformers_0_1"}


@pytest.mark.parametrize("model", ["minilm", "tiny_en", "chinese_l12"])
def test_a_real_model_goes_to_mindspore_and_back(
    request: pytest.FixtureRequest, registry: Registry, tmp_path: Path, model: str
) -> None:
    folder: Path = request.getfixturevalue(model)
    there = convert(folder, tmp_path / "model.ckpt", registry=registry)
    assert [file.name for file in tmp_path.iterdir()] == ["model.ckpt"]
    assert (there.from_name, there.to_name, there.files) == ("huggingface", "mindspore_ckpt", ("model.ckpt",))
    original = CONVERTER.read(folder)
    assert {key.source for key in there.keys} == {entry.source for entry in original.report}
    assert {key.target for key in there.keys} == set(read_ckpt(tmp_path / "model.ckpt"))
    assert there.counts == {"read": len(original.tensors), "written": len(original.tensors), "skipped": 0}

    back = convert(tmp_path / "model.ckpt", tmp_path / "back", registry=registry, config=folder / "config.json")
    assert {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"} <= set(back.files)
    first, second = open_model(str(folder), registry), open_model(str(tmp_path / "back"), registry)
    assert_equal(second.weights.tensors, first.weights.tensors)
    assert second.config == first.config
    assert second.tokenizer().fingerprint == first.tokenizer().fingerprint


def test_transformers_opens_what_came_back_with_the_same_output(
    minilm: Path, registry: Registry, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModel

    convert(minilm, tmp_path / "model.ckpt", registry=registry)
    convert(tmp_path / "model.ckpt", tmp_path / "back", registry=registry, config=minilm / "config.json")
    ids = torch.tensor([[101, 2009, 2003, 9432, 102]])
    with torch.no_grad():
        outputs = [
            AutoModel.from_pretrained(folder).eval()(ids).last_hidden_state for folder in (minilm, tmp_path / "back")
        ]
    assert outputs[0].equal(outputs[1])


CONFIGS = st.builds(
    lambda heads, width, **sizes: BertConfig(hidden_size=heads * width, num_attention_heads=heads, **sizes),
    heads=st.integers(1, 3),
    width=st.integers(1, 4),
    vocab_size=st.integers(1, 20),
    num_hidden_layers=st.integers(1, 12),
    intermediate_size=st.integers(1, 9),
    max_position_embeddings=st.integers(1, 9),
    type_vocab_size=st.integers(1, 3),
)
HEADS = st.one_of(
    st.builds(SequenceClassification, st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True).map(tuple)),
    st.just(TokenClassification(("O", "B", "I"), crf=True)),
    st.just(Regression()),
    st.just(SpanExtraction()),
)


MIDDLES = [
    ("mindspore_ckpt", "weights.ckpt"),
    ("huggingface", "weights.pt"),
    ("bert4torch", "best_model.pt"),
    ("bert4torch_0_3", "weights.safetensors"),
    ("mindformers", "weights.ckpt"),
    ("mindformers", "weights.safetensors"),
    ("mindformers_0_1", "weights.ckpt"),
    ("mindspore_zoo", "weights.ckpt"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    config=CONFIGS,
    head=HEADS,
    number_type=st.sampled_from(["float32", "float16", "float64"]),
    prefixed=st.booleans(),
    old_names=st.booleans(),
    suffix=st.sampled_from([".safetensors", ".bin", ".pt", ""]),
    middle=st.sampled_from(MIDDLES),
)
def test_there_and_back_is_the_identity(
    registry: Registry,
    tmp_path: Path,
    config: BertConfig,
    head: Any,
    number_type: str,
    prefixed: bool,
    old_names: bool,
    suffix: str,
    middle: tuple[str, str],
) -> None:
    family = BertFamily()
    canonical = {
        name: initial_value(name, spec, 0.02, 0).astype(number_type)
        for name, spec in family.parameter_table(config, head).items()
    }
    stored = {}
    for name, array in canonical.items():
        if old_names and ".LayerNorm." in name:
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        stored[name if prefixed else name.removeprefix("bert.")] = array
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    source = tmp_path / "source" / f"model{suffix}"
    CONVERTER.write(WeightSet(stored, family.config_json(config, head)), source)
    if suffix:
        CONVERTER.write(WeightSet({}, family.config_json(config, head)), tmp_path / "config")
        shutil.copy(tmp_path / "config" / "config.json", source.parent)
    config_file = (source.parent if suffix else source) / "config.json"

    name, file = middle
    there = convert(source, tmp_path / "there" / file, registry=registry, to_name=name)
    back = convert(there.destination, tmp_path / "back", registry=registry, config=config_file)
    assert {key.source for key in there.keys} == set(stored)
    assert {key.canonical for key in there.keys} == set(canonical)
    in_file = len(canonical) - (2 if name == "mindspore_zoo" and "crf.transitions" in canonical else 0)  # one of three
    assert there.counts == {"read": len(canonical), "written": in_file, "skipped": 0}
    assert back.counts == {"read": in_file, "written": len(canonical), "skipped": 0}
    assert_equal(CONVERTER.read(tmp_path / "back").tensors, canonical)
    assert open_model(str(tmp_path / "back"), registry).head() == head


def test_the_table_has_a_line_for_every_key(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    weights = CONVERTER.read(tiny_en)
    CONVERTER.write(weights, tmp_path / "a.pt")
    report = convert(tiny_en, tmp_path / "b.pt", registry=registry)
    lines = report.table().splitlines()
    assert len(lines) == 1 + len(weights.report)
    assert lines[1].split() == [
        "bert.embeddings.LayerNorm.beta",
        "bert.embeddings.LayerNorm.bias",
        "bert.embeddings.LayerNorm.bias",
        "renamed",
    ]
    assert "42 read, 42 written, 0 skipped" in report.summary


def test_skipped_keys_are_counted(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    weights = CONVERTER.read(tiny_en)
    tensors = {**weights.tensors, "global_step": np.zeros(1, np.int32)}
    MindSporeCheckpointConverter().write(WeightSet(tensors), tmp_path / "a.ckpt")
    report = convert(tmp_path / "a.ckpt", tmp_path / "b.pt", registry=registry)
    assert report.counts == {"read": 43, "written": 42, "skipped": 1}
    assert [key.action for key in report.keys if key.target is None] == ["skipped: training state"]


# What is refused.


def test_an_existing_destination_is_replaced_only_by_force(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    file, folder = tmp_path / "x.ckpt", tmp_path / "folder"
    file.write_text("precious")
    folder.mkdir()
    convert(tiny_en, folder, registry=registry)  # an empty folder is no obstacle
    for destination in (file, folder):
        with pytest.raises(OutputError, match="exists"):
            convert(tiny_en, destination, registry=registry)
    assert file.read_text() == "precious"
    (folder / "model.safetensors").unlink()
    for destination in (file, folder):
        convert(tiny_en, destination, registry=registry, force=True)
    assert len(read_ckpt(file)) == len(CONVERTER.read(folder).tensors) == 42


def test_force_replaces_neither_the_source_nor_other_folders(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    convert(tiny_en, tmp_path / "model", registry=registry)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    (tmp_path / "model" / "notes").mkdir()
    for source, destination in [
        (tmp_path / "model" / "model.safetensors", tmp_path / "model"),
        (tmp_path / "model", tmp_path),
        (tiny_en, other),
        (tiny_en, tmp_path / "model"),
    ]:
        with pytest.raises(OutputError):
            convert(source, destination, registry=registry, force=True)
    assert (other / "thesis.tex").read_text() == "precious"


def test_nothing_is_left_behind_by_a_failure(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    content = (tiny_en / "model.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[:-1000])
    with pytest.raises(ModelError, match="truncated"):
        convert(tmp_path / "half.safetensors", tmp_path / "deep" / "model.ckpt", registry=registry)
    assert [file.name for file in tmp_path.iterdir()] == ["half.safetensors"]


def test_a_missing_source(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder or file"):
        convert(tmp_path / "none.pt", tmp_path / "x.ckpt", registry=registry)


def test_a_source_of_no_known_layout_names_those_that_are_known(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(ModelError) as error:
        convert(tmp_path / "notes.txt", tmp_path / "x.ckpt", registry=registry)
    assert "huggingface" in error.value.remedy
    assert "mindspore_ckpt" in error.value.remedy


def test_layouts_that_two_converters_claim_must_be_chosen_by_name(tiny_en: Path, tmp_path: Path) -> None:
    class Other(HuggingFaceConverter):
        name = "other"

    class Plugin:
        @staticmethod
        @hookimpl
        def bertcore_register_converters() -> list[Any]:
            return [Other()]

    plugins = installed_plugins()
    plugins.register(Plugin(), "third_party")
    registry = Registry(plugins)
    with pytest.raises(ModelError, match="may be any of huggingface, other"):
        convert(tiny_en, tmp_path / "x.ckpt", registry=registry)
    with pytest.raises(UsageError, match="huggingface, other write"):
        convert(tiny_en, tmp_path / "x.pt", registry=registry, from_name="other")
    report = convert(tiny_en, tmp_path / "x.pt", registry=registry, from_name="other", to_name="other")
    assert (report.from_name, report.to_name) == ("other", "other")


def test_a_suffix_that_nothing_writes(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no converter writes \.onnx files"):
        convert(tiny_en, tmp_path / "x.onnx", registry=registry)
    assert convert(tiny_en, tmp_path / "tiny-1.5", registry=registry).to_name == "huggingface"


def test_an_unknown_name_of_a_converter(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'mindspore_ckpt'"):
        convert(tiny_en, tmp_path / "x.ckpt", registry=registry, to_name="mindspore_ckp")


def test_a_folder_from_a_file_alone_needs_a_config(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    convert(tiny_en, tmp_path / "x.ckpt", registry=registry)
    with pytest.raises(ModelError, match=r"needs a config\.json"):
        convert(tmp_path / "x.ckpt", tmp_path / "folder", registry=registry)
    shutil.copy(tiny_en / "config.json", tmp_path)
    assert convert(tmp_path / "x.ckpt", tmp_path / "folder", registry=registry).files == (
        "config.json",
        "model.safetensors",
    )


def test_a_config_of_another_model_is_refused_with_keys_and_shapes(
    tiny_en: Path, chinese_l12: Path, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as error:
        convert(tiny_en, tmp_path / "folder", registry=registry, config=chinese_l12 / "config.json")
    assert "bert.encoder.layer.2.attention.self.query.weight: missing" in error.value.cause
    assert "152 more missing; bert.encoder.layer.11.output.LayerNorm.bias: missing" in error.value.cause
    assert "shape [128] instead of [384]" in error.value.cause
    assert not (tmp_path / "folder").exists()


def test_names_that_do_not_fit_are_shown_beside_those_that_are_missing(
    tiny_en: Path, registry: Registry, tmp_path: Path
) -> None:
    """And what they begin with; the file may be one of another program."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    (tmp_path / "in").mkdir()
    network = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=8, n_embd=8, n_layer=1, n_head=1))
    torch.save(network.state_dict(), tmp_path / "in" / "pytorch_model.bin")
    shutil.copy(tiny_en / "config.json", tmp_path / "in")
    with pytest.raises(ModelError) as error:
        convert(tmp_path / "in", tmp_path / "out", registry=registry)
    assert "bert.embeddings.word_embeddings.weight: missing" in error.value.cause
    assert "transformer.wte.weight: unexpected" in error.value.cause
    assert "names of the file begin with transformer. (" in error.value.cause
    assert error.value.cause.endswith("those of the model with bert.")
    assert "belong together" in error.value.remedy
    with pytest.raises(ModelError, match=r"transformer\.wte\.weight: unexpected") as error:
        open_model(str(tmp_path / "in"), registry).fit(SequenceClassification(("a", "b")), seed=0)
    assert "belong together" in error.value.remedy


def test_a_name_that_would_move_the_cursor_is_shown_escaped(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    odd = {
        "\x1b[2J\x1b[Hpwned.weight": np.ones(2, "f4"),
        "\u202egnp.bias": np.ones(2, "f4"),
        "x" * 900: np.ones(2, "f4"),
    }
    tensors = CONVERTER.read(tiny_en).tensors
    (tmp_path / "in").mkdir()
    shutil.copy(tiny_en / "config.json", tmp_path / "in")
    save_file({**tensors, **odd}, tmp_path / "in" / "model.safetensors")
    report = convert(tmp_path / "in", tmp_path / "out", registry=registry)
    shown = report.table() + "".join(report.notes)
    assert "\\x1b[2J\\x1b[Hpwned.weight" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert len(max(shown.splitlines(), key=len)) < 2000
    with pytest.raises(ModelError) as error:
        open_model(str(tmp_path / "in"), registry).fit(SequenceClassification(("a", "b")), seed=0)
    assert error.value.cause.isprintable()
    assert len(error.value.cause) < 2000


def test_a_file_of_another_layout_than_the_one_that_is_named(tiny_en: Path, registry: Registry, tmp_path: Path) -> None:
    convert(tiny_en, tmp_path / "x.ckpt", registry=registry, to_name="mindformers")
    with pytest.raises(ModelError, match=r"holds no embeddings\.word_embeddings\.weight, but bert\."):
        convert(tmp_path / "x.ckpt", tmp_path / "y.pt", registry=registry, from_name="mindspore_ckpt")
    assert convert(tmp_path / "x.ckpt", tmp_path / "y.pt", registry=registry).from_name == "mindformers"
