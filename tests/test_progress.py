"""How far long work has come is told to whoever listens, and costs nothing where nobody does."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore import progress
from bertcore.contracts.events import Described, Event, WorkProgress
from bertcore.progress import about, describe, listening, tracked, work


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0.0)


def test_each_part_is_told_from_none_to_all() -> None:
    events: list[Event] = []
    with listening(events.append), about("dev"), work("predicting", 4, "rows", weight=10.0) as progress:
        progress.advance(1, 7.0)
        progress.advance(3, 3.0)
    told = [event for event in events if isinstance(event, WorkProgress)]
    assert [(event.activity, event.done, event.total, event.unit) for event in told] == [
        ("predicting dev", done, 4, "rows") for done in (0, 1, 4, 4)
    ]
    assert [event.part for event in told] == [0.0, 0.7, 1.0, 1.0]
    assert [event.ended for event in told] == [False, False, False, True]
    assert all(one.seconds <= two.seconds for one, two in itertools.pairwise(told))


def test_work_that_fails_has_an_end_too() -> None:
    events: list[WorkProgress] = []
    with pytest.raises(ZeroDivisionError), listening(events.append), work("dividing", 2, "parts"):  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert (events[-1].ended, events[-1].done) == (True, 0)


def test_listeners_replace_each_other_and_nobody_hears_what_is_silenced() -> None:
    outer: list[Event] = []
    inner: list[Event] = []
    with listening(outer.append):
        with listening(inner.append), about("a"), about("b"):
            assert list(tracked([1, 2], "counting", "numbers")) == [1, 2]
        with listening(None):
            describe(task="rte")
            list(tracked([1], "counting", "numbers"))
        describe(task="rte", data="DIR")
    assert {event.activity for event in inner if isinstance(event, WorkProgress)} == {"counting a b"}
    assert outer == [Described({"task": "rte", "data": "DIR"})]


def test_another_thread_has_its_own_listener() -> None:
    events: list[Event] = []
    with listening(events.append):
        thread = threading.Thread(target=lambda: list(tracked([1], "counting", "numbers")))
        thread.start()
        thread.join()
    assert events == []


@given(st.lists(st.integers(0, 5)))
def test_sizes_add_up(sizes: list[int]) -> None:
    events: list[WorkProgress] = []
    with listening(events.append):  # type: ignore[arg-type]
        assert list(tracked(sizes, "writing", "bytes", lambda size: size)) == sizes
    assert events[-1].done == events[-1].total == sum(sizes)
    assert events[-1].part == 1.0


def test_events_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", 3600.0)
    events: list[Event] = []
    with listening(events.append):
        list(tracked(range(10_000), "counting", "numbers"))
    assert len(events) == 2
