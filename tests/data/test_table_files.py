"""Tables of any form: what is found out by their content equals what the csv module reads when it is told."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bertcore.data.bad_examples import gather_errors
from bertcore.data.table_files import Table, TableForm, read_table
from bertcore.errors import DataError, Origin

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.csv"


def rows_of(file: Path, form: TableForm | None = None) -> list[tuple[Any, ...]]:
    return [tuple(fields.values()) for fields, _ in read_table(file, form).records]


def parse_table(content: bytes, form: TableForm | None, suffix: str) -> Table:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = Path(f"a{suffix}")
        file.write_bytes(content)
        return read_table(file, form)


def fails(content: bytes, suffix: str = ".csv", form: TableForm | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        parse_table(content, form, suffix)
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    return caught.value


# Separators and quotes

CSV_FIELD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',;"\n\t\u2028\x0c'), max_size=12)


@in_one_folder
@given(rows=st.lists(st.tuples(CSV_FIELD, CSV_FIELD)), mark=st.booleans())
@example(rows=[("line\r\nline", "\r\n")], mark=False)
def test_csv_is_read_as_the_csv_module_writes_it(file, rows, mark):
    with open(file, "w", encoding="utf-8-sig" if mark else "utf-8", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    while rows and not any(rows[-1]):  # spreadsheets write such rows; they hold nothing
        rows.pop()
    assert rows_of(file) == rows


WORDS = st.text(st.characters(categories=["L", "N"], include_characters=" .\u3002\uff0c!"), min_size=1, max_size=20)


@in_one_folder
@given(
    rows=st.lists(st.tuples(WORDS, CSV_FIELD, WORDS), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";"]),
    suffix=st.sampled_from([".csv", ".tsv", ".txt"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_separator_is_found_whatever_the_suffix(rows, separator, suffix, quoting):
    """Wherever every row has it: the separator is the one that the rows have in common."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, quoting=quoting).writerows([("id", "text", "label"), *rows])
    found = parse_table(stream.getvalue().encode(), None, suffix)
    told = csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter=separator)
    assert [list(fields.values()) for fields, _ in found.records] == list(told)[1:]
    assert found.columns == ("id", "text", "label")


@in_one_folder
@given(
    rows=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8),
    suffix=st.sampled_from([".csv", ".tsv", ".txt"]),
    header=st.booleans(),
)
def test_tabs_are_found_whatever_the_suffix(rows, suffix, header):
    lines = [("text", "label")] * header + rows
    content = "".join("\t".join(row) + "\n" for row in lines).encode()
    found = parse_table(content, TableForm(header=header, least_columns=2), suffix)
    assert [tuple(fields.values()) for fields, _ in found.records] == rows


def test_commas_and_semicolons_in_texts_do_not_count(file):
    rows = ["a, b, and c;1", "d, e, and f;0", "g;0"]
    file.write_text("text;label\n" + "".join(row + "\n" for row in rows))
    assert rows_of(file) == [tuple(row.split(";")) for row in rows]
    assert read_table(file).notes == (f"{file}: its fields are parted by semicolons, whatever its suffix says",)
    file.write_text('text,label\n"one; two",x\nthree; four,y\n')
    assert rows_of(file) == [("one; two", "x"), ("three; four", "y")]
    assert read_table(file).notes == ()


def test_a_table_of_texts_alone_is_not_taken_apart_at_their_commas(tmp_path):
    for name, head in (("a.tsv", "text\n"), ("b.tsv", ""), ("c.txt", "")):
        (tmp_path / name).write_text(head + "Hello, world\nGoodbye, moon\n")
        found = rows_of(tmp_path / name, TableForm(header=bool(head)))
        assert found == [("Hello, world",), ("Goodbye, moon",)]


