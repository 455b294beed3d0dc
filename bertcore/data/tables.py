"""Reading lines, tab-separated files of known form and JSON lines as they are, with the line of what is wrong.

In tab-separated files and JSON lines, quotes are text and a line ends at a line feed only. Tables of any form are read
by :mod:`bertcore.data.table_files`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.encodings import is_utf8, not_utf8, utf8_content
from bertcore.data.file_kinds import refuse_other_kinds
from bertcore.errors import DataError, Origin
from bertcore.near_misses import did_you_mean, nearest_path

LONGEST_LINE = 10_000_000
"""Bytes of the longest line, and characters of the longest CSV field: no text of an example is longer."""

Record = tuple[Mapping[str, Any], Origin]
"""Fields by name, and where they stand."""


@dataclass(frozen=True)
class Row:
    """One line of a table: the fields by column name, and where it stands (``RTE/dev.tsv:17``)."""

    fields: dict[str, str]
    origin: Origin


def read_lines(file: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line, without a byte-order mark and line ends.

    A line ends at LF or CRLF and nowhere else: texts hold form feeds, U+2028 and NUL.

    Args:
        file: the file.
        encoding: as Python names it; None for UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        DataError: the file is missing, unreadable, no text or not in its encoding, or has a line of more than
            ``LONGEST_LINE`` bytes (with the line).
    """
    yield from decode_lines(read_content(file, encoding), str(file))


def read_lines_of_examples(file: Path, *, header: bool, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines` does of a file whose lines, but for a header, are examples or parts of them.

    A check goes on behind a line that is no text (:data:`bertcore.data.bad_examples.one_example`).
    """
    return lines_of_examples(read_content(file, encoding), str(file), header=header)


def read_content(file: Path, encoding: str | None = None) -> bytes:
    """Reads a text file as UTF-8, whatever its encoding; see :func:`bertcore.data.encodings.utf8_content`.

    Raises:
        DataError: it is missing, unreadable, no text (an Excel workbook, an archive) or not in its encoding.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None
    refuse_other_kinds(content, str(file))
    return utf8_content(content, str(file), encoding)


def unreadable(file: Path, error: OSError, remedy: str = "check the path") -> DataError:
    """The error about a data file that is missing, or that the system refuses to read.

    Args:
        file: that was named.
        error: of the system.
        remedy: what helps where no file of a similar name is found.
    """
    origin = Origin(str(file))
    if isinstance(error, FileNotFoundError):
        return DataError(
            str(error.strerror), did_you_mean(nearest_path(file), remedy), origin=origin, code="file-missing"
        )
    return DataError(error.strerror or str(error), remedy, origin=origin, code="file-unreadable")


def decode_lines(content: bytes, name: str) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines` does of the content of a file, or of standard input, of this name."""
    content = utf8_content(content, name)
    if is_plain(content):
        yield from _valid_lines(content)
        return
    for number, line in enumerate(io.BytesIO(content), 1):
        yield number, text_of_line(line, Origin(name, number), content)


def lines_of_examples(content: bytes, name: str, *, header: bool) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines_of_examples` does of UTF-8 content."""
    if is_plain(content):
        yield from _valid_lines(content)
        return
    for number, line in enumerate(io.BytesIO(content), 1):
        with nullcontext() if header and number == 1 else one_example:
            yield number, text_of_line(line, Origin(name, number), content)


def is_plain(content: bytes) -> bool:
    """Whether every line is UTF-8 and no longer than ``LONGEST_LINE``, so that none of them needs a look of its own."""
    is_short = len(content) <= LONGEST_LINE or all(len(line) <= LONGEST_LINE for line in io.BytesIO(content))
    return is_short and is_utf8(content)


def _valid_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """The lines of content that is UTF-8, decoded in C and a few at a time."""
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="\n"), 1):
        yield number, line.removesuffix("\n").removesuffix("\r")


def text_of_line(line: bytes, origin: Origin, content: bytes) -> str:
    """The text of one line of a file, without its end.

    Args:
        line: its bytes.
        origin: where it stands.
        content: of the whole file, which tells the encoding that is likely.

    Raises:
        DataError: it is too long, or not UTF-8.
    """
    line = line.removesuffix(b"\n")
    if len(line) > LONGEST_LINE:
        remedy = "check that this is a text file with one example a line"
        raise DataError(f"a line of {len(line)} bytes", remedy, origin=origin, code="line-too-long")
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(origin, error.start, content) from None


