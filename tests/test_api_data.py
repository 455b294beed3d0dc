"""Data that a program has: frames, lists of dictionaries, columns and data sets mean what the same file means."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bertcore
from bertcore.config import RunConfig, known_keys
from bertcore.errors import BertcoreError, DataError, OutputError, UsageError

pytest.importorskip("torch")

OPTIONS = {"train.max_steps": 3, "train.batch_size": 8, "train.log_steps": 1}
Place = dict[str, Any]


@pytest.fixture(scope="module")
def frame(small_rte: Path) -> pd.DataFrame:
    """The pairs of RTE with two labels, some pairs without a second text, as pandas reads a TSV."""
    rows = [line.split("\t") for line in (small_rte / "train.tsv").read_text("utf-8").split("\n")[1:] if line]
    made = pd.DataFrame({"text": [row[1] for row in rows], "text_pair": [row[2] for row in rows]})
    made["label"] = [row[3] for row in rows]
    made.loc[[3, 10], "text_pair"] = None
    made.loc[5, "text_pair"] = float("nan")
    return made


@pytest.fixture(scope="module")
def place(tiny_en: Path) -> Place:
    return {"task": "classification", "backend": "torch", "model": tiny_en, "settings": OPTIONS}


@pytest.fixture(scope="module")
def from_frame(frame: pd.DataFrame, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("frame") / "run"
    return bertcore.run(
        **place, train=frame, dev=frame.iloc[:20], test=frame.iloc[20:30].drop(columns="label"), output=folder
    )


def weights(folder: Path) -> bytes:
    return (folder / "best" / "model.safetensors").read_bytes()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def test_a_frame_trains_to_the_bit_as_the_csv_file_that_pandas_writes_of_it(
    from_frame: Any, frame: pd.DataFrame, place: Place, tmp_path: Path
) -> None:
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame.iloc[:20].to_csv(tmp_path / "dev.csv", index=False)
    result = bertcore.run(**place, train=tmp_path / "train.csv", dev=str(tmp_path / "dev.csv"), output=tmp_path / "run")
    assert weights(result.folder) == weights(from_frame.folder)
    assert result.metrics == from_frame.metrics


class Features(dict[str, Any]):
    pass


class ClassLabel:
    names: ClassVar = ["entailment", "not_entailment"]


class DataSet:
    """What a ``datasets.Dataset`` is to bertcore: dictionaries, and features that name the numbers of a column."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.features = Features(text=object(), text_pair=object(), label=ClassLabel())
        self._rows = rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            yield {**row, "label": ClassLabel.names.index(row["label"])}

    def __len__(self) -> int:
        return len(self._rows)


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "list": records,
    "generator": lambda frame: (row for row in records(frame)),
    "columns": lambda frame: {name: frame[name].tolist() for name in frame},
    "columns of numpy": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "data set": lambda frame: DataSet(records(frame)),
    "another index": lambda frame: frame.set_index(np.arange(len(frame))[::-1] * 7),
    "strings of pandas": lambda frame: frame.convert_dtypes(),
    "categories": lambda frame: frame.astype({"label": "category"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_rows_is_the_same_data(
    form: str, frame: pd.DataFrame, from_frame: Any, place: Place, tmp_path: Path
) -> None:
    made = bertcore.convert_data(
        task="classification",
        model=place["model"],
        to_name="jsonl",
        train=FORMS[form](frame.fillna("")),
        dev=FORMS[form](frame.iloc[:20].fillna("")),
        output=tmp_path / "form",
    )
    kept = from_frame.folder / "data"
    bertcore.convert_data(
        task="classification",
        model=place["model"],
        to_name="jsonl",
        train=kept / "train.jsonl",
        dev=kept / "dev.jsonl",
        output=tmp_path / "file",
    )
    for name in ("train.jsonl", "dev.jsonl", "train.examples.jsonl"):
        expected, found = ((tmp_path / side / name).read_text("utf-8") for side in ("file", "form"))
        assert _without_origins(found) == _without_origins(expected)
    assert made.splits["train"].examples == len(frame)


def _without_origins(text: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in json.loads(line).items() if key != "origin"} for line in text.splitlines()]


def test_the_run_folder_keeps_the_rows_and_goes_on_with_them_wherever_it_lies(
    frame: pd.DataFrame, place: Place, tmp_path: Path, from_frame: Any
) -> None:
    options = {**OPTIONS, "train.stop_after": 1}
    stopped = bertcore.run(
        **{**place, "settings": options}, train=frame, dev=records(frame.iloc[:20].fillna("")), output=tmp_path / "run"
    )
    assert not stopped.finished
    assert "the rows of train, dev are kept in" in (stopped.folder / "run.log").read_text("utf-8")
    moved = shutil.move(stopped.folder, tmp_path / "elsewhere")
    finished = bertcore.resume(moved, settings={"train.stop_after": None})
    assert finished.finished
    assert weights(finished.folder) == weights(from_frame.folder)
    assert bertcore.evaluate(moved).evaluation.metrics == from_frame.metrics
    assert bertcore.evaluate(moved, split="train").evaluation.total == len(frame)


def test_seeds_share_the_rows(frame: pd.DataFrame, place: Place, tmp_path: Path) -> None:
    result = bertcore.run_seeds([1, 2], **place, train=frame, dev=frame, output=tmp_path / "seeds")
    assert {"data", "report.json", "seed-1", "seed-2"} <= {item.name for item in result.folder.iterdir()}
    assert not (result.folder / "seed-1" / "data").exists()
    assert bertcore.evaluate(result.folder / "seed-2").evaluation.metrics == result.runs[1].metrics


def test_rows_are_evaluated_and_scored_like_files(from_frame: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    rows = records(frame.iloc[30:50].fillna(""))
    frame.iloc[30:50].to_csv(tmp_path / "other.csv", index=False)
    by_file = bertcore.evaluate(from_frame.folder, data=tmp_path / "other.csv").evaluation
    assert bertcore.evaluate(from_frame.folder, data=rows).evaluation.metrics == by_file.metrics
    by_test = bertcore.evaluate(from_frame.folder, test=frame.iloc[30:50])
    assert by_test.evaluation.metrics == by_file.metrics
    assert by_test.evaluation.total == 20
    assert by_test.evaluation.errors[0]["origin"].startswith("test[")
    assert by_test.folder == from_frame.folder / "evaluations" / "test-torch-test"
    assert "bertcore-" not in (by_test.folder / "report.json").read_text("utf-8")
    predictions = tmp_path / "predictions.jsonl"
    predictions.write_text("".join(json.dumps(entry) + "\n" for entry in by_file.predictions), "utf-8")
    scored = bertcore.score(task="classification", predictions=predictions, dev=rows)
    assert scored.evaluation.metrics == pytest.approx(by_file.metrics)


def test_a_dictionary_of_splits_is_taken_as_the_datasets_library_gives_it(frame: pd.DataFrame, tiny_en: Path) -> None:
    report = bertcore.check_data(
        task="classification", data={"train": frame, "validation": records(frame[:9].fillna(""))}
    )
    assert {name: split.examples for name, split in report.splits.items()} == {"train": len(frame), "dev": 9}
    with pytest.raises(UsageError, match="the split dev is given twice"):
        bertcore.check_data(task="classification", dev=frame, data={"validation": frame})


def test_the_other_tasks_take_rows(tiny_en: Path, tmp_path: Path) -> None:
    text = "Anna met Bob in Paris."
    rows: dict[str, list[dict[str, Any]]] = {
        "regression": [{"text": f"number {number}", "label": np.float32(number)} for number in range(8)],
        "ner": [{"text": text, "entities": [{"start": 0, "end": 4, "type": "PER"}]}] * 8,
        "qa": [{"question": "Who?", "context": text, "answers": {"text": ["Anna"], "answer_start": np.array([0])}}] * 8,
    }
    for task, given_rows in rows.items():
        result = bertcore.run(
            task=task,
            backend="torch",
            model=tiny_en,
            train=given_rows,
            dev=pd.DataFrame(given_rows),
            output=tmp_path / task,
            settings={"train.max_steps": 1, "data.max_length": 32},
        )
        assert result.total == 8
        again = bertcore.evaluate(result.folder, dev=given_rows)
        assert again.evaluation.metrics == pytest.approx(result.metrics, nan_ok=True)
    with pytest.raises(UsageError, match="the task rte takes a folder, no single file"):
        bertcore.run(task="rte", backend="torch", model=tiny_en, train=rows["regression"])


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ([{"text": "a", "label": "x"}, {"text": "b", "label": None}], "train[1]: the field 'label' is empty"),
        (pd.DataFrame({"text": ["a", "b"], "label": ["x", None]}), "train[1]: the field 'label' is empty"),
        (
            [{"text": "a", "label": "x"}, {"text": b"b", "label": "y"}],
            "train[1]: the field 'text' is missing ('text' holds bytes)",
        ),
        (
            [{"text": "a", "label": "x"}, {"text": "b", "label": b"y"}],
            "train[1]: the field 'label' is missing ('label' holds bytes)",
        ),
        ([{"text": "a", "label": "x"}, "text"], "train[1]: str instead of a dictionary"),
        ([], "train: no rows"),
        (pd.DataFrame({"text": [], "label": []}), "train: no rows"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "train: two columns are named 'text'"),
        (pd.Series(["a", "b"]), "train[0]: str instead of a dictionary"),
        ({"text": ["a", "b"], "label": ["x"]}, "train: columns of different lengths: 'text' 2, 'label' 1"),
        ({"text": "a", "label": "x"}, "train: one dictionary, and 'text' in it is str"),
        ([{"text": "\ud800", "label": "x"}], "train[0]: half a surrogate pair is no character"),
        ([{"sentences": "a", "label": "x"}] * 2, "train[0]: no column 'text' or 'sentence' or "),
    ],
)
def test_what_is_wrong_with_rows_is_said_with_their_number(
    rows: Any, cause: str, place: Place, frame: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        bertcore.run(**place, train=rows, dev=frame, output=tmp_path / "run")
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy
    assert str(tmp_path) not in caught.value.cause
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused_and_left_alone(
    place: Place, frame: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "run" / "data").mkdir(parents=True)
    (tmp_path / "run" / "data" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        bertcore.run(**place, train=frame, dev=frame, output=tmp_path / "run")
    assert (tmp_path / "run" / "data" / "mine.txt").read_text() == "mine"


def test_columns_that_no_task_reads_may_hold_anything(place: Place, frame: pd.DataFrame) -> None:
    more = frame.assign(when=datetime(2024, 1, 1), picture=[object()] * len(frame), count=range(len(frame)))
    report = bertcore.check_data(task="classification", train=more, dev=frame)
    assert report.splits["train"].examples == len(frame)
    assert any("'picture' holds object, which is not read" in note for note in report.notes)


def test_rows_that_are_left_out_are_named_as_the_program_knows_them() -> None:
    rows = [{"text": text, "label": label} for text, label in (("a", "x"), ("b", "-"), ("c", "y"))]
    (left_out,) = bertcore.check_data(task="classification", train=rows).splits["train"].left_out
    assert (left_out.identifier, str(left_out.origin)) == ("1", "train[1]")
    assert left_out.reason == "'-': the annotators did not agree"


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=2),
    st.sampled_from(
        [pd.NA, pd.NaT, np.nan, np.float32(1), np.array([1, 2]), np.array([]), {"a", "b"}, ("a",), object(), [None], {}]
    ),
    st.sampled_from([pd.Timestamp("2024-01-01"), pd.Series(["a"]), np.datetime64("NaT"), 10**400, "x", "y"]),
)
ODD_ROWS = st.one_of(
    st.lists(
        st.one_of(
            st.dictionaries(
                st.sampled_from(["text", "label", "id", "context", "question", "answers", "entities", 1, None]),
                ODD_VALUES,
            ),
            ODD_VALUES,
        ),
        max_size=3,
    ),
    st.dictionaries(st.sampled_from(["text", "label", "text_pair"]), st.lists(ODD_VALUES, max_size=3)),
    st.lists(ODD_VALUES, max_size=3).map(lambda values: pd.Series(values, dtype=object)),
    st.lists(st.fixed_dictionaries({"text": ODD_VALUES, "label": ODD_VALUES}), max_size=3).map(
        lambda rows: pd.DataFrame(rows, dtype=object)
    ),
    st.lists(ODD_VALUES, max_size=3).map(lambda values: np.array(values, dtype=object)),
)


