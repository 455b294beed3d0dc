"""Word pieces against transformers' fast tokenizer, on real and on nasty texts of three real models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.data.tables import read_json_lines, read_tsv
from bertcore.errors import ModelError
from bertcore.tokenization.tokenizer import CHUNK, Tokenizer

MODELS = ["minilm", "tiny_en", "chinese_l12"]
NASTY = [
    "",
    " ",
    "\t",
    "\x00",
    "a\x00b",
    "tab\tand  two   spaces ",
    "quotes \"double\" and 'single' and “curly”",
    "emoji 😀👩‍👩‍👧 and flags 🇩🇪",
    "e\u0301 versus \u00e9, \u0130stanbul, stra\u00dfe, \ufb01ne",
    "zero\u200bwidth, bom\ufeff, soft\u00adhyphen",
    "form\x0cfeed, line\u2028separator, next\x85line",
    "control \x01\x02\x7f, replacement \ufffd, private \ue000",
    "漢字と仮名，中文。",
    "𠀀 beyond the basic plane",
    "[CLS] text [SEP] with [MASK] special [PAD] tokens [UNK]",
    "x" * 300,
    "##piece and ##",
    "عربي עברית हिन्दी ไทย 한국어",
    "1234567890 3.14 1,000 50% $5 a_b-c/d@e",
    "word " * 600,
]


def oracle_of(folder: Path) -> transformers.PreTrainedTokenizerFast:
    return transformers.BertTokenizerFast.from_pretrained(folder)


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture(scope="module")
def pairs(folder: Path, shared: Path) -> tuple[list[str], list[str]]:
    """Real pairs of texts in the model's language, and every nasty text beside every other."""
    if "zh" in folder.name:
        texts = [record["sentence"] for record, _ in read_json_lines(shared / "data" / "tnews" / "dev.json")[:600]]
        first, second = texts[::2], texts[1::2]
    else:
        rows = read_tsv(shared / "data" / "glue" / "RTE" / "dev.tsv")
        first, second = ([row.fields[name] for row in rows] for name in ("sentence1", "sentence2"))
    return first + NASTY, second + NASTY[::-1]


@pytest.mark.parametrize("max_length", [8, 64, 512])
@pytest.mark.parametrize("paired", [False, True], ids=["texts", "pairs"])
def test_tokens_equal_those_of_transformers(folder, pairs, max_length, paired):
    first, second = pairs
    tokenizer, oracle = Tokenizer.load(folder), oracle_of(folder)
    rows = tokenizer.encode(first, second if paired else None, max_length)
    arguments = (first, second) if paired else (first,)
    expected = oracle(*arguments, truncation="longest_first", max_length=max_length)
    assert rows.input_ids == expected["input_ids"]
    assert rows.token_type_ids == expected["token_type_ids"]
    lengths = np.array([len(ids) for ids in oracle(*arguments)["input_ids"]])
    assert rows.truncated.tolist() == np.flatnonzero(lengths > max_length).tolist()
    assert rows.truncated.dtype == np.int64


def test_vocab_txt_alone_gives_the_same_tokens(folder, pairs, tmp_path):
    shutil.copy(folder / "vocab.txt", tmp_path)
    expected = Tokenizer.load(folder).encode(*pairs, 512)
    assert Tokenizer.load(tmp_path).encode(*pairs, 512).input_ids == expected.input_ids
    assert Tokenizer.load(tmp_path).encode(*pairs, 512).token_type_ids == expected.token_type_ids


def test_what_is_saved_is_opened_by_transformers_and_by_us(folder, pairs, tmp_path):
    tokenizer = Tokenizer.load(folder)
    tokenizer.encode(*pairs, 16)  # leaves no truncation behind that would be saved
    tokenizer.save(tmp_path)
    first, second = pairs
    expected = tokenizer.encode(first, second, 10_000)
    again = Tokenizer.load(tmp_path)
    assert again.encode(first, second, 10_000).input_ids == expected.input_ids
    assert again.fingerprint == tokenizer.fingerprint
    for opened in (oracle_of(tmp_path), transformers.AutoTokenizer.from_pretrained(tmp_path)):
        assert opened(first, second)["input_ids"] == expected.input_ids
    assert (tmp_path / "vocab.txt").read_bytes().split() == (folder / "vocab.txt").read_bytes().split()
    (tmp_path / "tokenizer.json").unlink()
    assert Tokenizer.load(tmp_path).encode(first, second, 10_000).input_ids == expected.input_ids


