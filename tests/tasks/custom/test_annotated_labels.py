"""Texts that were labeled in doccano, Label Studio or prodigy, in every form of their exports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Split
from bertcore.engine.preparation import reading_notes
from bertcore.errors import DataError
from bertcore.plugins.registry import Registry

TEXTS = ["Good, really good.", "Bad\nsoup", "到北京去"]
ONE = [["good"], ["bad"], ["good"]]
SEVERAL = [["fun", "good"], [], ["fun"]]


def split_of(file: Path, split: str = "train") -> Split:
    found = Registry().task("classification")
    return found.open(found.data_config(**{split: str(file)})).split(split)


def read(file: Path, split: str = "train", task: str = "classification", **options: Any) -> tuple[list[Any], list[str]]:
    """Text and label of each example, and the notes of a file."""
    found = Registry().task(task)
    dataset = found.open(found.data_config(**{split: str(file)}, **options))
    examples: Any = dataset.split(split)
    return [(example.texts["text"], example.label) for example in examples], [*reading_notes(dataset, examples)]


def table(records: list[dict[str, Any]], separator: str = ",") -> str:
    stream = io.StringIO()
    names = sorted({key for record in records for key in record})
    writer = csv.DictWriter(stream, names, delimiter=separator, quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for record in records:
        as_json = {k: json.dumps(v, ensure_ascii=False) for k, v in record.items() if isinstance(v, list | dict)}
        writer.writerow(record | as_json)
    return stream.getvalue()


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def doccano(labels: list[list[str]], name: str = "label") -> list[dict[str, Any]]:
    return [
        {"id": n, "text": text, name: given, "Comments": []}
        for n, (text, given) in enumerate(zip(TEXTS, labels, strict=True))
    ]


def annotation(given: list[str], number: int = 1, updated: str = "2024", **more: Any) -> dict[str, Any]:
    chosen = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": given}}
    return {"id": number, "result": [chosen] if given else [], "updated_at": updated, "was_cancelled": False, **more}


def tasks(labels: list[list[str]]) -> list[dict[str, Any]]:
    return [
        {"id": n, "data": {"text": text}, "annotations": [annotation(given)], "predictions": []}
        for n, (text, given) in enumerate(zip(TEXTS, labels, strict=True))
    ]


def minimal(labels: list[list[str]]) -> list[dict[str, Any]]:
    """One choice is a text, several are an object, none is no field; as Label Studio's converter writes them."""
    records = []
    for n, (text, given) in enumerate(zip(TEXTS, labels, strict=True)):
        value = {"topic": given[0] if len(given) == 1 else {"choices": given}} if given else {}
        about = {"annotator": 1, "annotation_id": n, "created_at": "2024", "updated_at": "2024", "lead_time": 2.0}
        records.append({"text": text, "id": n, **value, **about})
    return records


def prodigy(labels: list[list[str]]) -> str:
    options = [{"id": "good", "text": "good"}, {"id": "bad", "text": "bad"}]
    return lines(
        [
            {"text": text, "options": options, "accept": given, "answer": "accept", "_task_hash": n}
            for n, (text, given) in enumerate(zip(TEXTS, labels, strict=True))
        ]
    )