def test_a_separator_can_be_named(file):
    for name, separator in (
        ("|", "|"),
        ("pipe", "|"),
        ("tab", "\t"),
        ("\\t", "\t"),
        ("_!_", "_!_"),
        ("semicolon", ";"),
    ):
        file.write_text(f"text{separator}label\nso, so{separator}x\n")
        assert rows_of(file, TableForm(separator=name)) == [("so, so", "x")]
    jsonl = parse_table(b'{"text": "a"}\n', TableForm(separator=";"), ".jsonl")
    assert jsonl.records == [({"text": "a"}, Origin("a.jsonl", 1))], "JSON has no separator"
    error = fails(b"a,b\n", form=TableForm(separator="\n"))
    assert "cannot part fields" in error.cause


def test_a_line_by_which_excel_tells_the_separator_is_no_header(file):
    for line in ("sep=;", '"sep=;"', "SEP=;\r"):
        file.write_text(f"{line}\ntext;label\na, b;x\n", newline="")
        table = read_table(file)
        assert table.columns == ("text", "label")
        assert table.records == [({"text": "a, b", "label": "x"}, Origin(str(file), 3))]


def test_nul_bytes_are_kept_and_said(file):
    file.write_bytes(b"text,label\na\0b,x\nc,\0\0y\n")
    table = read_table(file)
    assert [tuple(fields.values()) for fields, _ in table.records] == [("a\0b", "x"), ("c", "\0\0y")]
    (note,) = table.notes
    assert note.startswith(f"{file}: 3 NUL bytes, which texts seldom hold, the first in {file}:2")


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".txt"])
def test_quotes_between_tabs_are_text_unless_the_file_is_quoted_as_a_whole(suffix):
    text = b'text\tlabel\n"open\tx\nclose"\ty\n"all"\tz\n'
    assert [f["text"] for f, _ in parse_table(text, None, suffix).records] == ['"open', 'close"', '"all"']
    stream = io.StringIO()
    rows = [('He said "no"', "x"), ("two\nlines", "y"), ("a\ttab", "z"), ("plain", "x")]
    csv.writer(stream, delimiter="\t").writerows([("text", "label"), *rows])
    found = parse_table(stream.getvalue().encode(), None, suffix)
    assert [tuple(fields.values()) for fields, _ in found.records] == rows
    assert any("quotes enclose fields" in note for note in found.notes)


@pytest.mark.parametrize(
    "name", ["RTE/dev", "MRPC/train", "MRPC/test", "SST-2/dev", "STS-B/dev", "CoLA/dev", "CoLA/test"]
)
@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".txt"])
def test_real_tab_separated_files_are_read_as_the_csv_module_does_without_quoting(shared, name, suffix):
    """MRPC's quote characters are text, and sentences are full of commas; the suffix is of no account."""
    path = shared / "data" / "glue" / f"{name}.tsv"
    header = name != "CoLA/dev"
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        expected = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[header:]
    table = parse_table(path.read_bytes(), TableForm(header=header, least_columns=2), suffix)
    assert [list(fields.values()) for fields, _ in table.records] == expected


# Headers and columns


def test_columns_without_a_name_are_of_no_account_but_for_their_number(file):
    """Kaggle's spam.csv; the rows that spill into such columns are said."""
    file.write_text('v1,v2,,,\r\nham,"See you, ok?",,,\r\nspam,Reply," PO Box 1",,\r\nham,Fine\r\nham,Short,\r\n')
    table = read_table(file)
    assert table.columns == ("v1", "v2", "3", "4", "5")
    assert [fields["v2"] for fields, _ in table.records] == ["See you, ok?", "Reply", "Fine", "Short"]
    assert [table.column(name) for name in ("v1", "2", "4", "6", "v3")] == ["v1", "v2", "4", None, None]
    (note,) = table.notes
    assert note.startswith(f"{file}: 1 row with something in columns without a name (3, 4, 5)")
    assert note.endswith(f"the first is {file}:3")


def test_an_index_that_pandas_wrote_is_no_loss(file):
    file.write_text(",text,label\n0,a,x\n1,b,y\n")
    table = read_table(file)
    assert [fields["text"] for fields, _ in table.records] == ["a", "b"]
    assert table.notes == ()


