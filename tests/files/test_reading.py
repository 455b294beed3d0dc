"""Python's garbage collector while a split is read."""

from __future__ import annotations

import gc

import pytest

from bertcore.contracts.dataset import Dataset, Split
from bertcore.errors import DataError


def test_the_collector_rests_while_a_split_is_read_and_goes_on_behind_it() -> None:
    working: list[bool] = []

    def read(name: str) -> Split:
        working.append(gc.isenabled())
        return Split()

    Dataset({"dev": ()}, read).split("dev")
    assert working == [False]
    assert gc.isenabled()


def test_the_collector_goes_on_behind_a_split_that_cannot_be_read() -> None:
    def read(name: str) -> Split:
        raise DataError("no example", code="examples-missing")

    with pytest.raises(DataError):
        Dataset({"dev": ()}, read).split("dev")
    assert gc.isenabled()


def test_a_collector_that_a_program_has_stopped_stays_so() -> None:
    gc.disable()
    try:
        Dataset({"dev": ()}, lambda name: Split()).split("dev")
        assert not gc.isenabled()
    finally:
        gc.enable()