@pytest.mark.parametrize("task", ["classification", "regression", "ner", "qa"])
@given(rows=ODD_ROWS, multi_label=st.booleans())
@settings(max_examples=80, deadline=None)
def test_odd_rows_end_in_errors_of_bertcore(task: str, rows: Any, multi_label: bool) -> None:
    options = {"data.multi_label": True} if multi_label and task == "classification" else {}
    try:
        report = bertcore.check_data(task=task, train=rows, settings=options)
    except BertcoreError as caught:
        error = caught
    else:
        assert "train" in report.splits
        return
    assert error.cause
    assert error.remedy
    assert "\n" not in error.cause + error.remedy


# Inputs of predict


@pytest.fixture(scope="module")
def predicted(from_frame: Any) -> Callable[[Any], list[dict[str, Any]]]:
    return lambda inputs: bertcore.predict(from_frame.folder, inputs)


def test_pairs_texts_and_dictionaries_are_predicted_alike(
    predicted: Callable[[Any], list[dict[str, Any]]], frame: pd.DataFrame
) -> None:
    part = frame.iloc[:4].fillna("")
    expected = predicted([{"text": row["text"], "text_pair": row["text_pair"]} for row in records(part)])
    pairs = list(zip(part["text"], part["text_pair"], strict=True))
    for inputs in (pairs, map(list, pairs), iter(pairs), part, part.to_numpy()[:, :2], frame.iloc[:4], np.array(pairs)):
        assert predicted(inputs) == expected


