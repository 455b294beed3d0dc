"""Every combination of a model folder's tokenizer files against transformers' AutoTokenizer on the same folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
import transformers
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bertcore.converters.model_folder import copy_tokenizer
from bertcore.data.tokenizer import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    *("the", "good", "movie", "##s", "a", "##b", "b", "caf", "##e", "café", "cafe", "The", "Good", "É", "好", "片"),
    *("好片", "<", ">", "user", "[", "]", ".", "unused1", "İ", "i", "ı", "straße", "strasse", "<", "/", "s"),
]
TEXTS = [
    "the good movies",
    "The Good Movie",
    "café CAFÉ cafe",
    "好片 的",
    "a <user> b <url>.",
    "a<USER>b",
    "[MASK] [PAD] [CLS] text [SEP]",
    "[unused1] <ent> x<ent>y",
    "İstanbul STRASSE straße",
    "",
    " \t ",
    "</s> <s>",
]
EXTRA = ["<user>", "<url>", "<ent>", "good", "[unused1]"]


def write(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    (folder / name).write_bytes(text.encode())


def token(content: str, **flags: bool) -> dict[str, Any]:
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"content": content, **dict.fromkeys(names, False), **flags}


@st.composite
def vocabularies(draw: st.DrawFn) -> list[str]:
    special = [mark for mark in SPECIAL if mark in ("[UNK]", "[CLS]", "[SEP]") or draw(st.integers(0, 4))]
    lines = [*special, *draw(st.lists(st.sampled_from(WORDS), min_size=8, max_size=24))]
    lines += draw(st.sampled_from([[], ["[unused1]"], ["[unused1]", ""]]))
    return lines


@st.composite
def flags(draw: st.DrawFn, content: str) -> dict[str, Any]:
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return token(content, **{name: draw(st.booleans()) for name in names})


@st.composite
def word_piece_folders(draw: st.DrawFn) -> dict[str, Any]:
    """The files of a folder whose class is BertTokenizer, or the generic one over a tokenizer.json."""
    lines = draw(vocabularies())
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    files: dict[str, Any] = {"vocab.txt": ending.join(lines) + draw(st.sampled_from(["", ending]))}
    size = len(dict.fromkeys(lines))
    new = draw(st.lists(st.sampled_from(EXTRA), unique=True, max_size=3))
    chosen = {content: size + index for index, content in enumerate(new)}
    config: dict[str, Any] = {}
    for name in ("do_lower_case", "tokenize_chinese_chars", "strip_accents"):
        if draw(st.booleans()):
            config[name] = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        config["additional_special_tokens"] = draw(st.lists(st.sampled_from(EXTRA), unique=True, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        config["cls_token"], config["sep_token"] = draw(st.sampled_from([("[CLS]", "[SEP]"), ("a", "b")]))
        config["cls_token"] = config["cls_token"] if config["cls_token"] in lines else "[CLS]"
        config["sep_token"] = config["sep_token"] if config["sep_token"] in lines else "[SEP]"
    if draw(st.integers(0, 3)) == 0:
        config["added_tokens_decoder"] = {str(index): draw(flags(content)) for content, index in chosen.items()}
    if draw(st.integers(0, 2)) == 0:
        files["added_tokens.json"] = chosen
    if draw(st.integers(0, 2)) == 0:
        named: dict[str, Any] = {f"{mark[1:-1].lower()}_token": mark for mark in SPECIAL if mark in lines}
        named = {name: draw(st.sampled_from([mark, token(mark)])) for name, mark in named.items()}
        for mark in named.values():
            if isinstance(mark, dict):
                del mark["special"]
        if draw(st.booleans()):
            named["additional_special_tokens"] = draw(st.lists(st.sampled_from(EXTRA), unique=True, max_size=2))
        files["special_tokens_map.json"] = named
    if draw(st.integers(0, 1)) == 0:
        files["tokenizer.json"] = draw(serialized(lines, chosen))
        classes = ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "Unheard", "DistilBertTokenizer"]
        if draw(st.booleans()):
            config["tokenizer_class"] = draw(st.sampled_from(classes))
    if config or draw(st.booleans()):
        files["tokenizer_config.json"] = config
    files["config.json"] = {"model_type": draw(st.sampled_from(["bert", "electra"]))}
    return files


@st.composite
def serialized(draw: st.DrawFn, lines: list[str], chosen: dict[str, int]) -> dict[str, Any]:
    vocabulary = {text.rstrip(): index for index, text in enumerate(lines)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=draw(st.booleans()), strip_accents=draw(st.sampled_from([None, True, False]))
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    inner.add_special_tokens([mark for mark in SPECIAL if mark in vocabulary])
    if draw(st.booleans()):
        inner.add_tokens(list(chosen))
    if draw(st.integers(0, 3)) == 0:
        inner.enable_truncation(5, direction=draw(st.sampled_from(["left", "right"])))
        inner.enable_padding(length=7)
    return json.loads(inner.to_str())


def assert_same(ours: Tokenizer, oracle: Any) -> None:
    """The same ids and segments as transformers for single texts and pairs, whole and cut."""
    pairs = TEXTS[1:] + TEXTS[:1]
    for length in (10_000, 6):
        for arguments in ((TEXTS,), (TEXTS, pairs)):
            expected = oracle(*arguments, truncation=True, max_length=length, padding=False)
            rows = ours.encode(TEXTS, arguments[1] if len(arguments) > 1 else None, length)
            assert rows.input_ids == expected["input_ids"]
            zeros = [[0] * len(ids) for ids in expected["input_ids"]]
            assert rows.token_type_ids == expected.get("token_type_ids", zeros)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files=word_piece_folders())
def test_any_files_of_word_pieces_give_transformers_ids_also_when_saved_and_converted(files):
    with tempfile.TemporaryDirectory() as name:
        folder, saved, converted = (Path(name) / part for part in ("model", "saved", "converted"))
        for path in (folder, saved, converted):
            path.mkdir()
        for file, content in files.items():
            write(folder, file, content)
            note(f"{file}: {content!r}")
        oracle = transformers.AutoTokenizer.from_pretrained(folder)
        ours = Tokenizer.load(folder)
        assert_same(ours, oracle)
        assert ours.vocab_size == max(oracle.get_vocab().values()) + 1

        ours.save(saved)
        shutil.copy(folder / "config.json", saved)
        assert_same(ours, transformers.AutoTokenizer.from_pretrained(saved))
        again = Tokenizer.load(saved)
        assert_same(again, oracle)
        assert again.fingerprint == ours.fingerprint
        # Whoever reads the lines of the vocabulary alone, as BERT's own code does, gets the ids of the weights, too.
        by_line = {text.rstrip("\n"): index for index, text in enumerate((saved / "vocab.txt").open(encoding="utf-8"))}
        used = oracle.backend_tokenizer.get_vocab(with_added_tokens=False)
        assert all(by_line[piece] == index for piece, index in used.items() if piece)

        shutil.copy(folder / "config.json", converted)
        copy_tokenizer(folder, converted)
        assert_same(ours, transformers.AutoTokenizer.from_pretrained(converted))
