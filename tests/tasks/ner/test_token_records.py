"""JSON records of tokens and tags, schemes of files, comments and invisible characters; seqeval's modes are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from bertcore.contracts.dataset import LeftOut
from bertcore.contracts.tagging import Span, spans_to_tags
from bertcore.engine.preparation import reading_notes
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry

WORDS = [["Anna", "lives", "in", "Paris", "."], ["Bob", "Stone", "left"]]
TAGS = [["B-PER", "O", "O", "B-LOC", "O"], ["B-PER", "I-PER", "O"]]
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def read(file: Path, split: str = "train", **options: Any) -> tuple[list[Any], list[str], tuple[str, ...]]:
    """Sentences, notes and labels of a file."""
    task = Registry().task("ner")
    dataset = task.open(task.data_config(**{split: str(file)}, **options))
    sentences: Any = dataset.split(split)
    return sentences, [*reading_notes(dataset, sentences)], dataset.labels


def entities(sentence: Any) -> list[tuple[str, str]]:
    return [(span.type, sentence.surface(span)) for span in sentence.label]


EXPECTED = [[("PER", "Anna"), ("LOC", "Paris")], [("PER", "Bob Stone")]]


def lines(*records: Any) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def records(tokens: str, tags: str, values: list[list[Any]] = TAGS, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"s{n}", tokens: words, tags: value, **more}
        for n, (words, value) in enumerate(zip(WORDS, values, strict=True))
    ]


NUMBERS: list[list[Any]] = [[NAMES.index(tag) for tag in tags] for tags in TAGS]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (lines(*records("tokens", "ner_tags")), {}),
        (lines(*records("words", "ner")), {}),
        (lines(*records("tokens", "tags")), {}),
        (lines(*records("tokens", "labels")), {}),
        (lines(*records("tokens", "ner_tags", pos_tags=["X"] * 9, chunk_tags=["B-NP"] * 9)), {}),
        (json.dumps(records("tokens", "ner_tags")), {}),
        (json.dumps(records("words", "ner"), indent=1), {}),
        (lines(*records("zi", "bq")), {"text": "zi", "label": "bq"}),
        (lines(*records("tokens", "ner_tags", NUMBERS)), {"tag_names": ",".join(NAMES)}),
        (lines(*records("tokens", "ner_tags", [list(map(str, t)) for t in NUMBERS])), {"tag_names": ",".join(NAMES)}),
    ],
    ids=[
        "run_ner",
        "words and ner",
        "tags",
        "labels",
        "CoNLL-2003's fields",
        "a list",
        "a list on many lines",
        "named fields",
        "numbers",
        "numbers as text",
    ],
)
def test_records_of_tokens_and_tags(tmp_path: Path, content: str, options: dict[str, Any]) -> None:
    file = tmp_path / "train.json"
    file.write_text(content, encoding="utf-8")
    sentences, notes, _ = read(file, **options)
    assert notes == []
    assert [sentence.words for sentence in sentences] == WORDS
    assert [entities(sentence) for sentence in sentences] == EXPECTED
    assert [sentence.identifier for sentence in sentences] == ["s0", "s1"]
    assert [sentence.texts["text"] for sentence in sentences] == ["Anna lives in Paris .", "Bob Stone left"]


FEATURE = {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"}
INFO = {"citation": "", "features": {"tokens": {"feature": {"dtype": "string"}}, "ner_tags": FEATURE}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_info.json", json.dumps(INFO)),
        ("dataset_infos.json", json.dumps({"default": INFO})),
        ("features.json", json.dumps({"ner_tags": [FEATURE["feature"]]})),
        ("labels.txt", "\n".join(NAMES) + "\n"),
    ],
)
def test_numbers_are_named_by_a_file_beside_the_data(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    file = tmp_path / "train.jsonl"
    file.write_text(lines(*records("tokens", "ner_tags", NUMBERS)))
    sentences, _, _ = read(file)
    assert [entities(sentence) for sentence in sentences] == EXPECTED
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / name).rename(moved / name)
    sentences, _, _ = read(file, tag_names=str(moved / name))
    assert [entities(sentence) for sentence in sentences] == EXPECTED


def test_spans_that_count_tokens(tmp_path: Path) -> None:
    """CoNLL04's form, whose end is the token behind the last, and GLiNER's, whose end is the last one."""
    file = tmp_path / "train.json"
    for record in (
        {"tokens": WORDS[1], "entities": [{"type": "PER", "start": 0, "end": 2}], "relations": []},
        {"tokenized_text": WORDS[1], "ner": [[0, 1, "PER"]]},
    ):
        file.write_text(json.dumps([record]))
        sentences, _, _ = read(file)
        assert [entities(sentence) for sentence in sentences] == [[("PER", "Bob Stone")]]


def test_documents_of_spacy_2(tmp_path: Path) -> None:
    tagged = zip(WORDS[1], ["B-PER", "L-PER", "O"], strict=True)
    tokens = [{"id": n, "orth": word, "tag": "-", "ner": tag} for n, (word, tag) in enumerate(tagged)]
    document = [{"id": 0, "paragraphs": [{"raw": "Bob Stone left", "sentences": [{"tokens": tokens, "brackets": []}]}]}]
    file = tmp_path / "train.json"
    file.write_text(json.dumps(document))
    sentences, notes, _ = read(file)
    assert [entities(sentence) for sentence in sentences] == [[("PER", "Bob Stone")]]
    assert notes == ["train.json: its tags are read as BILOU; another scheme: --set data.scheme=NAME"]


@pytest.mark.parametrize(
    ("record", "cause", "remedy"),
    [
        ({"tokens": ["a"], "ner_tags": ["O", "O"]}, "2 tags for 1 tokens", "every token"),
        ({"tokens": ["a"], "ner_tags": [7]}, "the tags of the field 'ner_tags' are numbers", "data.tag_names=O,B-PER"),
        ({"tokens": ["a", ""], "ner_tags": ["O", "O"]}, "tokens[1] is '', and no text that holds something", "write"),
        ({"tokens": ["a", None], "ner_tags": ["O", "O"]}, "tokens[1] is None", "write"),
        ({"tokens": "a", "ner_tags": ["O"]}, "the field 'tokens' is no list of texts", "write"),
        ({"tokens": ["a"]}, "the field 'ner_tags' is missing", "data.label=NAME"),
        ({"tokens": ["a"], "ner_tags": ["B_PER"]}, "the tag 'B_PER' is neither O nor", "correct the tag"),
    ],
)
def test_what_is_wrong_with_a_record_is_named(tmp_path: Path, record: Any, cause: str, remedy: str) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(lines({"tokens": ["Bob"], "ner_tags": ["B-PER"]}, record))
    with pytest.raises(DataError) as caught:
        read(file)
    assert f"{file}:2: {cause}" in caught.value.cause
    assert remedy in caught.value.remedy


def test_a_number_without_a_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(lines({"tokens": ["Bob", "left"], "ner_tags": [1, -100]}))
    with pytest.raises(DataError, match=r"train\.jsonl:1: the tag -100 has no name, which 2 tags have"):
        read(file, tag_names="O,B-PER")


def test_records_without_tokens_are_counted_and_unlabeled_ones_predicted(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines({"tokens": ["Bob"], "ner_tags": ["B-PER"]}, {"tokens": [], "ner_tags": []}))
    sentences, notes, _ = read(file)
    assert len(sentences) == 1
    assert notes == [f"a.jsonl: 1 record without any token left out (first: {file}:2)"]
    assert sentences.left_out == (LeftOut("1", Origin(str(file), 2), "no token"),)
    file.write_text(lines({"tokens": ["Bob"]}))
    ((sentence,), _, _) = read(file, "test")
    assert (sentence.words, sentence.label) == (["Bob"], None)


# Schemes

SEQEVAL = {"BIO": IOB2, "BIOES": IOBES, "BILOU": BILOU, "IOB1": IOB1}


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(["PER", "LOC"])), min_size=1, max_size=5),
    st.sampled_from(sorted(SEQEVAL)),
    st.sampled_from(["columns", "json"]),
)
@settings(deadline=None, max_examples=60)
def test_entities_of_every_scheme_are_seqevals_in_strict_mode(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, str]], scheme: str, form: str
) -> None:
    spans, place = [], 0
    for gap, length, kind in drawn:
        spans.append(Span(place + gap, place + gap + length, kind))
        place += gap + length
    tags = spans_to_tags(spans, place + 1, scheme)
    words = [f"w{n}" for n in range(len(tags))]
    folder = tmp_path_factory.mktemp("scheme")
    if form == "json":
        file = folder / "train.json"
        file.write_text(lines({"tokens": words, "ner_tags": tags}))
    else:
        file = folder / "train.txt"
        file.write_text("".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True)))
    ((sentence,), _, labels) = read(file, scheme=scheme)
    (expected,) = Entities([tags], scheme=SEQEVAL[scheme]).entities
    assert entities(sentence) == [(one.tag, " ".join(words[one.start : one.end])) for one in expected]
    assert set(tags) <= set(labels)


@pytest.mark.parametrize(
    ("scheme", "suffix", "noted"),
    [
        ("BILOU", ".txt", True),
        ("BIOES", ".conll", True),
        ("BMES", ".tsv", True),
        ("BIO", ".txt", False),
        ("BILOU", ".bilou", False),
        ("BIOES", ".iobes", False),
        ("IOB1", ".iob1", False),
    ],
)
def test_the_scheme_is_found(tmp_path: Path, scheme: str, suffix: str, noted: bool) -> None:
    spans = [Span(0, 3, "PER"), Span(3, 4, "PER"), Span(5, 7, "LOC")]
    tags = spans_to_tags(spans, 8, scheme)
    file = tmp_path / f"train{suffix}"
    file.write_text("".join(f"w{n}\t{tag}\n" for n, tag in enumerate(tags)))
    ((sentence,), notes, _) = read(file)
    assert entities(sentence) == [("PER", "w0 w1 w2"), ("PER", "w3"), ("LOC", "w5 w6")]
    told = f"train{suffix}: its tags are read as {scheme}; another scheme: --set data.scheme=NAME"
    assert notes == ([told] if noted else [])


def test_iob1_is_not_guessed_but_named(tmp_path: Path) -> None:
    file = tmp_path / "eng.train.txt"
    file.write_text("EU I-ORG\nrejects O\nGerman I-MISC\n\nBob I-PER\nAnna B-PER\n")
    with pytest.raises(DataError) as caught:
        read(file)
    assert caught.value.cause == f"{file}:1: the tag 'I-ORG' without a B-ORG before it"
    assert "CoNLL-2003" in caught.value.remedy
    assert "data.scheme=IOB1" in caught.value.remedy
    sentences, _, _ = read(file, scheme="IOB1")
    assert [entities(sentence) for sentence in sentences] == [
        [("ORG", "EU"), ("MISC", "German")],
        [("PER", "Bob"), ("PER", "Anna")],
    ]


# Comments and characters that nobody sees

CONLLU = """\
# newdoc id = d1
# sent_id = 1
# text = Bob # 1
Bob\tB-PER
#\tO
1\tO