@pytest.fixture(scope="module")
def one_text(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"review": f"{word} film", "label": word} for word in ("good", "bad")] * 4
    folder = tmp_path_factory.mktemp("one-text") / "run"
    settings = {"train.max_steps": 1, "data.text": "review"}
    bertcore.run(
        task="classification", backend="torch", model=tiny_en, train=rows, dev=rows, output=folder, settings=settings
    )
    return folder


def test_plain_texts_are_predicted(one_text: Path) -> None:
    expected = bertcore.predict(one_text, [{"review": "a film"}, {"review": ""}])
    for inputs in (
        ["a film", ""],
        ("a film", ""),
        pd.Series(["a film", None]),
        np.array(["a film", ""]),
        [("a film",), [""]],
    ):
        assert bertcore.predict(one_text, inputs) == expected
    assert bertcore.predict(one_text, "a film") == expected[:1]
    assert bertcore.predict(one_text, []) == []


@pytest.mark.parametrize(
    ("inputs", "cause"),
    [
        ({"review": "a"}, "inputs is one dictionary"),
        (["a", None], "inputs[1]: NoneType instead of a text"),
        ([3], "inputs[0]: int instead of a text"),
        ([("a", "b")], "inputs[0]: 2 texts, and the model reads 1: review"),
        ([{"review": 3}], "inputs[0]: the field 'review' is no text"),
        ([{"rewiew": "a"}], "inputs"),
        (pd.DataFrame({"a": ["b"]}), "inputs"),
        ([[]], "inputs[0]: list instead of a text"),
        (b"a", "predict(): inputs is the bytes b'a'"),
        (3, "predict(): inputs is the int 3"),
    ],
)
def test_odd_inputs_end_in_errors_of_bertcore(one_text: Path, inputs: Any, cause: str) -> None:
    with pytest.raises(BertcoreError) as caught:
        bertcore.predict(one_text, inputs)
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy


