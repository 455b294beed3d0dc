"""Every combination of a model folder's tokenizer files against transformers' AutoTokenizer on the same folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bertcore.errors import ModelError
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.converters.model_folder import copy_tokenizer

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


def byte_pairs(folder: Path, draw: st.DrawFn) -> None:
    """A tiny byte-level vocabulary, as two files or as one."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, "Ġg", "oo", "Ġgoo", "Ġgood"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    merges = [("Ġ", "g"), ("o", "o"), ("Ġg", "oo"), ("Ġgoo", "d")]
    write(folder, "vocab.json", vocabulary)
    write(folder, "merges.txt", "#version: 0.2\n" + "".join(f"{first} {second}\n" for first, second in merges))
    if draw(st.booleans()):
        inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges, unk_token="<unk>"))
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=draw(st.booleans()))
        inner.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=draw(st.booleans()))])
        inner.save(str(folder / "tokenizer.json"))


def sentence_pieces(folder: Path, draw: st.DrawFn) -> None:
    """A tiny Unigram vocabulary, as tokenizer.json alone."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁good", "▁", "g", "o", "d", "▁movie", "s", "片", "é", "<mask>"]
    inner = tokenizers.Tokenizer(
        tokenizers.models.Unigram([(piece, -float(index)) for index, piece in enumerate(pieces)], unk_id=3)
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme=draw(st.sampled_from(["first", "never"])))
    inner.add_special_tokens(draw(st.lists(st.sampled_from(["<s>", "</s>", "<pad>", "<mask>"]), unique=True)))
    inner.save(str(folder / "tokenizer.json"))


CLASSES = {
    "RobertaTokenizer": byte_pairs,
    "XLMRobertaTokenizer": sentence_pieces,
    "CamembertTokenizer": sentence_pieces,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(sorted(CLASSES)))
def test_any_files_of_byte_pairs_and_sentence_pieces_give_transformers_ids_also_when_saved(data, name):
    with tempfile.TemporaryDirectory() as temporary:
        folder, saved = Path(temporary) / "model", Path(temporary) / "saved"
        folder.mkdir()
        saved.mkdir()
        CLASSES[name](folder, data.draw)
        own_type = {"RobertaTokenizer": "roberta", "XLMRobertaTokenizer": "xlm-roberta"}.get(name, "camembert")
        model_type = data.draw(st.sampled_from([own_type, "bert"]))
        config: dict[str, Any] = {"tokenizer_class": name} if model_type == "bert" or data.draw(st.booleans()) else {}
        if data.draw(st.booleans()):
            config["add_prefix_space"] = data.draw(st.booleans())
        if data.draw(st.integers(0, 3)) == 0:
            config["mask_token"] = data.draw(st.sampled_from(["<mask>", {"__type": "AddedToken", **token("<mask>")}]))
        if data.draw(st.booleans()):
            write(folder, "tokenizer_config.json", config | {"unused": 1})
        elif model_type == "bert":
            write(folder, "tokenizer_config.json", config)
        if data.draw(st.integers(0, 2)) == 0:
            write(folder, "special_tokens_map.json", {"cls_token": "<s>", "mask_token": token("<mask>", lstrip=True)})
        write(folder, "config.json", {"model_type": model_type})
        oracle = transformers.AutoTokenizer.from_pretrained(folder)
        ours = Tokenizer.load(folder)
        assert_same(ours, oracle)
        ours.save(saved)
        shutil.copy(folder / "config.json", saved)
        assert_same(ours, transformers.AutoTokenizer.from_pretrained(saved))
        assert_same(Tokenizer.load(saved), oracle)


# Single folders


def word_pieces(folder: Path, lines: list[str], model_type: str = "bert", **files: Any) -> Path:
    """A folder with these lines of vocab.txt; further files by name, with __ for the dot."""
    folder.mkdir(exist_ok=True)
    write(folder, "vocab.txt", "".join(f"{line}\n" for line in lines))
    write(folder, "config.json", {"model_type": model_type})
    for name, content in files.items():
        write(folder, name.replace("__", "."), content)
    return folder


@pytest.mark.parametrize(
    "name", ["spiece.model", "sentencepiece.bpe.model", "spm.model", "added_tokens.json", "merges.txt", "bpe.codes"]
)
def test_files_that_other_tools_read_are_carried_to_the_byte(tmp_path: Path, name: str) -> None:
    folder = word_pieces(tmp_path / "model", [*SPECIAL, "good"], tokenizer_config__json={"do_lower_case": False})
    content = b'{"<user>": 6}' if name == "added_tokens.json" else bytes(range(256))
    (folder / name).write_bytes(content)
    for place in ("saved", "copied"):
        (tmp_path / place).mkdir()
    Tokenizer.load(folder).save(tmp_path / "saved")
    assert name in copy_tokenizer(folder, tmp_path / "copied")
    assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "copied" / name).read_bytes() == content


def test_lines_that_hold_no_token_of_tokenizer_json_hold_a_filler(tmp_path: Path) -> None:
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            {**{mark: index for index, mark in enumerate(SPECIAL)}, "good": 7}, unk_token="[UNK]"
        )
    )
    inner.save(str(tmp_path / "tokenizer.json"))
    write(tmp_path, "config.json", {"model_type": "bert"})
    Tokenizer.load(tmp_path).save(tmp_path)
    lines = (tmp_path / "vocab.txt").read_text().splitlines()
    assert (lines[7], len(lines), len(set(lines))) == ("good", 8, 8)


def test_special_tokens_beyond_the_embeddings_are_text_and_others_are_refused(tmp_path: Path) -> None:
    """transformers would give [MASK] the id 4, for which the model has no row."""
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    folder = word_pieces(tmp_path / "model", lines)
    tokenizer = Tokenizer.load(folder, embeddings=4)
    assert tokenizer.vocab_size == 4
    assert tokenizer.encode(["[MASK]"], None, 9).input_ids == [[2, 1, 1, 1, 3]]
    assert tokenizer.notes == (
        "[MASK] is in no vocabulary, and the model has no embedding for it: it is split as text",
    )
    assert Tokenizer.load(folder, embeddings=5).encode(["[MASK]"], None, 9).input_ids == [[2, 4, 3]]
    write(folder, "added_tokens.json", {"<user>": 4})
    assert Tokenizer.load(folder, embeddings=5).vocab_size == 5
    assert Tokenizer.load(folder, embeddings=4).vocab_size == 5  # and the model is refused, see test_models


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tokenizer_config__json": {"tokenizer_class": "BertJapaneseTokenizer"}}, "Python code of transformers"),
        ({"tokenizer_config__json": {"cls_token": None}}, "cls_token is null"),
        ({"tokenizer_config__json": {"tokenizer_class": "AlbertTokenizer"}}, "neither tokenizer.json nor"),
        ({"special_tokens_map__json": {"sep_token": "</s>"}}, "no token </s>"),
        ({"added_tokens__json": {"<user>": "many"}}, "cannot be read"),
        ({"added_tokens__json": ["<user>"]}, "holds a list"),
        ({"tokenizer_config__json": {"added_tokens_decoder": {"7": "<user>"}}}, "cannot be read"),
        ({"tokenizer_config__json": {"do_lower_case": "no"}}, "vocab.txt"),
    ],
)
def test_what_cannot_be_a_tokenizer_is_refused_in_a_line(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        Tokenizer.load(word_pieces(tmp_path / "model", [*SPECIAL, "good"], **files))
    assert words in caught.value.cause
    assert str(tmp_path) in caught.value.cause
    assert "\n" not in caught.value.cause + caught.value.remedy


def test_a_sentence_piece_file_alone_is_named_with_what_helps(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "xlm-roberta"})
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\n\x0e\n\x05<unk>")
    with pytest.raises(ModelError) as caught:
        Tokenizer.load(tmp_path)
    assert "sentencepiece.bpe.model is for SentencePiece" in caught.value.cause
    assert "save_pretrained" in caught.value.remedy


def test_a_post_processor_with_a_token_that_is_not_there_is_no_panic(tmp_path: Path) -> None:
    folder = word_pieces(tmp_path / "model", [*SPECIAL, "good"])
    Tokenizer.load(folder).save(folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [99]
    content["post_processor"]["single"][0]["SpecialToken"]["id"] = "[GONE]"
    write(folder, "tokenizer.json", content)
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokenizer.load(folder)


# What is said


def json_of(lines: list[str], **settings: Any) -> dict[str, Any]:
    """A tokenizer.json of BERT's kind with these tokens."""
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({text: index for index, text in enumerate(lines)}, unk_token="[UNK]")
    )
    inner.normalizer = tokenizers.normalizers.BertNormalizer(**{"strip_accents": None, **settings})
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    result: dict[str, Any] = json.loads(inner.to_str())
    return result


