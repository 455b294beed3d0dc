"""Reading tab-separated, CSV and JSON-lines files as they are, with the line of what is wrong.

In tab-separated files and JSON lines, quotes are text and a line ends at a line feed only. In CSV (RFC 4180) quotes
quote, and a quoted field may hold commas and line ends.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError

LONGEST_LINE = 10_000_000
"""Bytes of the longest line, and characters of the longest CSV field: no text of an example is longer."""


@dataclass(frozen=True)
class Row:
    """One line of a table: the fields by column name, and where it stands (``RTE/dev.tsv:17``)."""

    fields: dict[str, str]
    origin: str


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line, without a byte-order mark and line ends.

    A line ends at LF or CRLF and nowhere else: texts hold form feeds, U+2028 and NUL.

    Raises:
        DataError: the file is missing, unreadable or not UTF-8, or has a line of more than ``LONGEST_LINE`` bytes (with
            the line).
    """
    yield from decode_lines(_content(file), str(file))


def read_lines_of_examples(file: Path, *, header: bool) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines` does of a file whose lines, but for a header, are examples or parts of them.

    A check goes on behind a line that is no text (:data:`bertcore.data.bad_examples.one_example`).
    """
    for number, line in _lines(_content(file)):
        with nullcontext() if header and number == 1 else one_example:
            yield number, _text(line, f"{file}:{number}")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path") from None


def decode_lines(content: bytes, name: str) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines` does of the content of a file, or of standard input, of this name."""
    for number, line in _lines(content):
        yield number, _text(line, f"{name}:{number}")


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the bytes of each line, without a byte-order mark and line feeds."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    yield from enumerate(lines, 1)


def _text(line: bytes, origin: str) -> str:
    if len(line) > LONGEST_LINE:
        remedy = "check that this is a text file with one example a line"
        raise DataError(f"{origin}: a line of {len(line)} bytes", remedy)
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        remedy = "convert the file to UTF-8, with iconv for example"
        raise DataError(f"{origin}: byte {error.start} is not UTF-8", remedy) from None


def read_tsv(
    file: Path,
    columns: Sequence[str] | None = None,
    required: Sequence[str] = (),
    *,
    header: bool = True,
    leave_out: Callable[[str], None] | None = None,
) -> list[Row]:
    """Reads a tab-separated file whose quote characters are text.

    Args:
        file: the file.
        columns: names of the columns of a file without header; None where the first line is the header.
        required: columns that must be there.
        header: false where the first line is no header and the columns have no names but their numbers, from ``"1"``.
        leave_out: told where each line with another number of fields stands, which is then left out; None makes such a
            line an error.

    Raises:
        DataError: a missing column, one named twice, or a line with another number of fields (file and line).
    """
    lines = (
        (number, line.split("\t")) for number, line in read_lines_of_examples(file, header=columns is None and header)
    )
    remedy = "correct the line: one tab between two fields, and none inside them"
    return _rows(file, lines, columns, required, header, remedy, leave_out)


def read_csv(file: Path, required: Sequence[str] = (), *, header: bool = True) -> list[Row]:
    """Reads a comma-separated file (RFC 4180); a row stands where it begins.

    Args:
        file: the file.
        required: columns that must be there.
        header: false where the first row is no header and the columns have no names but their numbers, from ``"1"``.

    Raises:
        DataError: a missing column, one named twice, a row with another number of fields, or a quoted field that
            does not end before a comma or a line end (file and line).
    """
    remedy = "correct the row: quote a field that holds a comma or a line end, and double the quotes inside it"
    with closing(_csv_records(file, header, remedy)) as records:
        return _rows(file, records, None, required, header, remedy)


def _csv_records(file: Path, header: bool, remedy: str) -> Generator[tuple[int, list[str]], None, None]:
    """Yields the line on which each record begins, and its fields; lines without anything are passed over."""
    reader = csv.reader(_csv_lines(file, header), strict=True)
    previous = csv.field_size_limit(LONGEST_LINE)
    begin, at_end = 1, False
    try:
        while not at_end:
            with one_example:  # an error ends the record; csv goes on with the next line
                try:
                    record = next(reader)
                except StopIteration:
                    at_end = True
                except csv.Error as error:
                    raise DataError(f"{file}:{begin}: {error}", remedy) from None
                else:
                    if record:
                        yield begin, record
            begin = reader.line_num + 1
    finally:
        csv.field_size_limit(previous)


def _csv_lines(file: Path, header: bool) -> Iterator[str]:
    """Yields the lines with their ends, which a quoted field keeps; what is no text leaves an empty line."""
    for number, line in _lines(_content(file)):
        text = ""
        with nullcontext() if header and number == 1 else one_example:
            text = _text(line, f"{file}:{number}") + ("\r" if line.endswith(b"\r") else "")
        yield text + "\n"


def _rows(
    file: Path,
    records: Iterator[tuple[int, list[str]]],
    columns: Sequence[str] | None,
    required: Sequence[str],
    header: bool,
    remedy: str,
    leave_out: Callable[[str], None] | None = None,
) -> list[Row]:
    if columns is None and header:
        first = next(records, None)
        if first is None:
            raise DataError(f"{file}: the file is empty", "its first line must be the header")
        columns = first[1]
        twice = next((name for number, name in enumerate(columns) if name in columns[:number]), None)
        if twice is not None:
            raise DataError(f"{file}:1: two columns are named {twice!r}", "rename one of them in the header")
    rows: list[Row] = []
    if columns is not None:
        _require(file, columns, required)
    for number, fields in records:
        if columns is None:
            columns = [str(position) for position in range(1, len(fields) + 1)]
            _require(file, columns, required)
        if len(fields) == len(columns):
            rows.append(Row(dict(zip(columns, fields, strict=True)), f"{file}:{number}"))
        elif leave_out is not None:
            leave_out(f"{file}:{number}")
        else:
            found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            with one_example:
                raise DataError(f"{file}:{number}: {found} instead of {len(columns)}", remedy)
    return rows


def _require(file: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"{file}:1: no column {', '.join(map(repr, missing))} among {', '.join(map(repr, columns))}",
            "check that this is the file of this task, with its header",
        )


def read_json_lines(file: Path) -> list[tuple[dict[str, Any], str]]:
    """Reads one JSON object a line, each with where it stands; empty lines are passed over.

    Raises:
        DataError: a line is no JSON object (file and line).
    """
    records: list[tuple[dict[str, Any], str]] = []
    for line in read_lines_of_examples(file, header=False):
        with one_example:
            records.extend(parse_json_lines([line], str(file)))
    return records


def parse_json_lines(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the JSON object of each numbered line that is not empty; raises as :func:`read_json_lines`."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            cause = f"{name}:{number}: column {error.colno} is no JSON: {error.msg}"
            raise DataError(cause, "write one JSON object a line") from None
        except (ValueError, RecursionError) as error:  # an integer of too many digits, or too deep a nesting
            raise DataError(f"{name}:{number}: no JSON: {error}", "write one JSON object a line") from None
        if not isinstance(value, dict):
            raise DataError(f"{name}:{number}: a {type(value).__name__} instead of a JSON object", "write {...} a line")
        if "\\ud" in line.lower() and not _is_text(json.dumps(value, ensure_ascii=False)):
            raise DataError(f"{name}:{number}: half a surrogate pair is no character", "repair the \\u escapes")
        yield value, f"{name}:{number}"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
