"""Whatever is handed to a public function, it ends in an error of bertcore's own: a line of cause and one of remedy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bertcore
from bertcore import api
from bertcore.api.argument_kinds import KINDS
from bertcore.config import RunConfig, known_keys
from bertcore.errors import BertcoreError, ConfigError, OutputError, UsageError

FUNCTIONS: dict[str, Callable[..., Any]] = {name: getattr(api, name) for name in api.__all__ if name.islower()}

NOWHERE: dict[str, Any] = {
    "task": "rte",
    "backend": "torch",
    "model": "nowhere/model",
    "data": "nowhere/data",
    "folder": "nowhere/run",
    "runs": ["nowhere/run"],
    "output": "nowhere/output",
    "source": "nowhere/a.ckpt",
    "destination": "nowhere/b.safetensors",
    "predictions": "nowhere/predictions.jsonl",
    "to_name": "tfrecord",
    "inputs": [{"sentence1": "a", "sentence2": "b"}],
    "seeds": [1, 2],
    "folds": 2,
}
"""Arguments without a mistake but that nothing is where they point, so that no call computes anything."""


class Odd:
    """An object that knows nothing."""


class OddPath:
    def __fspath__(self) -> bytes:
        return b"bytes"


ODD = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            float("nan"),
            float("inf"),
            10**400,
            -1,
            1 + 2j,
            "",
            " ",
            "\0",
            "\ud800",
            "\n",
            "x" * 300,
            "x" * 100_000,
            "/" * 50,
            b"",
            b"bytes",
            bytearray(b"a"),
            Path(),
            Path("a\0b"),
            PurePosixPath("x" * 300),
            OddPath(),
            Odd(),
            Odd,
            len,
            [],
            (),
            {},
            set(),
            [None],
            [[[]]],
            {"a": None},
            {1: 2},
            {"a": {"b": {}}},
            OrderedDict(a=1),
            range(3),
            iter([]),
            (number for number in range(3)),
            np.array([1, 2]),
            np.array(3),
            np.float32(1.5),
            np.str_("rte"),
            np.datetime64("2024-01-01"),
            np.array(["a", None], dtype=object),
            date(2024, 1, 1),
            Decimal("1.5"),
            sys,
        ]
    ),
    st.text(max_size=6),
    st.binary(max_size=4),
    st.floats(),
    st.lists(st.none() | st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.text(max_size=3), max_size=2),
)


def arguments_of(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: NOWHERE[name] for name in inspect.signature(function).parameters if name in NOWHERE}


def assert_cause_and_remedy(error: BertcoreError) -> None:
    assert error.cause
    assert error.remedy
    assert "\n" not in error.cause + error.remedy
    assert len(error.cause) < 1000


def call(function: Callable[..., Any], **arguments: Any) -> BertcoreError:
    with pytest.raises(BertcoreError) as caught:
        function(**arguments)
    assert_cause_and_remedy(caught.value)
    return caught.value


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_odd_values_end_in_errors_of_bertcore(
    name: str, data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = FUNCTIONS[name]
    changed = data.draw(st.sampled_from(list(inspect.signature(function).parameters)))
    call(function, **{**arguments_of(function), changed: data.draw(ODD)})
    assert list(tmp_path.iterdir()) == []


@given(key=st.sampled_from([key for key, _ in known_keys(RunConfig)]) | st.text(max_size=8), value=ODD)
@settings(max_examples=300, deadline=None)
def test_odd_settings_end_in_errors_of_bertcore(key: str, value: Any) -> None:
    call(bertcore.run, **{**arguments_of(bertcore.run), "data": None}, settings={key: value})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_argument_of_a_wrong_type_is_named_with_what_it_is_and_what_it_may_be(name: str) -> None:
    function = FUNCTIONS[name]
    for changed in inspect.signature(function).parameters:
        error = call(function, **{**arguments_of(function), changed: Odd()})
        assert isinstance(error, UsageError)
        assert error.cause.startswith(f"{name}(): {changed} is ")
        assert "Odd" in error.cause
        assert KINDS[changed].wanted in error.cause


def test_an_unknown_name_comes_with_the_nearest_one() -> None:
    error = call(bertcore.run, **arguments_of(bertcore.run), seting={})
    assert error.cause == "run() has no argument 'seting'"
    assert error.remedy == "did you mean 'settings'?"
    error = call(bertcore.run, **arguments_of(bertcore.run), learning_rate=1e-4)
    assert error.cause == "run() has no argument 'learning_rate'"
    assert error.remedy == "write settings={'train.learning_rate': ...}"
    error = call(bertcore.run, **arguments_of(bertcore.run), batch_size=8)
    assert error.remedy == "write settings={'train.batch_size': ...}"
    error = call(bertcore.convert, **arguments_of(bertcore.convert), learning_rate=8)
    assert error.remedy.startswith("it takes source, destination, ")


def test_missing_and_superfluous_arguments_are_named() -> None:
    error = call(bertcore.run, task="rte")
    assert (error.cause, error.remedy) == ("run() needs 'model'", 'give model="bert-base-uncased"')
    with pytest.raises(UsageError, match=r"predict\(\) takes 2 arguments by position, and 3 are given"):
        bertcore.predict("runs/a", [], "torch")  # type: ignore[misc]
    with pytest.raises(UsageError, match=r"'folder' twice"):
        bertcore.predict("runs/a", [], folder="runs/b")  # type: ignore[misc]


def test_numbers_of_numpy_and_paths_are_taken_where_numbers_and_texts_are() -> None:
    odd = {"train.epochs": np.float32(2), "run.seed": np.int64(3), "run.output": Path("nowhere/output")}
    error = call(bertcore.run, task="rte", backend="torch", model="nowhere", data="nowhere/data", settings=odd)
    assert "nowhere/data" in error.cause


def test_settings_may_be_sections() -> None:
    error = call(bertcore.run, **arguments_of(bertcore.run), settings={"train": {"epochs": -1}})
    assert isinstance(error, ConfigError)
    assert error.cause.startswith("settings: train.epochs = -1: ")
    error = call(bertcore.run, **arguments_of(bertcore.run), settings={"task": "sst2"})
    assert (error.cause, type(error)) == ("task= and settings['task'] say two things", UsageError)


def test_a_path_that_is_too_long_is_an_error_with_a_remedy() -> None:
    error = call(bertcore.predict, folder="x" * 300, inputs=[])
    assert isinstance(error, OutputError | UsageError)


def test_the_home_of_a_user_who_does_not_exist_is_a_path_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("", encoding="utf-8")
    for arguments in ({"folder": "~nobody-of-this-name/run"}, {"folder": Path("~nobody-of-this-name")}):
        assert "~nobody-of-this-name" in call(bertcore.evaluate, **arguments).cause
    error = call(bertcore.check_data, task="rte", data=tmp_path / "data", model="~nobody-of-this-name/model")
    assert error.remedy


def test_signatures_stay_those_of_the_functions() -> None:
    for name, function in FUNCTIONS.items():
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(inspect.unwrap(function)).parameters
        )
        assert function.__doc__
        assert set(inspect.signature(function).parameters) <= set(KINDS), name


def test_type_checkers_see_names_and_signatures(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "import bertcore\n"
        'result = bertcore.run(task="rte", model="m")\n'
        "reveal_type(result.metrics)\n"
        "reveal_type(bertcore.predict)\n"
        "bertcore.run(task=1, model='m')\n"
        "bertcore.runn\n"
        "try:\n    pass\nexcept bertcore.BertcoreError as error:\n    reveal_type(error.remedy)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", str(program)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    lines = [line.partition("program.py:")[2] for line in shown.splitlines()]
    assert any(line.startswith("3: note: Revealed type") and "Mapping[" in line for line in lines)
    assert any(line.startswith("4: note: Revealed type") and "folder" in line for line in lines)
    assert any(line.startswith('5: error: Argument "task"') for line in lines)
    assert any(line.startswith("6: error: Module has no attribute") for line in lines)
    assert any(line.startswith("10: note") and "str" in line for line in lines)