GOOD = [*SPECIAL, "good", "bad"]
NOTES: dict[str, tuple[list[str], dict[str, Any], list[str]]] = {
    "nothing is wrong": (GOOD, {"tokenizer__json": json_of(GOOD, lowercase=True)}, []),
    "case": (
        GOOD,
        {"tokenizer__json": json_of(GOOD, lowercase=True), "tokenizer_config__json": {"do_lower_case": False}},
        ["tokenizer.json says lowercase true, tokenizer_config.json says do_lower_case false: do_lower_case counts"],
    ),
    "case by default": (
        GOOD,
        {"tokenizer__json": json_of(GOOD, lowercase=False)},
        ["tokenizer.json says lowercase false, tokenizer_config.json has no do_lower_case (true by default)"],
    ),
    "accents": (
        GOOD,
        {"tokenizer__json": json_of(GOOD, strip_accents=False), "tokenizer_config__json": {"strip_accents": True}},
        ["tokenizer.json says strip_accents false, tokenizer_config.json says strip_accents true"],
    ),
    "another normalizer": (
        GOOD,
        {"tokenizer__json": {**json_of(GOOD), "normalizer": {"type": "NFKC"}}},
        ["the normalizer of tokenizer.json (NFKC) is not used: BertTokenizer has its own, as in transformers"],
    ),
    "capitals": (
        [*GOOD, "The", "DNA"],
        {},
        ["texts are lower-cased, and 2 of 9 tokens of the vocabulary have capitals, first The"],
    ),
    "twice": (
        [*GOOD, "bad", "other"],
        {},
        ["vocab.txt has 1 lines more than tokens, first line 7 (bad), which comes again in line 8: the last line"],
    ),
    "edited vocabulary": (
        [*GOOD[:-1], "neu"],
        {"tokenizer__json": json_of(GOOD)},
        ["vocab.txt and tokenizer.json differ in 1 tokens, first in line 7: neu there, bad in tokenizer.json"],
    ),
    "added token with another id": (
        [*GOOD, "bad"],
        {"added_tokens__json": {"<user>": 8}},
        [
            "vocab.txt has 1 lines more than tokens",
            "added_tokens.json gives the id 8 to <user>, which gets the id 7, that of bad, as in transformers",
        ],
    ),
    "added token that is not read": (
        GOOD,
        {"added_tokens__json": {"<user>": 7}, "tokenizer_config__json": {"added_tokens_decoder": {}}},
        ["added_tokens.json gives the id 7 to <user>, which is not read, as in transformers, since"],
    ),
    "special tokens": (
        GOOD,
        {"special_tokens_map__json": {"cls_token": "good"}, "tokenizer_config__json": {"cls_token": "[CLS]"}},
        ["tokenizer_config.json says cls_token [CLS], special_tokens_map.json good: special_tokens_map.json counts"],
    ),
    "segments": (
        GOOD,
        {"tokenizer__json": json_of(GOOD), "tokenizer_config__json": {"tokenizer_class": "PreTrainedTokenizerFast"}},
        ["tokenizer_class TokenizersBackend gives no token_type_ids: both texts of a pair are of segment 0"],
    ),
    "left": (GOOD, {"tokenizer_config__json": {"truncation_side": "left"}}, ["truncation_side is left"]),
}


@pytest.mark.parametrize("name", NOTES)
def test_a_note_says_what_disagrees_and_what_counts(tmp_path: Path, name: str) -> None:
    lines, files, expected = NOTES[name]
    notes = Tokenizer.load(word_pieces(tmp_path / "model", lines, **files)).notes
    assert len(notes) == len(expected)
    for text, words in zip(notes, expected, strict=True):
        assert text.startswith(words)
        assert "\n" not in text


def test_what_the_user_chose_is_no_disagreement(tmp_path: Path) -> None:
    folder = word_pieces(tmp_path / "model", [*GOOD, "The"], tokenizer__json=json_of([*GOOD, "The"], lowercase=True))
    assert len(Tokenizer.load(folder).notes) == 1
    assert Tokenizer.load(folder, lowercase=False).notes == ()
