"""Questions as people have them in files, and in the official layouts of SWAG and C3."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from bertcore.contracts.dataset import Split
from bertcore.contracts.task import Task
from bertcore.data.bad_examples import gather_errors
from bertcore.errors import DataError, Origin
from bertcore.testing.plugin_under_test import load_plugin

from .conftest import DIALOGUES, SCENES, write_c3


def task_of(name: str) -> Task:
    return load_plugin(f"bertcore_tasks.plugins:{name}").task(name)


@pytest.fixture(scope="module")
def own() -> Task:
    return task_of("multiple_choice")


def read(task: Task, file: Path, split: str = "dev", **options: Any) -> Split:
    return task.open(task.data_config(**{split: str(file)}, **options)).split(split)


def texts(split: Split) -> list[list[str]]:
    return [list(example.texts.values()) for example in split]


QUESTION = ["The sky is clear.", "What colour is it?", "red", "blue", "green"]
OBJECTS: dict[str, dict[str, Any]] = {
    "names of ours": {"context": QUESTION[0], "question": QUESTION[1], "choices": QUESTION[2:], "label": 1},
    "RACE": {"article": QUESTION[0], "question": QUESTION[1], "options": QUESTION[2:], "answer": "B", "id": "high1"},
    "a text as the label": {"passage": QUESTION[0], "question": QUESTION[1], "options": QUESTION[2:], "answer": "blue"},
    "HellaSwag": {"ind": 4, "ctx": QUESTION[0], "query": QUESTION[1], "endings": QUESTION[2:], "label": "1"},
    "a field each": {
        "sent1": QUESTION[0], "sent2": QUESTION[1], "ending0": "red", "ending1": "blue", "ending2": "green", "label": 1,
    },
    "ARC": {
        "context": QUESTION[0], "question": QUESTION[1], "answerKey": "B",
        "choices": {"text": QUESTION[2:], "label": ["A", "B", "C"]},
    },
    "ARC with numbers": {
        "context": QUESTION[0], "question_stem": QUESTION[1], "answerKey": "2",
        "choices": {"text": QUESTION[2:], "label": ["1", "2", "3"]},
    },
    "choices in an order of their own": {
        "context": QUESTION[0], "question": QUESTION[1], "answerKey": "A",
        "choices": [{"label": name, "text": text} for name, text in zip("BAC", QUESTION[2:], strict=True)],
    },
    "objects": {"ctx": QUESTION[0], "stem": QUESTION[1], "choices": [{"text": c} for c in QUESTION[2:]], "label": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_all_forms_hold_the_same(own: Task, tmp_path: Path, name: str) -> None:
    (tmp_path / "dev.jsonl").write_text(json.dumps(OBJECTS[name]) + "\n", encoding="utf-8")
    split = read(own, tmp_path / "dev.jsonl")
    assert texts(split) == [QUESTION]
    assert [*split[0].texts] == ["context", "question", "choice0", "choice1", "choice2"]
    assert [example.label for example in split] == ["1"]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", ""), ("utf-8", "\ufeff"), ("gb18030", "")])
def test_c_eval_is_read_as_it_is(own: Task, tmp_path: Path, encoding: str, mark: str) -> None:
    """A question without a context, a column for each choice, and letters."""
    lines = 'id,question,A,B,C,D,answer\n0,"天空, 是什么颜色?",红,蓝,绿,黄,B\n1,草呢?,红,蓝,绿,黄,C\n'
    (tmp_path / "val.csv").write_bytes((mark + lines).encode(encoding))
    split = read(own, tmp_path / "val.csv", encoding=None if encoding == "utf-8" else encoding)
    assert texts(split)[0] == ["天空, 是什么颜色?", "红", "蓝", "绿", "黄"]
    assert [example.label for example in split] == ["1", "2"]
    assert [example.identifier for example in split] == ["0", "1"]
    assert str(split[1].origin).endswith("val.csv:3")


def test_questions_may_have_fewer_choices_than_columns(own: Task, tmp_path: Path) -> None:
    content = "question\tchoice0\tchoice1\tchoice2\tlabel\nOne?\ta\tb\tc\t2\nTwo?\td\te\t\t0\n"
    (tmp_path / "dev.tsv").write_text(content, encoding="utf-8")
    assert texts(read(own, tmp_path / "dev.tsv")) == [["One?", "a", "b", "c"], ["Two?", "d", "e"]]


@pytest.mark.parametrize(
    ("choices", "labels", "expected"),
    [
        (["3", "4", "5"], ["4", "5"], ["1", "2"]),  # as numbers, 4 and 5 would be none of three
        (["a", "b", "c"], ["a", "c"], ["0", "2"]),
        (["x", "y", "z"], ["0", "2"], ["0", "2"]),
        (["x", "y", "z"], ["0.0", "2.0"], ["0", "2"]),
        (["B", "A", "C"], ["A", "B"], ["0", "1"]),  # letters, as in every file of letters
        (["yes", "no"], ["no", "0"], ["1", "0"]),  # no one way: each as it comes
        (["x", "y", "z"], ["1", "3"], ["0", "2"]),  # as in Social IQa and WinoGrande
        (["x", "y", "z"], ["1", "2"], ["1", "2"]),
    ],
)
def test_a_label_is_a_number_a_letter_or_a_text(
    own: Task, tmp_path: Path, choices: list[str], labels: list[str], expected: list[str]
) -> None:
    rows = [{"question": "?", "choices": choices, "label": label} for label in labels]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert [example.label for example in read(own, tmp_path / "dev.jsonl")] == expected


def test_what_counts_choices_from_1_in_training_does_so_everywhere(own: Task, tmp_path: Path) -> None:
    for split, labels in {"train": (1, 3), "dev": (1, 2)}.items():
        rows = [{"question": "?", "choices": ["a", "b", "c"], "label": label} for label in labels]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dataset = own.open(own.data_config(path=str(tmp_path)))
    assert dataset.options["first_choice"] == 1
    assert dataset.split("train").notes == ("train.jsonl: the labels are numbers from 1",)
    assert [example.label for example in dataset.split("dev")] == ["0", "1"]
    with pytest.raises(DataError, match="label '3' is none of 3 choices") as raised:
        own.open(own.data_config(path=str(tmp_path), first_choice=0))
    assert raised.value.remedy == "write a number from 0 to 2"


def test_many_labels_without_a_0_are_spoken_of(own: Task, tmp_path: Path) -> None:
    rows = [{"question": "?", "choices": ["a", "b", "c"], "label": 1 + number % 2} for number in range(20)]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert "--set data.first_choice=1" in read(own, tmp_path / "dev.jsonl").notes[0]
    told = read(own, tmp_path / "dev.jsonl", first_choice=1)
    assert {example.label for example in told} == {"0", "1"}
    assert not told.notes


def test_a_label_must_be_what_the_question_calls_a_choice(own: Task, tmp_path: Path) -> None:
    row = {"question": "?", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "0"}
    (tmp_path / "dev.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="label '0' is none of the names of its choices"):
        read(own, tmp_path / "dev.jsonl")


def test_columns_are_named_by_options(own: Task, tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("q,first,second,gold,note\nWhy?,a,b,1,n\n", encoding="utf-8")
    options = {"question": "q", "choices": "first,second", "label": "gold", "context": "note"}
    assert texts(read(own, tmp_path / "dev.csv", **options)) == [["n", "Why?", "a", "b"]]
    (tmp_path / "dev.csv").write_text("Why?,a,b,1\nHow?,c,d,0\n", encoding="utf-8")
    split = read(own, tmp_path / "dev.csv", question="1", choices="2,3", label="4")
    assert texts(split) == [["Why?", "a", "b"], ["How?", "c", "d"]]
    assert [example.label for example in split] == ["1", "0"]


def test_further_files_are_read_from_the_columns_of_the_first(own: Task, tmp_path: Path) -> None:
    """A context that training did not see is none of the model's."""
    line = {"question": "Why?", "choices": ["a", "b"], "label": 0}
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text(json.dumps({**line, "context": "So."}) + "\n", encoding="utf-8")
    dataset = own.open(own.data_config(path=str(tmp_path)))
    assert texts(dataset.split("dev")) == [["Why?", "a", "b"]]
    assert dataset.options == {"context": "", "question": "question", "first_choice": 0}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"question": "?", "choices": ["a", "b"], "label": 2}, "label '2' is none of 2 choices"),
        ({"question": "?", "choices": ["a", "b"], "label": "C"}, "label 'C' is none of 2 choices"),
        ({"question": "?", "choices": ["a"], "label": 0}, "one choice"),
        ({"question": "?", "choices": "a, b", "label": 0}, "the field 'choices' is no list of texts"),
        ({"question": "?", "label": 0}, "the field 'choices' is missing"),
        ({"question": None, "choices": ["a", "b"], "label": 0}, "the field 'question' is no text"),
        ({"question": "?", "choices": ["a", "b"]}, "the field 'label' is missing"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_check_goes_on(
    own: Task, tmp_path: Path, line: dict[str, Any], words: str
) -> None:
    right = {"question": "?", "choices": ["a", "b"], "label": 0}
    file = tmp_path / "dev.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in (right, line, right)), encoding="utf-8")
    with pytest.raises(DataError, match=words) as caught:
        read(own, file)
    assert "dev.jsonl:2" in caught.value.cause
    assert "\n" not in caught.value.cause + caught.value.remedy
    with gather_errors() as errors:
        assert len(read(own, file)) == 2
    assert len(errors) == 1


@pytest.mark.parametrize("header", ["a,b,c", "question,label", "question,A,label", "choice0,choice1,label"])
def test_a_table_without_the_columns_is_refused(own: Task, tmp_path: Path, header: str) -> None:
    (tmp_path / "dev.csv").write_text(f"{header}\n{header}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(own, tmp_path / "dev.csv")
    assert caught.value.code == "column-missing"
    assert "--set data." in caught.value.remedy


def test_questions_without_an_agreed_answer_are_left_out_and_counted(own: Task, tmp_path: Path) -> None:
    lines = [{"question": "?", "choices": ["a", "b"], "label": label} for label in ("0", "-", "1")]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    split = read(own, tmp_path / "dev.jsonl")
    assert [example.label for example in split] == ["0", "1"]
    assert [one.identifier for one in split.left_out] == ["1"]
    assert any("1 of 3 examples are left out" in note for note in split.notes)


def test_a_test_file_needs_no_labels(own: Task, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"question": "?", "choices": ["a", "b"]}\n', encoding="utf-8")
    assert [example.label for example in read(own, tmp_path / "test.jsonl", "test")] == [None]
    (tmp_path / "test.jsonl").write_text('{"question": "?", "choices": ["a", "b"], "label": -1}\n', encoding="utf-8")
    assert [example.label for example in read(own, tmp_path / "test.jsonl", "test")] == [None]


def test_swag_in_its_official_layout(swag: Path) -> None:
    task = task_of("swag")
    dataset = task.open(task.data_config(path=str(swag)))
    assert [*dataset.files] == ["train", "dev", "test"]
    dev = dataset.split("dev")
    assert texts(dev) == [[context, start, *endings] for context, start, endings, _ in SCENES]
    assert [example.label for example in dev] == [str(label) for *_, label in SCENES]
    assert [example.label for example in dataset.split("test")] == [None] * len(SCENES)
    assert dev[1].identifier == "1"
    assert str(dev[0].origin).endswith("val.csv:2")
    own = task_of("multiple_choice")
    assert texts(read(own, swag / "val.csv")) == texts(dev), "and as a file of one's own"


def test_a_wrong_row_of_swag_is_named(swag: Path, tmp_path: Path) -> None:
    with (swag / "val.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[2][-1] = "4"
    with (tmp_path / "val.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    task = task_of("swag")
    with pytest.raises(DataError, match="the label '4' is none of 4 choices") as caught:
        task.open(task.data_config(path=str(tmp_path))).split("dev")
    assert "val.csv:3" in caught.value.cause


@pytest.mark.parametrize("prefix", ["", "c3-"])
def test_c3_in_both_official_layouts(tmp_path: Path, prefix: str) -> None:
    task = task_of("c3")
    dataset = task.open(task.data_config(path=str(write_c3(tmp_path, prefix))))
    assert {split: len(files) for split, files in dataset.files.items()} == {"train": 2, "dev": 2, "test": 1}
    dev = dataset.split("dev")
    assert len(dev) == 4, "dialogues, then mixed texts"
    assert dev[0].texts == {
        "context": "\n".join(DIALOGUES[0][0]),
        "question": "女的是怎么来的？",
        "choice0": "开车",
        "choice1": "坐地铁",
        "choice2": "走路",
    }
    assert [example.label for example in dev] == ["1", "0", "3", "1"]
    assert len({example.identifier for example in dev}) == 4
    test = dataset.split("test")
    assert [example.identifier for example in test] == ["0", "1", "10", "20"]
    assert [example.label for example in test] == [None] * 4
    assert str(dev[1].origin).endswith(f"{prefix}d-dev.json: [0][1][1]")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([["a"], [{"question": "?", "choice": ["x", "y"], "answer": "z"}], "1"], "the answer 'z' is none of 2 choices"),
        ([["a"], [{"question": "?", "choice": ["x", "y"]}], "1"], "the answer None is none of 2 choices"),
        ([["a"], [{"question": "?", "choice": "x"}], "1"], "the field 'choice' is missing or wrong"),
        ([["a"], ["?"], "1"], "no question"),
        ({"context": "a"}, "no text with its questions"),
    ],
)
def test_a_wrong_question_of_c3_is_named(tmp_path: Path, document: Any, words: str) -> None:
    (tmp_path / "d-dev.json").write_text(json.dumps([document]), encoding="utf-8")
    task = task_of("c3")
    with pytest.raises(DataError, match=words) as caught:
        task.open(task.data_config(path=str(tmp_path))).split("dev")
    assert "d-dev.json: [0]" in caught.value.cause


def test_the_submission_of_c3_is_that_of_clue() -> None:
    task = task_of("c3")
    predictions = [{"id": "7", "prediction": 2}, {"id": "8", "prediction": 0}]
    assert task.submission("test", predictions) == '{"id": 7, "label": 2}\n{"id": 8, "label": 0}\n'
    assert task.leaderboard is not None
    assert task.benchmark is not None
    assert task.leaderboard["test"] in task.benchmark.files


def test_a_file_of_c3_can_be_predicted_as_it_is(c3: Path, tmp_path: Path) -> None:
    task = task_of("c3")
    records = task.read_input(c3 / "test1.1.json", task.data_config())
    assert records is not None
    found = task.parse_input(records, task.data_config())
    expected = task.open(task.data_config(path=str(c3))).split("test")
    assert [(one.identifier, one.texts) for one in found] == [(one.identifier, one.texts) for one in expected]
    lines = '{"context": "c", "question": "q", "choice": ["a", "b"]}\n'
    for name in ("in.jsonl", "in.json"):
        (tmp_path / name).write_text(2 * lines, encoding="utf-8")
        assert task.read_input(tmp_path / name, task.data_config()) is None, "these are read as for every task"


@pytest.mark.parametrize("name", ["multiple_choice", "swag", "c3"])
def test_records_to_predict_have_known_names(name: str) -> None:
    task, origin = task_of(name), Origin("input", 1)
    records: list[dict[str, Any]] = [
        {"context": "c", "question": "q", "choices": ["a", "b"]},
        {"sent1": "c", "sent2": "q", "ending0": "a", "ending1": "b"},
        {"article": "c", "question": "q", "options": ["a", "b"], "answer": "A"},
    ]
    for record in records:
        (example,) = task.parse_input([(record, origin)], task.data_config())
        assert list(example.texts.values()) == ["c", "q", "a", "b"]
        assert example.label is None


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("swag", {"train": 73546, "dev": 20006, "test": 20005}),
        ("c3", {"train": 11869, "dev": 3816}),
    ],
)
def test_official_files_are_read_whole(name: str, sizes: dict[str, int]) -> None:
    folder = Path(__file__).resolve().parents[4] / "shared" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/data/{name} beside the repository's root")
    task = task_of(name)
    dataset = task.open(task.data_config(path=str(folder)))
    assert {split: len(dataset.split(split)) for split in sizes} == sizes
