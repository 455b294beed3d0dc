"""Model folders that were made to harm: configurations and tokenizers whose fields lie. Each is refused, and soon."""

from __future__ import annotations

import base64
import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.errors import ModelError
from bertcore.files.bounds import LARGEST_CONFIG, MOST_LABELS
from bertcore.formats.safetensors_file import write_safetensors
from bertcore.heads import SequenceClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.opening import open_model

SECONDS = 2.0
"""Of the processor."""

SIZES = {
    "model_type": "bert",
    "vocab_size": 9,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 3,
    "max_position_embeddings": 5,
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def model_folder(folder: Path, **entries: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({**SIZES, **entries}))
    write_safetensors(folder / "model.safetensors", {"w": np.zeros(1, "f4")})
    return folder


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"num_hidden_layers": 1_000_000}, "no encoder has more than 1000"),
        ({"hidden_size": 10**400}, "hidden_size is 1000.*000, not a whole number"),
        ({"vocab_size": -1}, "vocab_size is -1"),
        ({"initializer_range": -0.02}, "initializer_range is -0.02, not a number from 0 on"),
        ({"initializer_range": 10**400}, "initializer_range is 1000"),
        ({"initializer_range": float("nan")}, "initializer_range is nan"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps is inf"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5, not a number from 0 to 1"),
        ({"hidden_act": nested(90)}, "is not supported"),
        ({"hidden_act": nested(900)}, "100 deep"),
        ({"model_type": "\x1b[2J"}, r"\\x1b\[2J"),
        ({"model_type": "x" * 1_000_000}, "xxx...xxx"),
        ({"padding": "x" * LARGEST_CONFIG}, "no such file has"),
    ],
)
def test_configurations(registry: Registry, tmp_path: Path, entries: dict[str, Any], said: str) -> None:
    folder = model_folder(tmp_path, **entries)
    begin = time.process_time()
    with pytest.raises(ModelError, match=said) as caught:
        open_model(str(folder), registry)
    assert time.process_time() - begin < (30 if "model_type" in entries else SECONDS)  # which imports transformers
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a"] * 2_000, "the labels 0 and 1 of id2label are both named 'a'"),
        ([str(number) for number in range(MOST_LABELS)] + ["0"], "no model has more than"),
        ([str(number) for number in range(MOST_LABELS - 1)] + ["0"], "the labels 0 and 199999 of id2label are both"),
    ],
)
def test_labels(registry: Registry, tmp_path: Path, labels: list[str], said: str) -> None:
    names = {str(index): label for index, label in enumerate(labels)}
    folder = model_folder(tmp_path, id2label=names, architectures=["BertForSequenceClassification"])
    source = open_model(str(folder), registry, tensors=False)
    begin = time.process_time()
    with pytest.raises(ModelError, match=said):
        source.head()
    assert time.process_time() - begin < SECONDS


def test_two_million_labels_are_not_parsed(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"id2label": {' + b'"1000000":"",' * 2_000_000 + b'"a":""}}')
    begin = time.process_time()
    with pytest.raises(ModelError, match="no such file has"):
        open_model(str(tmp_path), registry)
    assert time.process_time() - begin < SECONDS


def test_a_zero_below_zero_is_one(registry: Registry, tmp_path: Path) -> None:
    folder = model_folder(tmp_path, initializer_range=-0.0)
    assert str(open_model(str(folder), registry, tensors=False).config.initializer_range) == "0.0"


FOREIGN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"model_type": "no_such", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}, "is not known"),
    (
        {"model_type": "distilbert", "n_layers": 1_000_000, "auto_map": {"AutoModel": "own.Model"}},
        "no encoder has more",
    ),
    ({"model_type": "distilbert", "n_layers": 900}, "more than 5000 parameters"),
    ({"model_type": "funnel", "block_sizes": [1_000_000, 4, 4]}, "more than 5000 parameters"),
    ({"model_type": "mobilebert", "num_feedforward_networks": 1_000_000}, "more than 5000 parameters"),
    ({"model_type": "distilbert", "dim": 10**400}, "a number beyond"),
    ({"model_type": "distilbert", "initializer_range": -1}, "."),
)


@pytest.mark.parametrize(("config", "said"), FOREIGN)
def test_configurations_of_foreign_encoders(registry: Registry, tmp_path: Path, config: Any, said: str) -> None:
    pytest.importorskip("transformers").CONFIG_MAPPING["distilbert"]  # imported before the clock runs
    import torch  # noqa: F401

    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    (tmp_path / "config.json").write_text(json.dumps(config))
    begin = time.process_time()
    with pytest.raises(ModelError, match=said):
        open_model(str(tmp_path), registry, tensors=False)
    assert time.process_time() - begin < 2 * SECONDS
    assert not (tmp_path / "ran").exists()


