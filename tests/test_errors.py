"""What errors show of texts that come from files."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bertcore.error_codes import error_json
from bertcore.errors import LONGEST_LINE, DataError, ModelError, Origin, PluginError, printable, shown_as_rows


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


def test_a_place_is_shown_as_compilers_show_it() -> None:
    assert str(Origin("dev.tsv")) == "dev.tsv"
    assert str(Origin("dev.tsv", 7)) == "dev.tsv:7"
    assert str(Origin("train", row=2)) == "train[2]"
    assert str(Origin("a.tf_record", part="record 5")) == "a.tf_record: record 5"
    inside = Origin("a.json", 3).within("entities").within("[2]").within(".PER")
    assert str(inside) == "a.json:3: entities[2].PER"
    assert inside.within("text") == Origin("a.json", 3, part="entities[2].PER: text")


def test_an_error_keeps_its_place_its_kind_and_its_words_apart() -> None:
    error = DataError("no JSON", "write one object a line", origin=Origin("a.jsonl", 3), code="not-json")
    assert (error.problem, error.cause, error.code) == ("no JSON", "a.jsonl:3: no JSON", "not-json")
    moved = error.at(Origin("train", row=2)).saying_also(" ('text' holds bytes)")
    assert (type(moved), moved.code, moved.remedy) == (DataError, "not-json", error.remedy)
    assert moved.cause == "train[2]: no JSON ('text' holds bytes)"
    assert error.at(None).cause == "no JSON"
    assert DataError("x").code == "data", "of a plugin that names no kind"


def test_files_that_hold_a_programs_rows_are_shown_as_these_rows() -> None:
    place, other = Origin("/tmp/x/train.jsonl", 3, part="text"), Origin("/tmp/x/dev.jsonl", 3)
    error = DataError("empty", origin=place)
    with shown_as_rows({"/tmp/x/train.jsonl": "train"}):
        assert f"{place}, as at {other}" == "train[2]: text, as at /tmp/x/dev.jsonl:3"
        assert str(Origin("/tmp/x/train.jsonl")) == "train"
        assert error.cause == "train[2]: text: empty"
        assert place.shown() == Origin("train", row=2, part="text")
        with shown_as_rows({"/tmp/x/dev.jsonl": "dev"}):
            assert f"{place}, {other}" == "train[2]: text, dev[2]"
    assert error.cause == "/tmp/x/train.jsonl:3: text: empty"


def test_what_a_program_learns_of_an_error() -> None:
    known = error_json(DataError("no JSON", origin=Origin("a.jsonl", 3, part="[2]"), code="not-json"))
    assert known == {
        "code": "not-json",
        "kind": "DataError",
        "exit_code": 4,
        "file": "a.jsonl",
        "line": 3,
        "part": "[2]",
        "problem": "no JSON",
        "remedy": "",
        "documentation": "docs/errors-and-exit-codes.md#not-json",
    }
    of_a_plugin = error_json(ModelError("x", code="colour-unknown"))
    assert (of_a_plugin["file"], of_a_plugin["documentation"]) == (None, None)
    assert error_json(ModelError("x"))["documentation"] == "docs/errors-and-exit-codes.md#model"
