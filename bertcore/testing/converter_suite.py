"""Conformance of a weight converter: the contract of :mod:`bertcore.contracts.converter`, on models of random sizes."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import MADE, WeightConverter, WeightSet
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.errors import ModelError, OutputError
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.testing.heads import descriptions
from bertcore.testing.plugin_under_test import (
    CUTS,
    FRAMEWORKS,
    NONSENSE,
    character_tokenizer,
    imported_modules,
    load_plugin,
    only,
    small_files_only,
)
from bertcore.testing.suite import Suite
from bertcore.weights.converters.transformers_parts import transformers_parts
from bertcore.weights.verification import verify

_ENCODER = re.compile(r"^(?=(embeddings|encoder|pooler)\.)")


@st.composite
def models(draw: st.DrawFn) -> tuple[BertConfig, Head, int]:
    """Sizes of a small model, a head, and the seed of its weights."""
    heads = draw(st.integers(1, 3))
    config = BertConfig(
        vocab_size=draw(st.integers(5, 20)),
        hidden_size=heads * draw(st.integers(1, 4)),
        num_hidden_layers=draw(st.integers(1, 12)),  # two digits: layer 10 comes after layer 9
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 9)),
        max_position_embeddings=draw(st.integers(1, 8)),
        type_vocab_size=draw(st.integers(1, 2)),
    )
    return config, draw(st.sampled_from(list(descriptions().values()))), draw(st.integers(0, 2**32 - 1))


_SMALL = BertConfig(
    vocab_size=7,
    hidden_size=4,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=6,
    max_position_embeddings=5,
)


class ConverterConformance(Suite):
    """Subclass it in a test module of the plugin, and name the plugin as its entry point does.

    Attributes:
        plugin: value of the entry point, ``module`` or ``module:attribute``.
        converter: name of the converter, where the plugin registers several.
        file_name: what the converter writes, as ``weights.ckpt``; without a suffix for a folder.
        gaps: what the converter does not do, by the name of a test (:mod:`bertcore.testing.gaps`).
    """

    plugin: ClassVar[str]
    converter: ClassVar[str] = ""
    file_name: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> WeightConverter:
        """The converter under test."""
        registry = load_plugin(cls.plugin)
        return registry.converter(only(dict(registry.converters), cls.converter, "converter"))

    def test_static_facts(self, bench: WeightConverter) -> None:
        """Name, description and suffixes are what listings and the command line expect."""
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", bench.name)
        assert bench.description
        assert "\n" not in bench.description
        assert all(suffix == "" or suffix.startswith(".") for suffix in bench.suffixes)

    def test_a_converter_needs_no_framework(self, tmp_path: Path) -> None:
        """Neither to be listed nor to write and to read."""
        code = (
            "from pathlib import Path\n"
            "from bertcore.testing.plugin_under_test import load_plugin\n"
            "from bertcore.testing.converter_suite import example_weights\n"
            f"converters = load_plugin({self.plugin!r}).converters\n"
            f"converter = converters[{self.converter!r} or next(iter(converters))].item\n"
            f"folder = Path({str(tmp_path)!r})\n"
            f"converter.write(example_weights(folder), folder / {self.file_name!r})\n"
            f"converter.read(folder / {self.file_name!r})\n"
        )
        assert imported_modules(code, FRAMEWORKS) == []

    def test_round_trip(self, bench: WeightConverter) -> None:
        """What is written and read again has the same names, shapes and bits, with every key in both reports."""

        def check(model: tuple[BertConfig, Head, int]) -> None:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                weights = _weights(*model, folder)
                path = folder / "out" / self.file_name
                written = bench.write(weights, path)
                assert [entry.source for entry in written] == list(weights.tensors)
                assert all(entry.target and entry.action for entry in written), "a canonical key was not written"
                assert bench.recognizes(path)
                found = bench.read(path)
                _assert_report(found)
                # The prefix of the family may be missing.
                tensors = {_ENCODER.sub("bert.", key): value for key, value in found.tensors.items()}
                assert set(tensors) == set(weights.tensors)
                for key, value in weights.tensors.items():
                    assert tensors[key].dtype == np.float32, key
                    np.testing.assert_array_equal(tensors[key], value, err_msg=key)

        for head in descriptions().values():  # chance may leave one out
            check((_SMALL, head, 0))
        settings(max_examples=25, deadline=None)(given(models())(check))()

    def test_the_stated_meaning_of_the_tensors(self, bench: WeightConverter, tmp_path: Path) -> None:
        """What the converter says that its layout's program computes is the model that was written."""
        weights = example_weights(tmp_path)
        path = tmp_path / self.file_name
        bench.write(weights, path)
        parts = bench.parts(path)
        assert parts is not None, "the converter has no parts(): bertcore convert --verify refuses it"
        assert weights.config is not None
        config = BertFamily().parse_config(weights.config)
        expected = transformers_parts(weights.tensors, "the weights")
        proof = verify(expected, parts, config, None, "the weights -> the file")
        assert {item.output for item in proof.differences} == {"hidden states", "pooled output", "logits"}

    def test_nothing_is_lost_unnoticed(self, bench: WeightConverter, tmp_path: Path) -> None:
        """A key that no model knows comes back, or is reported as skipped, or is refused."""
        weights = example_weights(tmp_path)
        stranger = np.ones((2, 3), dtype=np.float32)
        with_stranger = WeightSet({**weights.tensors, "bert.stranger.weight": stranger}, weights.config, weights.folder)
        path = tmp_path / self.file_name
        try:
            bench.write(with_stranger, path)
            found = bench.read(path)
        except ModelError as error:
            assert "stranger" in str(error)  # noqa: PT017 - refusing it is one of three right answers
            return
        reported = {entry.source: entry for entry in found.report}
        if "bert.stranger.weight" in found.tensors:
            np.testing.assert_array_equal(found.tensors["bert.stranger.weight"], stranger)
        else:
            assert any("stranger" in source and entry.target is None for source, entry in reported.items())
        _assert_report(found)

    @pytest.mark.parametrize("kept", CUTS)
    def test_a_truncated_file_is_a_model_error(self, bench: WeightConverter, tmp_path: Path, kept: float) -> None:
        """With one line of cause that names it."""
        path = tmp_path / self.file_name
        bench.write(example_weights(tmp_path), path)
        file = _largest_file(path)
        content = file.read_bytes()
        file.write_bytes(content[: min(int(kept * len(content)), len(content) - 1)])
        bench.recognizes(path)  # whatever it says, it must not raise
        _assert_model_error(bench, path)

    @pytest.mark.parametrize("content", list(NONSENSE.values()), ids=list(NONSENSE))
    def test_nonsense_is_a_model_error(self, bench: WeightConverter, tmp_path: Path, content: bytes) -> None:
        """And never recognized as something that is then read without complaint."""
        path = tmp_path / self.file_name
        bench.write(example_weights(tmp_path), path)
        _largest_file(path).write_bytes(content)
        bench.recognizes(path)
        _assert_model_error(bench, path)

    def test_a_missing_file_is_a_model_error(self, bench: WeightConverter, tmp_path: Path) -> None:
        """And an empty folder is."""
        (tmp_path / "empty").mkdir()
        assert not bench.recognizes(tmp_path / "empty")
        _assert_model_error(bench, tmp_path / "empty")
        bench.recognizes(tmp_path / "absent" / self.file_name)
        _assert_model_error(bench, tmp_path / "absent" / self.file_name)

    def test_a_failed_write_leaves_the_old_file(self, bench: WeightConverter, tmp_path: Path) -> None:
        """Byte by byte, and nothing beside it."""
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir()
        target.mkdir()
        path = target / self.file_name
        bench.write(example_weights(source, seed=1), path)
        before = _content(target)
        weights = example_weights(source, seed=2)
        with small_files_only(), pytest.raises(OutputError) as caught:
            bench.write(weights, path)
        assert "\n" not in caught.value.cause + caught.value.remedy
        assert self.file_name in caught.value.cause
        assert _content(target) == before
        bench.write(weights, path)
        assert _content(target) != before

    def test_a_destination_that_cannot_be_is_an_output_error(self, bench: WeightConverter, tmp_path: Path) -> None:
        """Below a file."""
        (tmp_path / "file").write_text("in the way", encoding="utf-8")
        with pytest.raises(OutputError) as caught:
            bench.write(example_weights(tmp_path), tmp_path / "file" / self.file_name)
        assert "\n" not in caught.value.cause + caught.value.remedy
        assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def example_weights(folder: Path, seed: int = 0) -> WeightSet:
    """The weights of a small classifier, with the files that lie beside them."""
    config = BertConfig(
        vocab_size=199,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
    )
    return _weights(config, SequenceClassification(("no", "yes")), seed, folder)


def _weights(config: BertConfig, head: Head, seed: int, folder: Path) -> WeightSet:
    family = BertFamily()
    generator = np.random.default_rng(seed)
    tensors: Parameters = {
        name: generator.normal(size=spec.shape).astype(np.float32)
        for name, spec in family.parameter_table(config, head).items()
    }
    character_tokenizer(folder)
    return WeightSet(tensors, family.config_json(config, head), folder)


def _assert_report(found: WeightSet) -> None:
    """Each key of the source once, and each tensor that came of one."""
    sources = [entry.source for entry in found.report if entry.source != MADE]
    assert len(sources) == len(set(sources))
    assert all(entry.action for entry in found.report)
    targets: set[Any] = {entry.target for entry in found.report} - {None}
    assert targets == set(found.tensors)


def _assert_model_error(converter: WeightConverter, path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        converter.read(path)
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    assert path.name in caught.value.cause


def _largest_file(path: Path) -> Path:
    if path.is_file():
        return path
    return max((file for file in path.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