def test_two_columns_of_one_name_are_told_apart_by_number(file):
    file.write_text("text,label,text\na,x,b\n")
    table = read_table(file)
    assert table.repeated == {"text"}
    assert table.column("text") is None
    assert [table.records[0][0][table.column(number)] for number in "123"] == ["a", "x", "b"]


def test_columns_without_names_have_numbers(file):
    file.write_bytes(b'a,"b,c"\n')
    table = read_table(file, TableForm(header=False))
    assert [fields for fields, _ in table.records] == [{"1": "a"}] or table.columns == ("1", "2")
    assert rows_of(file, TableForm(header=False, least_columns=2)) == [("a", "b,c")]
    assert table.header is False


def test_what_tells_a_header_is_shown_the_first_rows(file):
    file.write_text("a,x\nb,y\n")
    seen: list[Any] = []
    form = TableForm(is_header=lambda rows: bool(seen.append(rows)))
    assert rows_of(file, form) == [("a", "x"), ("b", "y")]
    assert seen == [[["a", "x"], ["b", "y"]]]


def test_names_have_no_blanks_and_no_mark_around_them(file):
    file.write_bytes(b"\xef\xbb\xbf text , label \na,x\n")
    assert read_table(file).columns == ("text", "label")


# Rows


@pytest.mark.parametrize(
    ("content", "number", "words"),
    [
        (b'a,b\n1,"2\n3"\n4\n', 4, "1 field instead of 2"),
        (b'a,b\n1,2\n"3,4\n5,6\n', 3, "unexpected end of data"),
        (b'a,b\n"1"2,3\n', 2, "expected after"),
        (b"a,b\n1,\xff\n", 2, "byte 2 is not UTF-8"),
        (b"a,b\n1,2\n\n1,2,3\n", 4, "3 fields instead of 2"),
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


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t"), (".txt", ";")])
def test_blank_lines_empty_rows_at_the_end_and_separators_at_the_end_hold_nothing(suffix, separator):
    lines = ["text|label", "", "a|x||", "b|y", "", "||", "|", ""]
    content = "\r\n".join(lines).replace("|", separator).encode()
    table = parse_table(content, None, suffix)
    assert [(tuple(fields.values()), origin) for fields, origin in table.records] == [
        (("a", "x"), Origin(f"a{suffix}", 3)),
        (("b", "y"), Origin(f"a{suffix}", 4)),
    ]
    assert f"a{suffix}: 2 rows without anything at the end passed over" in table.notes


def test_reading_goes_on_behind_bad_rows_of_a_check():
    content = b'a;b\n1;2\n3\n"x"y;4\n5;6\n\xff;7\n8;9\n'
    with gather_errors() as errors:
        table = parse_table(content, None, ".csv")
    assert [fields["a"] for fields, _ in table.records] == ["1", "5", "8"]
    assert sorted(cause.partition(": ")[0] for cause in errors) == ["a.csv:3", "a.csv:4", "a.csv:6"]


def test_lines_may_end_as_on_old_macs():
    assert [f["text"] for f, _ in parse_table(b"text,label\ra,x\rb,y\r", None, ".csv").records] == ["a", "b"]


def test_files_without_rows():
    assert "the file is empty" in fails(b"").cause
    assert "the file is empty" in fails(b"\xef\xbb\xbf\n\n", ".tsv").cause
    assert parse_table(b"text,label\n", None, ".csv").records == []


# JSON

RECORDS = st.lists(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | CSV_FIELD | st.none()),
    min_size=1,
)


@in_one_folder
@given(records=RECORDS, indent=st.sampled_from([None, 1]), suffix=st.sampled_from([".json", ".jsonl"]))
def test_one_list_of_objects_is_read_with_the_line_of_each(records, indent, suffix):
    content = json.dumps(records, ensure_ascii=False, indent=indent).encode()
    found = parse_table(content, None, suffix)
    assert [fields for fields, _ in found.records] == records
    lines = content.decode().split("\n")
    for fields, origin in found.records:
        line = origin.line
        assert lines[line - 1].lstrip("[ ").startswith(json.dumps(fields, ensure_ascii=False, indent=indent)[0])


@in_one_folder
@given(records=RECORDS, suffix=st.sampled_from([".json", ".jsonl"]))
def test_an_object_a_line_is_read_under_any_suffix_of_json(records, suffix):
    content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    if len(records) == 1 and suffix == ".json":
        records = records * 2
        content *= 2
    assert [fields for fields, _ in parse_table(content, None, suffix).records] == records


def test_json_is_told_by_its_content_too():
    lines = b'{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'
    for content in (lines, b'[{"text": "a", "label": 1},\n{"text": "b", "label": 0}]'):
        for suffix in (".csv", ".txt", ""):
            assert [f["text"] for f, _ in parse_table(content, None, suffix).records] == ["a", "b"]
    table = parse_table(b'{"a": 1}\tx\n[CLS] b\ty\n', TableForm(header=False, least_columns=2), ".tsv")
    assert [fields["1"] for fields, _ in table.records] == ['{"a": 1}', "[CLS] b"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"a": 1},\n{"a": }]', "a.json:2: column 7 is no JSON"),
        (b'[{"a": 1}\n{"a": 2}]', "a.json:2: the list has no comma"),
        (b'[{"a": 1},\n3]', "a.json:2: a int in the list"),
        (b'[{"a": 1}]\n[{"a": 2}]', "a.json:2: something stands behind the list"),
        (b'[{"a": 1}', "the list has no comma and no end here"),
        (b'{"text": {"0": "a"}, "label": {"0": 1}}', "one object of the columns 'text', 'label', as pandas.to_json"),
        (b'{"columns": ["text", "label"], "index": [0], "data": [["a", 1]]}', 'pandas.to_json(orient="split")'),
        (b'{"data": [\n{"text": "a"}]}', "one object with the fields 'data' is the whole file"),
        (b'[{"a": "\\ud800"}]', "half a surrogate pair"),
    ],
)
def test_json_of_another_form_is_named(content, words):
    assert words in fails(content, ".json").cause