def read_tsv(
    file: Path,
    columns: Sequence[str] | None = None,
    required: Sequence[str] = (),
    *,
    leave_out: Callable[[Origin], None] | None = None,
) -> list[Row]:
    """Reads an official tab-separated file, whose quote characters are text.

    Args:
        file: the file.
        columns: names of the columns of a file without header; None where the first line is the header.
        required: columns that must be there.
        leave_out: told where each line with another number of fields stands, which is then left out; None makes such a
            line an error.

    Raises:
        DataError: a missing column, one named twice, or a line with another number of fields (file and line).
    """
    lines = read_lines_of_examples(file, header=columns is None)
    if columns is None:
        first = next(lines, None)
        if first is None:
            raise DataError(
                "the file is empty", "its first line must be the header", origin=Origin(str(file)), code="file-empty"
            )
        columns = first[1].split("\t")
        twice = next((name for number, name in enumerate(columns) if name in columns[:number]), None)
        if twice is not None:
            raise DataError(
                f"two columns are named {twice!r}",
                "rename one of them in the header",
                origin=Origin(str(file), 1),
                code="column-repeated",
            )
    _require(file, columns, required)
    rows: list[Row] = []
    name = str(file)
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) == len(columns):
            rows.append(Row(dict(zip(columns, fields, strict=True)), Origin(name, number)))
        elif leave_out is not None:
            leave_out(Origin(name, number))
        else:
            with one_example:
                raise DataError(
                    f"{count_of_fields(fields)} instead of {len(columns)}",
                    "correct the line: one tab between two fields, and none inside them",
                    origin=Origin(name, number),
                    code="field-count-wrong",
                )
    return rows


def count_of_fields(fields: Sequence[str]) -> str:
    """How many fields a line has, in words."""
    return f"{len(fields)} field{'s' * (len(fields) != 1)}"


def _require(file: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"no column {', '.join(map(repr, missing))} among {', '.join(map(repr, columns))}",
            "check that this is the file of this task, with its header",
            origin=Origin(str(file), 1),
            code="column-missing",
        )


def read_json_lines(file: Path) -> list[tuple[dict[str, Any], Origin]]:
    """Reads one JSON object a line, each with where it stands; empty lines are passed over.

    Raises:
        DataError: a line is no JSON object (file and line).
    """
    return json_lines_of(read_content(file), str(file))


def json_lines_of(content: bytes, name: str) -> list[tuple[dict[str, Any], Origin]]:
    """Reads UTF-8 content as :func:`read_json_lines` does; ``name`` is that of the file."""
    records: list[tuple[dict[str, Any], Origin]] = []
    for number, line in lines_of_examples(content, name, header=False):
        if line and not line.isspace():
            with one_example:
                origin = Origin(name, number)
                records.append((json_object(line, origin), origin))
    return records


def parse_json_lines(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[dict[str, Any], Origin]]:
    """Yields the JSON object of each numbered line that is not empty; raises as :func:`read_json_lines`."""
    for number, line in lines:
        if line.strip():
            origin = Origin(name, number)
            yield json_object(line, origin), origin


def json_object(line: str, origin: Origin) -> dict[str, Any]:
    """Reads the JSON object of a line.

    Raises:
        DataError: it is none; ``origin`` says where it stands.
    """
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"column {error.colno} is no JSON: {error.msg}"
        raise DataError(problem, "write one JSON object a line", origin=origin, code="not-json") from None
    except (ValueError, RecursionError) as error:  # an integer of too many digits, or too deep a nesting
        problem = f"no JSON: {error}"
        raise DataError(problem, "write one JSON object a line", origin=origin, code="not-json") from None
    if not isinstance(value, dict):
        problem = f"a {type(value).__name__} instead of a JSON object"
        raise DataError(problem, "write {...} a line", origin=origin, code="json-form-unknown")
    check_surrogates(line, value, origin)
    return value


def check_surrogates(text: str, value: Any, origin: Origin) -> None:
    """Refuses half a surrogate pair, which no text holds, in a value that was read from JSON text.

    Raises:
        DataError: there is one; ``origin`` says where.
    """
    if "\\" in text and "\\ud" in text.lower() and not _is_text(json.dumps(value, ensure_ascii=False)):
        raise DataError(
            "half a surrogate pair is no character", "repair the \\u escapes", origin=origin, code="surrogate-half"
        )


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