@given(inputs=ODD_ROWS | ODD_VALUES)
@settings(max_examples=25, deadline=None)
def test_any_input_is_predicted_or_refused(one_text: Path, inputs: Any) -> None:
    try:
        predictions = bertcore.predict(one_text, inputs)
    except BertcoreError as caught:
        error = caught
    else:
        assert isinstance(predictions, list)
        return
    assert error.remedy
    assert "\n" not in error.cause + error.remedy


KEYS = [key for key, _ in known_keys(RunConfig) if not key.startswith(("run.output", "train."))]
ODD_SETTING = st.tuples(st.sampled_from(KEYS), ODD_VALUES)


@given(setting=ODD_SETTING, function=st.sampled_from(["evaluate", "predict", "check_data", "score"]))
@example(setting=("task", pd.NA), function="check_data")
@settings(max_examples=40, deadline=None)
def test_odd_settings_of_a_call_that_is_right_otherwise(
    one_text: Path, setting: tuple[str, Any], function: str
) -> None:
    rows = [{"review": "good film", "label": "good"}, {"review": "bad film", "label": "bad"}] * 4
    right: dict[str, dict[str, Any]] = {
        "evaluate": {"folder": one_text},
        "predict": {"folder": one_text, "inputs": ["a film"]},
        "check_data": {"task": "classification", "train": rows},
        "score": {"task": "classification", "dev": rows, "predictions": one_text / "predictions.jsonl"},
    }
    try:
        result = getattr(bertcore, function)(**right[function], settings=dict([setting]))
    except BertcoreError as caught:
        error = caught
    else:
        assert result is not None
        return
    assert error.remedy
    assert "\n" not in error.cause + error.remedy


def test_rows_are_mappings_of_any_kind(place: Place) -> None:
    class Row(Mapping[str, Any]):
        def __init__(self, **values: Any) -> None:
            self._values = values

        def __getitem__(self, key: str) -> Any:
            return self._values[key]

        def __iter__(self) -> Iterator[str]:
            return iter(self._values)

        def __len__(self) -> int:
            return len(self._values)

    rows = [Row(text="a", label="x"), Row(text="b", label="y")]
    assert bertcore.check_data(task="classification", train=rows).labels == ("x", "y")