# Encodings and other kinds of files

CHINESE = "text,label\n\u4eca\u5929\u5929\u6c14\u5f88\u597d,\u597d\n\u5f88\u4e0d\u597d\uff0c\u5dee,\u574f\n"
FRENCH = "text,label\nc'est d\u00e9j\u00e0 l'\u00e9t\u00e9,bon\ntr\u00e8s mauvais,mal\n"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(file, codec):
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(codec, b"")
    file.write_bytes(mark + CHINESE.encode(codec))
    assert rows_of(file) == [tuple(line.split(",")) for line in CHINESE.splitlines()[1:]]


@pytest.mark.parametrize(
    ("codec", "text"),
    [("gbk", CHINESE), ("gb18030", CHINESE), ("big5", CHINESE), ("latin-1", FRENCH), ("cp1252", FRENCH)],
)
def test_other_encodings_are_read_by_name_and_named_when_they_are_likely(file, codec, text):
    text = text.replace("\u574f", "\u597d") if codec == "big5" else text
    file.write_bytes(text.encode(codec))
    expected = [tuple(line.split(",")) for line in text.splitlines()[1:]]
    assert rows_of(file, TableForm(encoding=codec)) == expected
    error = fails(text.encode(codec))
    likely = {"gbk": "gb18030", "latin-1": "cp1252"}.get(codec, codec)
    assert f"--set data.encoding={likely}" in error.remedy
    assert "is not UTF-8" in error.cause
    assert rows_of(file, TableForm(encoding=likely)) == expected


