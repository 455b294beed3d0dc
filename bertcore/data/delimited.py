"""Tables of rows and columns: records parted by line ends, fields by a separator."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice

from bertcore.data.bad_examples import one_example
from bertcore.data.separators import TAB, find_separator, quotes_quote, separator_of
from bertcore.data.tables import LONGEST_LINE, Record, count_of_fields, is_plain, lines_of_examples, text_of_line
from bertcore.errors import DataError, Origin

_FIRST_ROWS = 1000
"""How many rows are shown to whoever tells whether the first is a header."""

_WORDS = {TAB: "tabs", ",": "commas", ";": "semicolons"}
_USUAL = {".tsv": TAB, ".csv": ",", ".tab": TAB, ".txt": TAB}

_SEPARATOR_LINE = re.compile(rb'"?sep=([,;\t|])"?\r?(?=\n)', re.IGNORECASE)

Rows = Generator[tuple[int, list[str]], None, None]
"""The line on which each row begins, and its fields."""


@dataclass
class Delimited:
    """What was read; see :class:`bertcore.data.table_files.Table`."""

    columns: tuple[str, ...]
    header: bool
    repeated: frozenset[str] = frozenset()
    unnamed: tuple[int, ...] = ()
    records: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_delimited(
    content: bytes,
    name: str,
    suffix: str,
    *,
    separator: str | None,
    header: bool | None,
    is_header: Callable[[Sequence[Sequence[str]]], bool],
    least_columns: int,
) -> Delimited:
    """Reads the content of a table; what is left open is found.

    Blank lines, rows without anything at the end of the file and empty fields behind the last column are passed over.

    Args:
        content: in UTF-8.
        name: of the file.
        suffix: of the file, as ``.csv``, or nothing.
        separator: see :class:`bertcore.data.table_files.TableForm`, as the next three.
        header: whether the first row names the columns.
        is_header: tells it where ``header`` is None.
        least_columns: of the table.

    Raises:
        DataError: the file is empty, or a row has another number of fields than the columns, or quotes stand out of
            place (file and line).
    """
    if b"\n" not in content and b"\r" in content:
        content = content.replace(b"\r", b"\n")  # as spreadsheets on old Macs end lines
    content, told = _without_separator_line(content)
    separator = separator or told
    found = find_separator(content, suffix, least_columns) if separator is None else separator_of(separator)
    quoted = quotes_quote(content, found)
    with closing(_rows(content, name, found, quoted, header)) as rows:
        first = [*islice(rows, 1 if header is not None else _FIRST_ROWS)]
        if not first:
            remedy = "give a file with a header and a row for each example"
            raise DataError("the file is empty", remedy, origin=Origin(name), code="file-empty")
        named = is_header([fields for _, fields in first]) if header is None else header
        table = _with_columns(first[0][1], named)
        _read_records(table, chain(first[1:] if named else first, rows), name, _remedy(found, quoted))
    table.notes += _words_on_nul(content, name)
    if separator is None and found != _USUAL.get(suffix, found):
        table.notes.append(f"{name}: its fields are parted by {_WORDS[found]}, whatever its suffix says")
    if quoted and found == TAB:
        table.notes.append(f"{name}: its quotes enclose fields, as spreadsheets write them, and are not read as text")
    return table


def _without_separator_line(content: bytes) -> tuple[bytes, str | None]:
    """The content behind a first line ``sep=;``, by which Excel tells the separator; the line stays, and is blank."""
    match = _SEPARATOR_LINE.match(content)
    return (content, None) if match is None else (content[match.end() :], match[1].decode())


def _words_on_nul(content: bytes, name: str) -> list[str]:
    first = content.find(b"\0")
    if first < 0:
        return []
    line, count = content.count(b"\n", 0, first) + 1, content.count(b"\0")
    return [
        f"{name}: {count} NUL byte{'s' * (count != 1)}, which texts seldom hold, the first in {Origin(name, line)}; "
        "kept as text, but the file may be damaged"
    ]


def _with_columns(first: Sequence[str], named: bool) -> Delimited:
    """The columns: by their names, and by their numbers where they have none of their own."""
    names = [field.strip() for field in first]
    if not named:
        return Delimited(tuple(str(number) for number in range(1, len(names) + 1)), header=False)
    repeated = frozenset(name for name in names if name and names.count(name) > 1)
    columns: list[str] = []
    for number, name in enumerate(names, 1):
        by_number = not name or name in repeated
        columns.append(_free(str(number), {*names, *columns}) if by_number else name)
    unnamed = tuple(position for position, name in enumerate(names) if not name)
    return Delimited(tuple(columns), header=True, repeated=repeated, unnamed=unnamed)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"column {name}"
    return name


def _read_records(table: Delimited, rows: Iterator[tuple[int, list[str]]], name: str, remedy: str) -> None:
    columns, width, unnamed = table.columns, len(table.columns), table.unnamed
    least = width
    while least - 1 in unnamed:  # a row may end before them
        least -= 1
    surplus = unnamed if unnamed != (0,) else ()  # pandas writes its index as a first column without a name
    lost: list[int] = []
    records = table.records
    for number, fields in rows:
        if len(fields) != width:
            problem = _fit(fields, width, least)
            if problem:
                with one_example:
                    raise DataError(problem, remedy, origin=Origin(name, number), code="field-count-wrong")
                continue
        if surplus and any(fields[position].strip() for position in surplus):
            lost.append(number)
        records.append((dict(zip(columns, fields, strict=True)), Origin(name, number)))
    table.notes += _without_anything_at_the_end(records, name) if width > 1 else []
    if lost:
        numbers = ", ".join(columns[position] for position in surplus)
        table.notes.append(
            f"{name}: {len(lost)} row{'s' * (len(lost) != 1)} with something in columns without a name ({numbers}), "
            f"which are read by number or not at all; the first is {Origin(name, lost[0])}"
        )


def _without_anything_at_the_end(records: list[Record], name: str) -> list[str]:
    """Takes away what spreadsheets write for rows that were emptied."""
    before = len(records)
    while records and not any(records[-1][0].values()):
        records.pop()
    count = before - len(records)
    return [f"{name}: {count} row{'s' * (count != 1)} without anything at the end passed over"] if count else []


def _fit(fields: list[str], width: int, least: int) -> str:
    """Brings a row to the number of columns where nothing is lost by it, or says what is wrong with it."""
    surplus = fields[width:]
    if least <= len(fields) < width:
        fields.extend([""] * (width - len(fields)))
    elif surplus and not any(surplus):
        del fields[width:]
    else:
        return f"{count_of_fields(fields)} instead of {width}"
    return ""


def _remedy(separator: str, quoted: bool) -> str:
    word = {TAB: "tab", ",": "comma", ";": "semicolon"}.get(separator, repr(separator))
    if quoted:
        return (
            f"correct the row: quote a field that holds a {word} or a line end, and double the quotes inside it; "
            "for another separator: --set data.separator=SEPARATOR"
        )
    return (
        f"correct the line: one {word} between two fields, and none inside them; "
        "for another separator: --set data.separator=SEPARATOR"
    )


def _rows(content: bytes, name: str, separator: str, quoted: bool, header: bool | None) -> Rows:
    if quoted:
        return _quoted_rows(content, name, separator, header)
    return _plain_rows(content, name, separator, header)


def _plain_rows(content: bytes, name: str, separator: str, header: bool | None) -> Rows:
    for number, line in lines_of_examples(content, name, header=header is not False):
        if line:
            yield number, line.split(separator)


def _quoted_rows(content: bytes, name: str, separator: str, header: bool | None) -> Rows:
    reader = csv.reader(_quoted_lines(content, name, header), delimiter=separator, strict=True)
    previous = csv.field_size_limit(LONGEST_LINE)
    begin = 1
    try:
        while True:
            try:
                for fields in reader:
                    if fields:
                        yield begin, fields
                    begin = reader.line_num + 1
                return
            except csv.Error as error:  # ends the row; csv goes on with the next line
                with one_example:
                    raise DataError(
                        str(error),
                        _remedy(separator, quoted=True),
                        origin=Origin(name, begin),
                        code="quotes-unbalanced",
                    ) from None
                begin = reader.line_num + 1
    finally:
        csv.field_size_limit(previous)


def _quoted_lines(content: bytes, name: str, header: bool | None) -> Iterator[str]:
    """The lines with their ends, which a quoted field keeps."""
    if is_plain(content):
        return iter(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="\n"))
    return _checked_lines(content, name, header)


def _checked_lines(content: bytes, name: str, header: bool | None) -> Iterator[str]:
    """The same of content in which some line is no text; it leaves an empty line."""
    for number, line in enumerate(io.BytesIO(content), 1):
        text = ""
        with nullcontext() if header is not False and number == 1 else one_example:
            text = text_of_line(line, Origin(name, number), content)
        yield text + ("\r\n" if line.endswith(b"\r\n") else "\n")