# id 5239d808\tdomain=train
# Anna is here
#tag\tO
Anna\tB-PER
"""


def test_comments_are_no_units_and_signs_are(tmp_path: Path) -> None:
    file = tmp_path / "train.conll"
    file.write_text(CONLLU)
    sentences, notes, _ = read(file)
    assert [sentence.words for sentence in sentences] == [["Bob", "#", "1"], ["#tag", "Anna"]]
    assert notes == ["train.conll: 5 comment lines not read, as line 1"]
    file.write_text("# id = x\n#\nBob\n")
    ((sentence,), _, _) = read(file, "test")
    assert sentence.words == ["#", "Bob"]


def test_a_wrong_tag_behind_a_sign_is_no_comment(tmp_path: Path) -> None:
    file = tmp_path / "train.conll"
    file.write_text("# B_PER\nBob B-PER\n")
    with pytest.raises(DataError, match=r"train\.conll:1: the tag 'B_PER' is neither O"):
        read(file)


def test_invisible_characters_are_named_and_change_nothing(tmp_path: Path) -> None:
    """``str.splitlines`` would end a line at U+2028, U+0085 and form feeds; a line ends at a line feed alone."""
    words = [
        "zero\u200bwidth",
        "\ufeffmark",
        "no\u00a0break",
        "line\u2028end",
        "soft\u00adhyphen",
        "next\u0085line",
        "a\x0cb",
    ]
    file = tmp_path / "train.txt"
    file.write_text("".join(f"{word} B-X\n" for word in words) + "👩\u200d👧 O\n", encoding="utf-8", newline="")
    ((sentence,), notes, labels) = read(file)
    assert sentence.words == [*words, "👩\u200d👧"]
    assert labels == ("O", "B-X", "I-X")
    (note,) = notes
    assert note.startswith("train.txt: invisible characters in the texts, read as they are: ")
    for name in ("U+200B ZERO WIDTH SPACE", "U+FEFF ZERO WIDTH NO-BREAK SPACE", "U+00A0 NO-BREAK SPACE"):
        assert f"1 of {name}" in note
    for name in ("U+2028 LINE SEPARATOR", "U+00AD SOFT HYPHEN", "U+0085 CONTROL CHARACTER", "U+000C CONTROL CHARACTER"):
        assert f"1 of {name}" in note
    assert "U+200D" not in note, "a joiner of an emoji is at home"
    json_file = tmp_path / "train.jsonl"
    json_file.write_text(lines({"tokens": words, "ner_tags": ["B-X"] * len(words)}), encoding="utf-8")
    ((same,), json_notes, _) = read(json_file)
    assert same.words == words
    assert json_notes == [note.replace("train.txt", "train.jsonl")]


@pytest.mark.parametrize("end", ["\u200b", "\u00a0", "\ufeff"])
def test_tags_have_no_invisible_ends(tmp_path: Path, end: str) -> None:
    """Otherwise ``B-PER`` and ``B-PER`` with a blank that nobody sees would be two types."""
    file = tmp_path / "train.txt"
    file.write_text(f"Bob B-PER{end}\nStone I-PER\nAnna B-PER\n", encoding="utf-8")
    ((sentence,), notes, labels) = read(file)
    assert entities(sentence) == [("PER", "Bob Stone"), ("PER", "Anna")]
    assert labels == ("O", "B-PER", "I-PER")
    assert len(notes) == 1
    assert "1 tag with" in notes[0]
    assert f"U+{ord(end):04X}" in notes[0]
    assert "(first in line 1)" in notes[0]


@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        (
            "Bob B-PER\n\u200b\nAnna O\n",
            ":2: 1 column instead of at least 2: the line holds U+200B ZERO WIDTH",
            "empty it",
        ),
        ("Bob\u00a0B-PER\n", ":1: 1 column instead of at least 2; the line holds U+00A0 NO-BREAK SPACE", "plain space"),
    ],
)
def test_lines_that_only_seem_right_are_explained(tmp_path: Path, content: str, cause: str, remedy: str) -> None:
    file = tmp_path / "train.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(file)
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