def test_any_text_is_tokenized_as_by_transformers(tiny_en):
    oracle, tokenizer = oracle_of(tiny_en), Tokenizer.load(tiny_en)

    @settings(max_examples=25, deadline=None)
    @given(texts=st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=20), max_length=st.integers(8, 20))
    def check(texts, max_length):
        first, second = ([pair[side] for pair in texts] for side in (0, 1))
        expected = oracle(first, second, truncation="longest_first", max_length=max_length)
        assert tokenizer.encode(first, second, max_length).input_ids == expected["input_ids"]

    check()


@pytest.mark.parametrize("lowercase", [False, True])
def test_the_case_may_be_chosen(tiny_en, tmp_path, lowercase):
    oracle = transformers.BertTokenizerFast.from_pretrained(tiny_en, do_lower_case=lowercase)
    texts = ["The House IS red", "Émile Zola", "İstanbul"]
    expected = oracle(texts)["input_ids"]
    shutil.copy(tiny_en / "vocab.txt", tmp_path)
    for place in (tiny_en, tmp_path):
        tokenizer = Tokenizer.load(place, lowercase=lowercase)
        assert tokenizer.lowercase is lowercase
        assert tokenizer.encode(texts, None, 99).input_ids == expected
    config = {"do_lower_case": lowercase}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert Tokenizer.load(tmp_path).encode(texts, None, 99).input_ids == expected


def test_the_fingerprint_tells_tokenizers_apart(tiny_en, chinese_l12, tmp_path):
    shutil.copy(tiny_en / "vocab.txt", tmp_path)
    prints = [
        Tokenizer.load(tiny_en).fingerprint,
        Tokenizer.load(tiny_en, lowercase=False).fingerprint,
        Tokenizer.load(chinese_l12).fingerprint,
    ]
    with (tmp_path / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("onemoreword\n")
    prints.append(Tokenizer.load(tmp_path).fingerprint)
    assert len(set(prints)) == len(prints)
    tokenizer = Tokenizer.load(tiny_en)
    tokenizer.encode(["a"], None, 5)
    assert tokenizer.fingerprint == Tokenizer.load(tiny_en).fingerprint


def test_chunks_leave_no_seam(tiny_en):
    tokenizer = Tokenizer.load(tiny_en)
    texts = [f"number {index} " * (1 + index % 3) for index in range(CHUNK + 5)]
    rows = tokenizer.encode(texts, None, 6)
    assert len(rows.input_ids) == len(texts)
    for index in (0, CHUNK - 1, CHUNK, CHUNK + 4):
        assert rows.input_ids[index] == tokenizer.encode([texts[index]], None, 6).input_ids[0]
    assert rows.truncated.tolist() == [
        index for index, text in enumerate(texts) if len(tokenizer.encode([text], None, 99).input_ids[0]) > 6
    ]


def test_no_texts_give_no_rows(tiny_en):
    rows = Tokenizer.load(tiny_en).encode([], None, 9)
    assert (rows.input_ids, rows.token_type_ids, rows.truncated.tolist()) == ([], [], [])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "neither tokenizer.json nor vocab.txt"),
        ({"tokenizer.json": "{"}, "tokenizer.json"),
        ({"tokenizer.json": "{}"}, "tokenizer.json"),
        ({"vocab.txt": "a\nb\n"}, "no token [UNK], [CLS], [SEP]"),
        ({"vocab.txt": ""}, "no token"),
        ({"vocab.txt": "[UNK]\n[CLS]\n[SEP]\n", "tokenizer_config.json": "{"}, "tokenizer_config.json"),
        ({"vocab.txt": "[UNK]\n[CLS]\n[SEP]\n", "tokenizer_config.json": "[" * 100_000}, "tokenizer_config.json"),
    ],
)
def test_a_damaged_folder_is_a_model_error(tmp_path, files, words):
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        Tokenizer.load(tmp_path)
    assert words in caught.value.cause
    assert str(tmp_path) in caught.value.cause
    assert "\n" not in caught.value.cause + caught.value.remedy


def test_a_vocabulary_that_is_no_text_is_a_model_error(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n[CLS]\n\xff\xfe\n")
    with pytest.raises(ModelError, match=r"vocab\.txt"):
        Tokenizer.load(tmp_path)
