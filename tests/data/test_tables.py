"""Reading tables and JSON lines as they are, with the line of what is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertcore.data.tables import LONGEST_LINE, read_json_lines, read_lines, read_tsv
from bertcore.errors import DataError, Origin


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dev.tsv"


FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]))
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@in_one_folder
@given(rows=st.lists(st.tuples(FIELD, FIELD, FIELD)), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_what_is_written_is_read(file, rows, end, last):
    lines = [("a", "b", "c"), *rows]
    text = end.join("\t".join(row) for row in lines) + (end if last else "")
    file.write_bytes(text.encode("utf-8"))
    found = read_tsv(file)
    assert [tuple(row.fields.values()) for row in found] == rows
    assert [str(row.origin) for row in found] == [f"{file}:{number}" for number in range(2, len(rows) + 2)]


@pytest.mark.parametrize(
    "text", ['"', "'", '"open', '""', "a,b", "\\t", "#", "\x00", "\x0c", "\x1c", "\u2028", "\x85", "😀"]
)
def test_quotes_and_odd_characters_are_text(file, text):
    file.write_bytes(f"first\tsecond\n{text}\tx\ny\t{text}\n".encode())
    assert [list(row.fields.values()) for row in read_tsv(file)] == [[text, "x"], ["y", text]]


def test_a_byte_order_mark_is_no_part_of_the_first_column(file):
    file.write_bytes(b"\xef\xbb\xbfid\ttext\n1\t\xef\xbb\xbfx\n")
    (row,) = read_tsv(file)
    assert row.fields == {"id": "1", "text": "\ufeffx"}


def test_lines_end_at_line_feeds_alone(file):
    file.write_bytes(b"one\r\ntwo\rstill two\n\nfour\x0cstill four\nlast without end")
    assert list(read_lines(file)) == [
        (1, "one"),
        (2, "two\rstill two"),
        (3, ""),
        (4, "four\x0cstill four"),
        (5, "last without end"),
    ]


def test_columns_may_be_named_for_a_file_without_header(file):
    file.write_bytes(b"gj04\t1\t\tThe sailors rode.\n")
    (row,) = read_tsv(file, columns=["source", "label", "mark", "sentence"])
    assert row.fields == {"source": "gj04", "label": "1", "mark": "", "sentence": "The sailors rode."}
    assert str(row.origin) == f"{file}:1"


@pytest.mark.parametrize(
    ("content", "number", "words"),
    [
        (b"a\tb\n1\t2\n3\n", 3, "1 field instead of 2"),
        (b"a\tb\n1\t2\t3\n", 2, "3 fields instead of 2"),
        (b"a\tb\n1\t2\n\n", 3, "1 field instead of 2"),
        (b"a\tb\n1\t\xff\n", 2, "byte 2 is not UTF-8"),
        (b"a\t\xc3\n1\t2\n", 1, "not UTF-8"),
        (b"a\tx\n1\t2\n", 1, "no column 'b'"),
    ],
)
def test_a_wrong_line_is_named(file, content, number, words):
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tsv(file, required=["b"])
    assert caught.value.cause.startswith(f"{file}:{number}: ")
    assert words in caught.value.cause
    assert caught.value.remedy


def test_lines_may_be_left_out_and_are_told(file):
    file.write_bytes(b"a\tb\n1\t2\n3\n4\t5\t6\n7\t8\n")
    told: list[Origin] = []
    assert [row.fields["a"] for row in read_tsv(file, leave_out=told.append)] == ["1", "7"]
    assert told == [Origin(str(file), 3), Origin(str(file), 4)]


def test_a_column_named_twice_is_refused(file):
    file.write_bytes(b"a\tb\ta\n1\t2\t3\n")
    with pytest.raises(DataError, match=r"dev\.tsv:1: two columns are named 'a'"):
        read_tsv(file)


def test_a_gigantic_line_is_named(file):
    file.write_bytes(b"a\n" + b"x" * LONGEST_LINE + b"\n" + b"x" * (LONGEST_LINE + 1) + b"\n")
    with pytest.raises(DataError, match=rf"dev\.tsv:3: a line of {LONGEST_LINE + 1} bytes"):
        list(read_lines(file))


def test_an_empty_file_has_no_header(file):
    file.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        read_tsv(file)
    assert read_tsv(file, columns=["a"]) == []


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "absent.tsv", tmp_path):
        with pytest.raises(DataError) as caught:
            read_tsv(path)
        assert str(path) in caught.value.cause
        assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "columns", "count"),
    [
        ("RTE/train.tsv", None, 2490),
        ("RTE/dev.tsv", None, 277),
        ("RTE/test.tsv", None, 3000),
        ("MRPC/train.tsv", None, 3668),
        ("MRPC/dev.tsv", None, 408),
        ("SST-2/dev.tsv", None, 872),
        ("STS-B/dev.tsv", None, 1500),
        ("CoLA/dev.tsv", ["source", "label", "mark", "sentence"], 1043),
    ],
)
def test_real_files_are_read_as_the_csv_module_does(shared, name, columns, count):
    path = shared / "data" / "glue" / name
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        expected = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = read_tsv(path, columns)
    assert len(rows) == count
    assert [list(row.fields.values()) for row in rows] == expected[0 if columns else 1 :]


@in_one_folder
@given(st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | FIELD | st.none())))
def test_json_lines_are_read(file, records):
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n\n" for record in records)
    file.write_bytes(text.encode("utf-8"))
    found = read_json_lines(file)
    assert [record for record, _ in found] == records
    assert [str(origin) for _, origin in found] == [f"{file}:{2 * number + 1}" for number in range(len(records))]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", ""),
        ("[1]", "a list instead"),
        ("3", "a int instead"),
        ("NULL", ""),
        pytest.param("[" * 100_000, "recursion", id="deep"),
    ],
)
def test_a_line_that_is_no_object_is_named(file, line, words):
    file.write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_json_lines(file)
    assert caught.value.cause.startswith(f"{file}:2: ")
    assert words in caught.value.cause
    assert "\n" not in caught.value.cause
