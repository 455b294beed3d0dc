"""Tables of any form: what is found out by their content equals what the csv module reads when it is told."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bertcore.data.table_files import TableForm, read_table
from bertcore.errors import DataError

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def rows_of(file: Path, form: TableForm | None = None) -> list[tuple[str, ...]]:
    return [tuple(fields.values()) for fields, _ in read_table(file, form).records]


CSV_FIELD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',"\n\u2028\x0c'))


@in_one_folder
@given(rows=st.lists(st.tuples(CSV_FIELD, CSV_FIELD)), mark=st.booleans())
@example(rows=[("line\r\nline", "\r\n")], mark=False)
def test_csv_is_read_as_the_csv_module_writes_it(file, rows, mark):
    with open(file, "w", encoding="utf-8-sig" if mark else "utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    while rows and not any(rows[-1]):  # spreadsheets write such rows; they hold nothing
        rows.pop()
    assert rows_of(file) == rows


@pytest.mark.parametrize(
    ("content", "number", "words"),
    [
        (b'a,b\n1,"2\n3"\n4\n', 4, "1 field instead of 2"),
        (b'a,b\n1,2\n"3,4\n5,6\n', 3, "unexpected end of data"),
        (b'a,b\n"1"2,3\n', 2, "expected after"),
        (b"a,b\n1,\xff\n", 2, "byte 2 is not UTF-8"),
    ],
)
def test_a_wrong_row_of_csv_is_named(file, content, number, words):
    file.write_bytes(content)
    limit = csv.field_size_limit()
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert caught.value.cause.startswith(f"{file}:{number}: ")
    assert words in caught.value.cause
    assert caught.value.remedy
    assert csv.field_size_limit() == limit


def test_a_field_of_csv_may_be_longer_than_the_csv_module_allows(file):
    file.write_text("text,label\n" + "x" * 200_000 + ",y\n")
    ((row, _),) = read_table(file).records
    assert len(row["text"]) == 200_000