PIECES = {piece: index for index, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
WORD_PIECE: dict[str, Any] = {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 9, "vocab": PIECES}
WORD_PIECE["continuing_subword_prefix"] = "##"
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "[GONE]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"[GONE]": {"id": "[GONE]", "ids": [7], "tokens": ["[OTHER]"]}},
}
WORDS = {"type": "WhitespaceSplit"}
PADDING = {"direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
TABLE = base64.b64encode(struct.pack("<I", 2**31) + bytes(64)).decode()


def tokenizer_folder(folder: Path, settings: dict[str, Any] | None = None, **entries: Any) -> Path:
    content = {"version": "1.0", "added_tokens": [], "model": WORD_PIECE, **entries}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **(settings or {})})
    )
    return folder


@pytest.mark.parametrize(
    ("settings", "entries", "said"),
    [
        ({}, {"model": {**WORD_PIECE, "vocab": {"[UNK]": 0, "a": 2**31}}}, "a token has the id 2147483648"),
        ({}, {"model": {**WORD_PIECE, "vocab": {"a": 0}}}, r"\[UNK\]"),
        ({}, {"model": {**WORD_PIECE, "vocab": nested(80)}}, "."),
        ({}, {"normalizer": {"type": "Precompiled", "precompiled_charsmap": TABLE}}, "cut short"),
        (
            {},
            {
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "AA=="}],
                }
            },
            "cut short|Precompiled|do not fit",
        ),
        ({}, {"normalizer": {"type": "Precompiled"}}, "do not fit together"),
        ({}, {"post_processor": {**TEMPLATE, "special_tokens": {}}}, "."),
        ({"truncation_side": "up"}, {}, "truncation_side is 'up'"),
        (
            {"tokenizer_class": "BertTokenizer"},
            {"truncation": {"direction": 10**400}},
            "truncation_side is '1000",
        ),
        ({"added_tokens_decoder": {"Infinity": {"content": "x"}}}, {}, "cannot be read"),
        ({"added_tokens_decoder": {"0": {"content": nested(80)}}}, {}, "cannot be read"),
        ({}, {"added_tokens": [{"id": float("inf"), "content": "x"}]}, "cannot be read"),
        ({"extra": nested(900)}, {}, "100 deep"),
    ],
)
def test_tokenizers(tmp_path: Path, settings: dict[str, Any], entries: dict[str, Any], said: str) -> None:
    begin = time.process_time()
    with pytest.raises(ModelError, match=said):
        Tokenizer.load(tokenizer_folder(tmp_path, settings, **entries))
    assert time.process_time() - begin < SECONDS


@pytest.mark.parametrize(
    "padding", [{"strategy": {"Fixed": 2**40}}, {"strategy": "BatchLongest", "pad_to_multiple_of": 2**40}]
)
def test_a_padding_to_any_length_is_not_used(tmp_path: Path, padding: dict[str, Any]) -> None:
    tokenizer = Tokenizer.load(tokenizer_folder(tmp_path, padding={**PADDING, **padding}))
    assert tokenizer.encode(["a"], None, 8).input_ids == [[PIECES["a"]]]


def test_a_text_that_a_tokenizer_cannot_encode(tmp_path: Path) -> None:
    """Words that are too long become the unknown token, which this vocabulary has not: no short text shows it."""
    vocabulary = {"a": 0, "\U0010fffd": 1, "\U00012000": 2}
    tokenizer = Tokenizer.load(
        tokenizer_folder(tmp_path, model={**WORD_PIECE, "vocab": vocabulary}, pre_tokenizer=WORDS)
    )
    for encode in (
        lambda text: tokenizer.encode([text], None, 8),
        lambda text: tokenizer.encode_with_offsets([text]),
        lambda text: tokenizer.encode_units([text]),
    ):
        with pytest.raises(ModelError, match=r"cannot encode a text: .*Missing .*UNK"):
            encode("aaaaaaaaaaaaaaaa")


def test_weights_of_another_kind_than_the_configuration_says(registry: Registry, tmp_path: Path) -> None:
    """What the configuration promises is made only where the file has all that is not new."""
    folder = model_folder(tmp_path, hidden_size=2**30, vocab_size=2**30, num_attention_heads=1)
    with pytest.raises(ModelError, match="does not fit"):
        open_model(str(folder), registry).fit(SequenceClassification(("a", "b")), seed=1)