def fasttext(labels: list[list[str]]) -> str:
    return "".join(
        " ".join([*(f"__label__{label}" for label in given), text.replace("\n", " ")]) + "\n"
        for text, given in zip(TEXTS, labels, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(doccano(ONE))),
        ("a.jsonl", lines(doccano(ONE, "labels"))),
        ("a.json", json.dumps(doccano(ONE))),
        ("a.csv", table([{**record, "label": record["label"][0], "Comments": ""} for record in doccano(ONE)])),
        ("a.json", json.dumps(tasks(ONE))),
        ("a.json", json.dumps(minimal(ONE))),
        ("a.csv", table(minimal(ONE))),
        ("a.jsonl", prodigy(ONE)),
    ],
    ids=[
        "doccano",
        "doccano, labels",
        "doccano JSON",
        "doccano CSV",
        "Label Studio",
        "Label Studio JSON-MIN",
        "Label Studio CSV",
        "prodigy",
    ],
)
def test_one_label_of_each_text(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    examples, notes = read(tmp_path / name)
    assert examples == list(zip(TEXTS, ["good", "bad", "good"], strict=True))
    assert notes == []


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.jsonl", lines(doccano(SEVERAL)), {}),
        (
            "a.csv",
            table([{**r, "label": "#".join(r["label"]), "Comments": ""} for r in doccano(SEVERAL)]),
            {"label_separator": "#"},
        ),
        ("a.json", json.dumps(tasks(SEVERAL)), {}),
        ("a.json", json.dumps(minimal(SEVERAL)), {}),
        ("a.csv", table(minimal(SEVERAL)), {}),
        ("a.jsonl", prodigy(SEVERAL), {}),
    ],
    ids=["doccano", "doccano CSV", "Label Studio", "Label Studio JSON-MIN", "Label Studio CSV", "prodigy"],
)
def test_any_number_of_labels(tmp_path: Path, name: str, content: str, options: dict[str, Any]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    examples, notes = read(tmp_path / name, multi_label=True, **options)
    assert examples == [(text, tuple(given)) for text, given in zip(TEXTS, SEVERAL, strict=True)]
    assert notes == []


def test_fasttexts_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(fasttext(ONE), encoding="utf-8")
    texts = [text.replace("\n", " ") for text in TEXTS]
    assert read(file)[0] == list(zip(texts, ["good", "bad", "good"], strict=True))
    file.write_text(fasttext([["fun", "good"], ["bad"], ["fun"]]), encoding="utf-8")
    assert read(file, multi_label=True)[0] == list(zip(texts, [("fun", "good"), ("bad",), ("fun",)], strict=True))


def test_labels_of_doccanos_csv_that_are_not_parted_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(table([{**r, "label": "#".join(r["label"])} for r in doccano(SEVERAL)]), encoding="utf-8")
    _, notes = read(file, multi_label=True)
    assert notes == ["a.csv: labels hold '#'; where it parts labels, as in doccano's CSV: --set data.label_separator=#"]


def test_several_annotators_and_texts_without_a_label(tmp_path: Path) -> None:
    good, bad = ["good"], ["bad"]
    given = [
        {"id": 1, "data": {"text": "a"}, "annotations": [annotation(good, 1, "2024"), annotation(bad, 2, "2023")]},
        {"id": 2, "data": {"text": "b"}, "annotations": [annotation(good, 1, "2024", was_cancelled=True)]},
        {"id": 3, "data": {"text": "c"}, "annotations": [annotation(bad, 1), annotation(bad, 2)]},
        {"id": 4, "data": {"text": "d"}, "annotations": [], "predictions": [annotation(good)]},
    ]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(given))
    examples, notes = read(file)
    assert examples == [("a", "good"), ("c", "bad")]
    assert notes == [
        "a.json: 2 texts with several annotations, 1 of them with different ones: read is the ground truth, else the "
        "latest (first: task 1)",
        "a.json: 2 texts without an annotation left out (first: task 2)",
        "a.json: 1 cancelled annotation not read",
        "a.json: predictions of a model in 1 text are no labels and not read",
    ]
    left_out = split_of(file).left_out
    assert [(one.identifier, one.reason) for one in left_out] == [("2", "no annotation"), ("4", "no annotation")]
    examples, _ = read(file, "test")
    assert examples == [("a", "good"), ("b", None), ("c", "bad"), ("d", None)]
    assert split_of(file, "test").left_out == ()


def test_several_controls_need_a_choice(tmp_path: Path) -> None:
    both = annotation(["good"])
    both["result"].append({"from_name": "stars", "type": "rating", "value": {"rating": 4}})
    other = annotation(["bad"])
    other["result"].append({"from_name": "stars", "type": "rating", "value": {"rating": 1}})
    file = tmp_path / "a.json"
    file.write_text(
        json.dumps([{"id": n, "data": {"text": "x"}, "annotations": [a]} for n, a in enumerate((both, other))])
    )
    with pytest.raises(DataError) as caught:
        read(file)
    assert "by several controls, 'topic', 'stars'" in caught.value.cause
    assert "--set data.label=topic" in caught.value.remedy
    assert [label for _, label in read(file, label="topic")[0]] == ["good", "bad"]
    assert [label for _, label in read(file, label="stars")[0]] == ["4", "1"]
    assert [label for _, label in read(file, task="regression", label="stars")[0]] == [4.0, 1.0]


def test_a_list_of_two_labels_needs_the_setting_and_an_empty_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines(doccano([["good"], ["bad", "fun"], ["bad"]])))
    with pytest.raises(DataError) as caught:
        read(file)
    assert "a.jsonl:2: ['bad', 'fun'] in the field 'label' is no label" in caught.value.cause
    assert "data.multi_label=true" in caught.value.remedy
    file.write_text(lines(doccano([["good"], [], ["bad"]])))
    with pytest.raises(DataError, match=r"a\.jsonl:2: the field 'label' is empty"):
        read(file)
    assert [label for _, label in read(file, "test")[0]] == ["good", None, "bad"]


def test_the_text_of_a_task_may_have_another_name(tmp_path: Path) -> None:
    renamed = [{**one, "data": {"reviewText": one["data"]["text"]}} for one in tasks(ONE)]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(renamed))
    with pytest.raises(DataError, match="reviewText"):
        read(file)
    task = Registry().task("classification")
    dataset = task.open(task.data_config(train=str(file), text="reviewText"))
    assert [example.texts["reviewText"] for example in dataset.split("train")] == TEXTS


def test_tasks_are_read_for_predicting(tmp_path: Path) -> None:
    from bertcore.engine.prediction_input import read_input

    file = tmp_path / "input.json"
    file.write_text(json.dumps(tasks(ONE)), encoding="utf-8")
    found = Registry().task("classification")
    options = found.data_config()
    examples = found.parse_input(read_input(file, found, options).records, options)
    assert [example.texts["text"] for example in examples] == TEXTS
