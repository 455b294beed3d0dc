"""Files of questions: what is read, what is repaired, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bertcore_tasks.qa.answers import Gold, locate
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.dataset import Example, Split
from bertcore.errors import DataError, Origin, UsageError
from bertcore.plugins.registry import Registry


def raw_questions(file: Path) -> list[tuple[dict[str, Any], str]]:
    data = json.loads(file.read_text(encoding="utf-8"))["data"]
    return [(q, p["context"]) for article in data for p in article["paragraphs"] for q in p["qas"]]


@pytest.mark.parametrize(
    ("split", "name", "count"), [("dev", "dev-v1.1.json", 10570), ("train", "train-v1.1.head.json", 4370)]
)
def test_squad_is_read_whole(
    examples_of: Callable[..., list[Example]], squad_dir: Path, split: str, name: str, count: int
) -> None:
    examples = examples_of("squad", squad_dir, split)
    raw = raw_questions(squad_dir / name)
    assert len(examples) == len(raw) == count
    for example, (entry, context) in zip(examples, raw, strict=True):
        first = entry["answers"][0]
        span = (first["answer_start"], first["answer_start"] + len(first["text"]))
        assert example == Example(
            entry["id"],
            {"question": entry["question"], "context": context},
            Gold(tuple(answer["text"] for answer in entry["answers"]), span),
            Origin(str(squad_dir / name), part=f"question {entry['id']}"),
        )
        assert context[slice(*span)] == first["text"]


def test_files_are_found_by_name_or_named(registry: Registry, squad_dir: Path, squad2: Path, tmp_path: Path) -> None:
    task = registry.task("squad")

    def files(path: Path | None = None, **options: str) -> dict[str, str]:
        data = task.data_config(path=None if path is None else str(path), **options)
        return {split: file.name for split, (file,) in task.open(data).files.items()}

    both = {"train": "train-v1.1.head.json", "dev": "dev-v1.1.json"}
    assert files(squad_dir) == both
    assert files(squad2) == {"train": "train-v2.0.json", "dev": "dev-v2.0.json"}
    assert files(squad_dir / "dev-v1.1.json") == {"dev": "dev-v1.1.json"}
    assert files(train=str(squad_dir / both["train"]), dev=str(squad_dir / both["dev"])) == both
    (tmp_path / "train-v1.1.json").symlink_to(squad_dir / both["train"])
    (tmp_path / "train-v2.0.json").symlink_to(squad2 / "train-v2.0.json")
    with pytest.raises(DataError, match=r"both train-v1\.1\.json and train-v2\.0\.json\n.*--set data\.train=FILE"):
        files(tmp_path)
    assert files(tmp_path, train=str(tmp_path / "train-v2.0.json")) == {"train": "train-v2.0.json"}
    with pytest.raises(UsageError, match="no data"):
        files()
    with pytest.raises(DataError, match="no such file or folder"):
        files(tmp_path / "absent")


def test_questions_without_an_answer(examples_of: Callable[..., list[Example]], squad2: Path) -> None:
    examples = {example.identifier: example for example in examples_of("squad", squad2)}
    assert len(examples) == 7
    assert examples["5ad39d53604f3c001a3fe8d1"].label == Gold(())  # its plausible answers are none
    assert not examples["5ad39d53604f3c001a3fe8d1"].label.is_lost
    normandy = examples["56ddde6b9a695914005b9628"]
    assert normandy.label.answers == ("France", "a region")
    assert normandy.texts["context"][slice(*normandy.label.span)] == "France"


def test_a_question_that_is_impossible_and_has_answers(registry: Registry, squad2: Path, tmp_path: Path) -> None:
    """The answers count, as in evaluate-v2.0.py (``bool(qa["answers"])``), and the contradiction is told."""
    content = json.loads((squad2 / "dev-v2.0.json").read_text(encoding="utf-8"))
    questions = content["data"][0]["paragraphs"][0]["qas"]
    for entry in questions[:2]:
        entry["is_impossible"] = True
    del questions[2]["answers"]
    (tmp_path / "dev-v2.0.json").write_text(json.dumps(content))
    task = registry.task("squad")
    dataset = task.open(task.data_config(path=str(tmp_path)))
    split = dataset.split("dev")
    found = [example.label for example in split][:3]
    assert [label.answers for label in found] == [("France", "a region"), ("10th and 11th centuries",), ()]
    assert [label.span is None for label in found] == [False, False, True]
    assert split.notes == (
        "dev-v2.0.json: 2 questions with is_impossible and answers; the answers count (first: "
        "56ddde6b9a695914005b9628)",
    )


def test_cmrc_is_read(examples_of: Callable[..., list[Example]], cmrc: Path) -> None:
    examples = examples_of("cmrc2018", cmrc)
    assert [example.identifier for example in examples] == [
        "DEV_0_QUERY_0",
        "DEV_0_QUERY_1",
        "DEV_0_QUERY_2",
        "DEV_1_QUERY_0",
    ]
    for example in examples:
        assert example.texts["context"][slice(*example.label.span)] == example.label.answers[0]
    assert [example.label for example in examples_of("cmrc2018", cmrc, "test")] == [None, None]
    assert len(examples_of("cmrc2018", cmrc, "train")) == 4


def test_own_files(examples_of: Callable[..., list[Example]], own_questions: Path) -> None:
    first, second = examples_of("qa", own_questions, "train")
    assert (first.identifier, str(first.origin)) == ("7", f"{own_questions}/train.jsonl:1")
    assert (second.identifier, str(second.origin)) == ("2", f"{own_questions}/train.jsonl:2")
    assert second.label.answers == ("1843",)
    assert second.texts["context"][slice(*second.label.span)] == "1843"


def answered(file: Path, *answers: dict[str, Any]) -> None:
    context = "To be, or not to be, that is the question; to be."
    line = {"id": "hamlet", "question": "What?", "context": context, "answers": list(answers)}
    file.write_text(json.dumps(line) + "\n")


@pytest.mark.parametrize(
    ("answer", "span", "problem"),
    [
        ({"text": "to be", "answer_start": 14}, (14, 19), ""),
        ({"text": "to be", "answer_start": 16}, (14, 19), "moved"),
        ({"text": "to be", "answer_start": 40}, (43, 48), "moved"),
        ({"text": "to be", "answer_start": 9999}, (43, 48), "moved"),
        ({"text": "to be", "answer_start": -1}, (14, 19), "moved"),
        ({"text": "to be"}, (14, 19), ""),
        ({"text": " question ", "answer_start": 32}, (33, 41), "moved"),
        ({"text": " question", "answer_start": 32}, (32, 41), ""),
        ({"text": "the answer", "answer_start": 29}, None, "lost"),
        ({"text": " ", "answer_start": 2}, None, "empty"),
    ],
)
def test_answers_that_do_not_stand_at_their_offset(
    registry: Registry, tmp_path: Path, answer: dict[str, Any], span: tuple[int, int] | None, problem: str
) -> None:
    file = tmp_path / "dev.jsonl"
    answered(file, answer)
    task = registry.task("qa")
    dataset = task.open(task.data_config(path=str(file)))
    split = dataset.split("dev")
    (example,) = split
    assert example.label == Gold(() if problem == "empty" else (answer["text"],), span)
    assert example.label.is_lost == (problem == "lost")
    expected = {
        "": [],
        "moved": [
            "dev.jsonl: the answers of 1 question do not stand at their answer_start; the nearest occurrence is taken "
            "(first: hamlet)"
        ],
        "empty": [
            "dev.jsonl: the answers of 1 question are empty, but is_impossible is not true; read as having none "
            "(first: hamlet)"
        ],
        "lost": [
            "dev.jsonl: no answer of 1 question stands in the context; scored, but not trained on (first: hamlet)"
        ],
    }
    assert list(split.notes) == expected[problem]
    assert dataset.split("dev") == split, "told as often as it is read"
    assert dataset.notes == ()


def test_of_several_answers_the_first_that_stands_there_is_learned(
    examples_of: Callable[..., list[Example]], tmp_path: Path
) -> None:
    answered(tmp_path / "dev.jsonl", {"text": "nowhere"}, {"text": "question", "answer_start": 33})
    (example,) = examples_of("qa", tmp_path)
    assert example.label == Gold(("nowhere", "question"), (33, 41))


@given(st.text("ab ", max_size=12), st.text("ab ", min_size=1, max_size=3), st.integers(-3, 15))
@settings(deadline=None, max_examples=300)
def test_the_nearest_occurrence_is_found(context: str, answer: str, start: int) -> None:
    found = locate(context, answer, start)
    for text in (answer, answer.strip()):
        places = [place for place in range(len(context)) if text.strip() and context.startswith(text, place)]
        if places:
            assert found is not None
            assert context[slice(*found)] == text
            assert abs(found[0] - start) == min(abs(place - start) for place in places)
            return
    assert found is None


# Refused

SQUAD_MISTAKES = [
    ("[]", "no list of articles in 'data'"),
    ('{"data": {}}', "no list of articles in 'data'"),
    ('{"data": [\n\n{]}', ":3: column 2 is no JSON: Expecting"),
    ('{"data": [{"title": "x"}]}', "data[0]: no list 'paragraphs'"),
    ('{"data": [{"paragraphs": [{"qas": []}]}]}', "data[0].paragraphs[0]: the field 'context' is missing"),
    ('{"data": [{"paragraphs": [{"context": "c"}]}]}', "data[0].paragraphs[0]: no list 'qas'"),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"question": "q"}]}]}]}',
        "data[0].paragraphs[0].qas[0]: the field 'id' is missing",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "7a", "question": 5}]}]}]}',
        "question 7a: the field 'question' is no text",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "7a", "question": "q", "answers": "c"}]}]}]}',
        "question 7a: 'answers' is no list",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "7a", "question": "q", "answers": [{}]}]}]}]}',
        "question 7a: answers[0]: the field 'text' is missing",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": '
        '[{"id": "7a", "question": "q", "answers": [{"text": "c", "answer_start": "O"}]}]}]}]}',
        "question 7a: answer_start 'O' is no whole number",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "7a", "question": "q", "is_impossible": "ja"}]}]}]}',
        "question 7a: is_impossible 'ja' is no truth value",
    ),
    (
        r'{"data": [{"paragraphs": [{"context": "\ud83d", "qas": [{"id": "7a", "question": "q"}]}]}]}',
        "data[0].paragraphs[0]: half a surrogate pair",
    ),
    (
        r'{"data": [{"paragraphs": [{"context": "c", "qas": '
        r'[{"id": "7a", "question": "q", "answers": [{"text": "\ud83d"}]}]}]}]}',
        "question 7a: answers[0]: half a surrogate pair",
    ),
    (
        r'{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "\ud83d", "question": "q"}]}]}]}',
        "data[0].paragraphs[0].qas[0]: half a surrogate pair",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": true, "question": "q"}]}]}]}',
        "data[0].paragraphs[0].qas[0]: the field 'id' is no text",
    ),
    ("[" * 100_000, "no JSON"),
]


@pytest.mark.parametrize(("content", "cause"), SQUAD_MISTAKES)
def test_a_wrong_squad_file(registry: Registry, tmp_path: Path, content: str, cause: str) -> None:
    file = tmp_path / "dev-v1.1.json"
    file.write_text(content)
    refused(registry, "squad", file, cause)


LINE_MISTAKES = [
    ('{"context": "c", "answers": []}', ":2: the field 'question' is missing"),
    ('{"question": "q", "context": null}', ":2: the field 'context' is no text"),
    ('{"question": "q", "context": "c", "answers": {"text": ["c"]}}', ":2: 'answers' has no lists"),
    ('{"question": "q", "context": "c", "answers": [7]}', ":2: answers[0] is neither an object nor a text"),
    ("no json", ":2: column 1 is no JSON: Expecting value"),
]


@pytest.mark.parametrize(("line", "cause"), LINE_MISTAKES)
def test_a_wrong_line(registry: Registry, tmp_path: Path, line: str, cause: str) -> None:
    file = tmp_path / "dev.jsonl"
    file.write_text('{"question": "q", "context": "c", "answers": []}\n' + line + "\n")
    refused(registry, "qa", file, cause)


def test_a_named_encoding_and_a_mark_of_utf16_are_read(registry: Registry, tmp_path: Path) -> None:
    answers = [{"text": "\u5317\u4eac", "answer_start": 3}]
    question = {"id": "1", "question": "\u9996\u90fd\uff1f", "answers": answers}
    articles = {"data": [{"paragraphs": [{"context": "\u9996\u90fd\u662f\u5317\u4eac", "qas": [question]}]}]}
    line = {**question, "context": "\u9996\u90fd\u662f\u5317\u4eac"}
    contents = {
        "dev.json": json.dumps(articles, ensure_ascii=False),
        "dev.jsonl": json.dumps(line, ensure_ascii=False) + "\n",
    }
    task = registry.task("qa")
    for name, content in contents.items():
        for codec, options in (("utf-8", {}), ("gb18030", {"encoding": "gb18030"}), ("utf-16", {})):
            (tmp_path / name).write_bytes(content.encode(codec))
            dataset = task.open(task.data_config(dev=str(tmp_path / name), **options))
            ((example),) = dataset.split("dev")
            assert example.texts == {"question": "\u9996\u90fd\uff1f", "context": "\u9996\u90fd\u662f\u5317\u4eac"}
            assert example.label.answers == ("\u5317\u4eac",)
        (tmp_path / name).write_bytes(content.encode("gb18030"))
        refused(registry, "qa", tmp_path / name, "is not UTF-8; likely Chinese in GBK or GB18030")


def test_other_encodings_and_lines_under_another_name(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_bytes('{"data":\n["Café"]}'.encode("latin-1"))
    refused(registry, "qa", file, ":2: byte 5 is not UTF-8; likely a Western language")
    file.write_text('{"question": "q", "context": "c"}\n{"question": "q"}\n')
    refused(registry, "qa", file, ":2: the field 'context' is missing")
    file.write_bytes(b"\xef\xbb\xbf" + b'{"data": []}')
    task = registry.task("qa")
    assert task.open(task.data_config(path=str(file))).split("dev") == Split([], name="dev", files=(file,))


def refused(registry: Registry, name: str, file: Path, cause: str) -> DataError:
    task = registry.task(name)
    with pytest.raises(DataError) as caught:
        task.open(task.data_config(path=str(file))).split("dev")
    assert caught.value.cause.startswith(str(file))
    assert cause in caught.value.cause
    assert "\n" not in caught.value.cause
    assert caught.value.remedy
    return caught.value


def test_records_of_predict(registry: Registry) -> None:
    task = registry.task("qa")
    records = [
        ({"question": "Who?", "context": "Ada."}, Origin("in.jsonl", 1)),
        ({"question": "Who?"}, Origin("in.jsonl", 2)),
    ]
    assert task.parse_input(records[:1], task.data_config()) == [
        Example("0", {"question": "Who?", "context": "Ada."}, origin=Origin("in.jsonl", 1))
    ]
    with pytest.raises(DataError, match=r"in\.jsonl:2: the field 'context' is missing"):
        task.parse_input(records, task.data_config())


def test_ids_of_the_real_files_differ(squad_dev: list[Example]) -> None:
    assert Counter(example.identifier for example in squad_dev).most_common(1)[0][1] == 1