@pytest.mark.parametrize("named", ["gb18030", "cp1252", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("text", [CHINESE, FRENCH, "text,label\nplain,x\n", "text,label\n只有,另一\n"])
def test_utf8_beside_files_of_another_encoding_stays_itself(file, named, text):
    """Read as GBK or Latin-1 it would give other characters, and no error."""
    for codec in ("utf-8", "utf-8-sig", "utf-16"):
        file.write_bytes(text.encode(codec))
        assert rows_of(file, TableForm(encoding=named)) == [tuple(line.split(",")) for line in text.splitlines()[1:]]


def test_a_word_that_is_utf8_by_chance_is_read_as_it_is_said_to_be(file):
    file.write_bytes("text,label\n摹模,x\n".encode("gbk"))
    assert file.read_bytes().decode("utf-8")
    assert rows_of(file, TableForm(encoding="gbk")) == [("摹模", "x")]


KOREAN = (
    "text,label\n" + "\uc624\ub298\uc740 \ub0a0\uc528\uac00 \uc544\uc8fc \uc88b\uc2b5\ub2c8\ub2e4,\uc88b\uc74c\n" * 4
)


def test_korean_is_not_taken_for_chinese_and_russian_for_nothing(shared):
    assert "--set data.encoding=euc_kr" in fails(KOREAN.encode("euc_kr")).remedy
    russian = (
        "text,label\n\u0441\u0435\u0433\u043e\u0434\u043d\u044f \u0445\u043e\u0440\u043e\u0448\u043e,\u0434\u0430\n" * 9
    )
    assert "likely" not in fails(russian.encode("cp1251")).cause
    titles = [json.loads(line)["sentence"] for line in (shared / "data/tnews/dev.json").open(encoding="utf-8")][:500]
    for start in range(0, 500, 20):
        content = "".join(title + "\n" for title in titles[start : start + 20]).encode("gb18030")
        assert "likely Chinese in GBK or GB18030" in fails(b"text,label\n" + content).cause


def test_a_byte_that_was_damaged_says_nothing_of_the_encoding(shared):
    """A file of UTF-8 with a broken line is not to be converted."""
    content = (shared / "data/tnews/dev.json").read_bytes()[:20_000]
    damaged = content[:9000] + b"\xe9" + content[9000:]
    assert "other characters of the file are UTF-8" in fails(damaged, ".jsonl").remedy


def test_a_wrong_encoding_is_named_with_its_line():
    error = fails(FRENCH.encode("latin-1"), form=TableForm(encoding="ascii"))
    assert error.cause == "a.csv:2: byte 18 of the file is not ascii"
    assert error.remedy == "its encoding is likely cp1252: --set data.encoding=cp1252"
    assert "there is no encoding 'chinese-ish'" in fails(b"a,b\n", form=TableForm(encoding="chinese-ish")).cause
    assert "is no encoding of text" in fails(b"a,b\n", form=TableForm(encoding="base64")).cause


def test_nul_bytes_of_utf16_without_a_mark_are_named():
    error = fails("text,label\nhello,x\n".encode("utf-16-le"))
    assert "every second byte is NUL: likely utf-16-le" in error.cause
    assert "--set data.encoding=utf-16-le" in error.remedy
    assert "likely utf-16-be" in fails("text,label\nhello,x\n".encode("utf-16-be")).cause


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "an Excel workbook (.xlsx)", "pandas.read_excel"),
        (b"PK\x03\x04" + b"\0" * 26 + b"train.csv", "a zip archive", "unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "an old Excel workbook (.xls)", "CSV UTF-8"),
        (b"PAR1\x15\x04", "a Parquet file", "pandas.read_parquet"),
        (b"\x1f\x8b\x08\0", "a gzip archive", "gunzip FILE"),
        (b"<!DOCTYPE html>\n<html>", "a web page (HTML)", "download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-lfs pointer", "git lfs pull"),
    ],
)
def test_what_is_no_text_is_named_for_what_it_is(content, what, remedy):
    error = fails(content)
    assert f"a.csv: this is {what}" in error.cause
    assert remedy in error.remedy
