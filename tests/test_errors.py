"""What errors show of texts that come from files."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bertcore.errors import LONGEST_LINE, ModelError, PluginError, printable


@given(st.text())
def test_nothing_that_moves_a_cursor_or_hides_text_is_shown(text: str) -> None:
    error = ModelError(f"file: {text}", text)
    for shown in (error.cause, error.remedy):
        assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert len(shown.splitlines()) <= 1
        shown.encode()


@given(st.text(st.characters(blacklist_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_other_text_of_any_language_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    shown = ModelError("begin" + "x" * 1_000_000 + "end").cause
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert len(shown) < LONGEST_LINE + 10


def test_the_traceback_of_a_plugin_keeps_its_lines() -> None:
    assert PluginError("broken\n  File x\x1b[1m").cause == "broken\n  File x\\x1b[1m"
