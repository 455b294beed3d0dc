"""What a program learns of a mistake in data without reading its message: the file, the line, the kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bertcore.errors import BertcoreError
from bertcore.plugins.registry import Registry

NO_BREAK_SPACE = "\u00a0"
QUESTION = {"question": "Who?", "context": "Ann", "answers": [{"text": "Ann", "answer_start": 0}]}
SPANS = '{"text": "Ann sleeps", "label": {"name": {"Ann": [[0, %d]]}}}\n'


@dataclass(frozen=True)
class Mistake:
    """A file with one mistake, and what is known of it."""

    task: str
    name: str
    content: str
    code: str
    line: int | None
    part: str | None = None
    split: str = "dev"
    options: Mapping[str, str] = field(default_factory=dict)


MISTAKES = {
    "a label that the task does not have": Mistake(
        "sst2", "dev.tsv", "sentence\tlabel\nfine\t1\nnever\t7\n", "label-unknown", 3
    ),
    "a score out of its range": Mistake(
        "stsb", "dev.tsv", "index\tsentence1\tsentence2\tscore\n0\ta\tb\t7\n", "number-wrong", 2
    ),
    "a line of a benchmark without label": Mistake(
        "afqmc", "dev.json", '{"sentence1": "a", "sentence2": "b"}\n', "labels-missing", 1
    ),
    "an entity behind the end of its text": Mistake(
        "cluener", "dev.json", SPANS % 2 + SPANS % 20, "span-outside", 2, "label.name.Ann"
    ),
    "an entity that the text does not say": Mistake(
        "cluener", "dev.json", SPANS % 3, "span-text-differs", 1, "label.name.Ann"
    ),
    "a tag of no scheme": Mistake("people_daily", "example.dev", "安 B-PER\n睡 X-PER\n", "tag-wrong", 2),
    "a tag of a type that the task does not have": Mistake(
        "people_daily", "example.dev", "安 B-PER\n\n睡 B-CAT\n", "label-unknown", 3
    ),
    "a character without its tag": Mistake(
        "people_daily", "example.dev", "安 B-PER\n睡 O\n了\n", "field-count-wrong", 3
    ),
    "a blank that cannot be told from a space": Mistake(
        "ner", "dev.bio", f"Ann{NO_BREAK_SPACE}B-PER\n", "separator-invisible", 1
    ),
    "a row without label": Mistake("classification", "dev.csv", "text,label\na,x\nb,\n", "labels-missing", 3),
    "one label in two spellings": Mistake(
        "classification", "train.csv", "text,label\na,good\nb,bad\nc,Good\n", "label-spelling", 4, split="train"
    ),
    "every example of one label": Mistake(
        "classification", "train.csv", "text,label\na,x\nb,x\n", "labels-too-few", None, split="train"
    ),
    "a column that the table does not have": Mistake(
        "classification", "dev.csv", "text,label\na,x\n", "column-missing", 1, options={"text": "body"}
    ),
    "a number that is none": Mistake(
        "regression", "dev.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": "x"}\n', "number-wrong", 3
    ),
    "a record without text": Mistake(
        "ner", "dev.jsonl", '{"text": "a", "label": {}}\n{"label": {}}\n', "field-missing", 2
    ),
    "tags in numbers that nothing names": Mistake(
        "ner", "dev.jsonl", '{"tokens": ["a"], "ner_tags": [1]}\n', "labels-unnamed", 1
    ),
    "a span of a list that is no span": Mistake(
        "ner", "dev.jsonl", '{"text": "Ann", "entities": [[0, 3, "PER"], [0, 3]]}\n', "span-wrong", 1, "entities[1]"
    ),
    "an answer of a line without text": Mistake(
        "qa",
        "dev.jsonl",
        json.dumps(QUESTION) + "\n" + json.dumps({**QUESTION, "answers": [{}]}),
        "field-missing",
        2,
        "answers[0]",
    ),
    "answers of a question in a list that are none": Mistake(
        "qa",
        "dev.json",
        json.dumps({"data": [{"paragraphs": [{"context": "Ann", "qas": [{**QUESTION, "id": "q7", "answers": 7}]}]}]}),
        "answer-wrong",
        None,
        "question q7",
    ),
    "a paragraph without context": Mistake(
        "squad",
        "dev.json",
        json.dumps({"data": [{"paragraphs": [{"qas": []}]}]}),
        "field-missing",
        None,
        "data[0].paragraphs[0]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_has_its_place_and_its_kind_as_values(mistake: Mistake, tmp_path: Path) -> None:
    (tmp_path / mistake.name).write_text(mistake.content, encoding="utf-8")
    task = Registry().task(mistake.task)
    with pytest.raises(BertcoreError) as caught:
        task.open(task.data_config(path=str(tmp_path), **mistake.options)).split(mistake.split)
    error, origin = caught.value, caught.value.origin
    assert origin is not None
    assert (error.code, error.exit_code) == (mistake.code, 4)
    assert (Path(origin.file), origin.line, origin.part) == (tmp_path / mistake.name, mistake.line, mistake.part)
    assert error.cause == f"{origin}: {error.problem}"
    assert str(origin) not in error.problem


@pytest.mark.parametrize("name", ["rte", "afqmc", "msra", "cluener", "classification", "ner", "qa"])
def test_a_folder_that_does_not_exist_is_one_kind_for_all_tasks(name: str, tmp_path: Path) -> None:
    task = Registry().task(name)
    with pytest.raises(BertcoreError) as caught:
        task.open(task.data_config(path=str(tmp_path / "nowhere")))
    assert caught.value.code == "file-missing"
    assert caught.value.origin is not None
    assert caught.value.origin.file == str(tmp_path / "nowhere")
    assert caught.value.origin.line is None


def test_a_second_prediction_stands_in_the_file_of_predictions(tmp_path: Path) -> None:
    data, predictions = tmp_path / "dev.tsv", tmp_path / "predictions.tsv"
    data.write_text("sentence\tlabel\nfine\t1\nbad\t0\n", encoding="utf-8")
    predictions.write_text("index\tprediction\n0\t1\n0\t1\n", encoding="utf-8")
    task = Registry().task("sst2")
    options = task.data_config(path=str(data))
    dataset = task.open(options)
    with pytest.raises(BertcoreError) as caught:
        task.score(dataset.split("dev"), dataset.labels, predictions, options)
    assert caught.value.code == "prediction-repeated"
    assert caught.value.origin is not None
    assert (caught.value.origin.file, caught.value.origin.line) == (str(predictions), 3)
