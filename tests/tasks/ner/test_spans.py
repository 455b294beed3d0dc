"""Entities as spans in JSON lines: CLUENER's form and the list form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Dataset
from bertcore.contracts.tagging import Span
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

TEXT = "彭小军在台湾 ok"
CLUENER = {"text": TEXT, "label": {"name": {"彭小军": [[0, 2]]}, "address": {"台湾": [[4, 5]]}}}


def opened(folder: Path, *records: Any, **options: Any) -> Dataset:
    """The task `ner` on one file of JSON lines."""
    content = "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
    (folder / "train.jsonl").write_text(content, encoding="utf-8")
    task = Registry().task("ner")
    return task.open(task.data_config(path=str(folder), **options))


@pytest.mark.parametrize(
    "record",
    [
        CLUENER,
        {**CLUENER, "label": {"address": {"台湾": [[4, 5], [4, 5]]}, "name": {"彭小军": [[0, 2]]}}},
        {
            "text": TEXT,
            "entities": [
                {"start": 4, "end": 6, "type": "address"},
                {"start": 0, "end": 3, "type": "name", "text": "彭小军"},
            ],
        },
    ],
    ids=["CLUENER", "twice", "list"],
)
def test_both_forms_give_the_same_entities(tmp_path: Path, record: dict[str, Any]) -> None:
    dataset = opened(tmp_path, record)
    (sentence,) = dataset.split("train")
    assert sentence.text == TEXT
    assert sentence.label == (Span(0, 3, "name"), Span(4, 6, "address"))
    assert dataset.labels == ("O", "B-address", "I-address", "B-name", "I-name")


def test_the_gold_of_a_file_of_predictions_is_its_label(tmp_path: Path) -> None:
    """bertcore's own lines hold what was predicted as ``entities``."""
    record = {**CLUENER, "entities": [{"start": 7, "end": 9, "type": "book"}]}
    (sentence,) = opened(tmp_path, record).split("train")
    assert sentence.label == (Span(0, 3, "name"), Span(4, 6, "address"))


@pytest.mark.parametrize("absent", [{}, {"id": None}, {"id": ""}])
def test_a_text_without_id_is_called_by_its_number(tmp_path: Path, absent: dict[str, Any]) -> None:
    records = [{**CLUENER, "id": "a"}, {**CLUENER, **absent}, {**CLUENER, "id": 0}]
    sentences = opened(tmp_path, *records).split("train")
    assert [sentence.identifier for sentence in sentences] == ["a", "1", "0"]  # type: ignore[union-attr]


def test_fields_can_have_other_names(tmp_path: Path) -> None:
    record = {"sentence": TEXT, "spans": CLUENER["label"]}
    (sentence,) = opened(tmp_path, record, text="sentence", label="spans").split("train")
    assert len(sentence.label) == 2


@pytest.mark.parametrize("unit", ["character", "word"])
def test_texts_are_split_as_asked(tmp_path: Path, unit: str) -> None:
    (sentence,) = opened(tmp_path, CLUENER, unit=unit).split("train")
    assert sentence.words == (list(TEXT) if unit == "character" else [*"彭小军在台湾", "ok"])


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            {"label": {"name": {"彭小军": [[7, 9]]}}},
            "label.name.彭小军: the span from 7 to 10 (exclusive) leaves the text",
        ),
        ({"label": {"name": {"彭小军": [[1, 3]]}}}, "the text says '小军在' there and not '彭小军'"),
        ({"label": {"name": {"彭小军": [[2, 0]]}}}, "is empty or begins before the text"),
        ({"label": {"name": {"彭小军": [[-1, 2]]}}}, "is empty or begins before the text"),
        ({"label": {"name": {"彭小军": [0, 2]}}}, "no list of [first, last]"),
        ({"label": {"name": {"彭小军": [["0", "2"]]}}}, "no list of [first, last]"),
        ({"label": {"name": ["彭小军"]}}, "label.name: no object of surfaces"),
        ({"label": "name"}, "the field 'label' is neither an object nor a list"),
        ({"label": None}, "the field 'label' is neither an object nor a list"),
        ({"entities": [{"start": 0, "end": 99, "type": "name"}]}, "entities[0]: the span from 0 to 99"),
        ({"entities": [{"start": 0, "type": "name"}]}, "entities[0]: the field 'end' is missing"),
        ({"entities": [{"start": 0, "end": 2.5, "type": "name"}]}, "entities[0]: start and end are no whole numbers"),
        ({"entities": [{"start": 0, "end": 2, "type": ""}]}, "entities[0]: the field 'type' is no text"),
        ({"entities": [{"start": 0, "end": 2, "type": "n", "text": "军"}]}, "there and not '军'"),
        ({"entities": [[0, 2]]}, "entities[0]: no object, and no list of start, end and type"),
        ({"entities": [[0, 2, 7]]}, "entities[0]: the field 'type' holds 7, which is no text"),
        ({"text": 7}, "the field 'text' is no text"),
    ],
)
def test_bad_spans_are_named_with_line_and_field(tmp_path: Path, change: dict[str, Any], cause: str) -> None:
    record = {**CLUENER, **change}
    if "entities" in change:
        del record["label"]
    with pytest.raises(DataError) as caught:
        opened(tmp_path, CLUENER, record)
    assert "train.jsonl:2: " in caught.value.cause
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert "\n" not in caught.value.cause + caught.value.remedy


@pytest.mark.parametrize("missing", ["text", "label"])
def test_missing_fields_are_named(tmp_path: Path, missing: str) -> None:
    record = {name: value for name, value in CLUENER.items() if name != missing}
    with pytest.raises(DataError, match=rf"train.jsonl:2: the field '{missing}' is missing"):
        opened(tmp_path, CLUENER, record)


def test_cluener_knows_its_types(tmp_path: Path) -> None:
    line = json.dumps({**CLUENER, "label": {"planet": {"台湾": [[4, 5]]}}}, ensure_ascii=False)
    (tmp_path / "dev.json").write_text(f"\n{line}\n", encoding="utf-8")
    task = Registry().task("cluener")
    dataset = task.open(task.data_config(path=str(tmp_path)))
    with pytest.raises(DataError, match=r"dev.json:2: unknown type 'planet'"):
        dataset.split("dev")


def test_input_of_predict_has_a_text_or_tokens() -> None:
    task = Registry().task("ner")
    records: list[tuple[dict[str, Any], str]] = [
        ({"text": "Boeing 737"}, "a:1"),
        ({"tokens": ["Boeing", "737", "在", "北京"], "id": 7}, "a:2"),
    ]
    by_character, of_tokens = task.parse_input(records, task.data_config(unit="character"))
    assert len(by_character.units) == 10  # type: ignore[attr-defined]
    assert of_tokens.identifier == "7"
    assert of_tokens.texts == {"text": "Boeing 737在北京"}
    assert of_tokens.units.starts == (0, 7, 10, 11)  # type: ignore[attr-defined]
    (by_word,) = task.parse_input(records[:1], task.data_config(unit="word"))
    assert by_word.units.ends == (6, 10)  # type: ignore[attr-defined]
    for record in ({"tokens": "Boeing"}, {"tokens": ["a", ""]}, {"tokens": [1]}, {"text": 1}, {}):
        with pytest.raises(DataError, match=r"a:3: the field '(tokens|text)' is"):
            task.parse_input([(record, "a:3")], task.data_config())
