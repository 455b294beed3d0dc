"""The page that follows one training step says what a step does."""

from __future__ import annotations

import re
from pathlib import Path

import one_step
import pytest
from one_step import ROOT, Call

TRAIN_STEP = "Session.train_step"
"""A contract: what is called is the session of the backend."""


@pytest.fixture(scope="module")
def calls(small_rte: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """All calls of a run of two steps on torch."""
    return one_step.traced_run("torch", small_rte, tiny_en, tmp_path_factory.mktemp("traced") / "run")


def test_every_function_is_in_the_file_that_the_page_names() -> None:
    stations = [*one_step.tree(), *one_step.column("torch"), *one_step.column("mindspore")]
    assert len(stations) > 40
    assert [station for station in stations if station.name not in one_step.defined_in(station.file)] == []


def test_every_file_that_the_page_names_is_there() -> None:
    files = set(re.findall(r"(?:bertcore|plugins)/[\w/]+\.py", one_step.PAGE))
    assert len(files) > 20
    assert [file for file in sorted(files) if not (ROOT / file).is_file()] == []


def test_each_function_of_the_tree_calls_those_below_it_in_their_order(calls: list[Call]) -> None:
    for caller, listed in one_step.callees(one_step.tree()):
        expected = [station for station in listed if station.name != TRAIN_STEP]
        assert one_step.order_of(expected, one_step.below(calls, caller.file, caller.name)) == expected


def test_the_tree_begins_at_the_command_and_ends_in_the_session_of_the_backend(calls: list[Call]) -> None:
    first = one_step.tree()[0]
    assert first in one_step.order_of([first], calls)
    step = one_step.below(calls, "bertcore/engine/training.py", "Trainer._step")
    assert one_step.column("torch")[0] in one_step.order_of(one_step.column("torch"), step)


def test_the_column_of_torch_is_in_the_order_of_the_calls(calls: list[Call]) -> None:
    stations = one_step.column("torch")
    step = one_step.last_of(calls, stations[0].file, stations[0].name)
    assert one_step.order_of(stations, step) == stations


def test_no_file_that_a_step_enters_is_missing_from_the_page(calls: list[Call]) -> None:
    step = one_step.last_of(calls, "bertcore/engine/training.py", "Trainer._step")
    core = {call.file for call in step if call.file.startswith("bertcore/")}
    backend = {call.file for call in step if call.file.startswith("plugins/backend_torch")}
    assert core - set(re.findall(r"`(bertcore/[\w/]+\.py)`", one_step.PAGE)) == set()
    assert backend - {station.file for station in one_step.column("torch")} == set()
