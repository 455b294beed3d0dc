"""Reading tab-separated and JSON-lines files as they are: quotes are text, lines end at a line feed only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.errors import DataError


@dataclass(frozen=True)
class Row:
    """One line of a table: the fields by column name, and where it stands (``dev.tsv:17``)."""

    fields: dict[str, str]
    origin: str


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line, without a byte-order mark and line ends.

    A line ends at LF or CRLF and nowhere else: texts hold form feeds, U+2028 and NUL.

    Raises:
        DataError: the file is missing, unreadable or not UTF-8 (with the line).
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path") from None
    yield from decode_lines(content, str(file))


def decode_lines(content: bytes, name: str) -> Iterator[tuple[int, str]]:
    """Yields what :func:`read_lines` does of the content of a file, or of standard input, of this name."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}:{number}: byte {error.start} is not UTF-8", "convert the file to UTF-8, with iconv for example"
            ) from None


def read_tsv(file: Path, columns: Sequence[str] | None = None, required: Sequence[str] = ()) -> list[Row]:
    """Reads a tab-separated file whose quote characters are text.

    Args:
        file: the file.
        columns: names of the columns of a file without header; None where the first line is the header.
        required: columns that must be there.

    Raises:
        DataError: a missing column, or a line with another number of fields (file and line).
    """
    lines = read_lines(file)
    if columns is None:
        header = next(lines, None)
        if header is None:
            raise DataError(f"{file}: the file is empty", "its first line must be the header")
        columns = header[1].split("\t")
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(
            f"{file}:1: no column {', '.join(map(repr, missing))} among {', '.join(map(repr, columns))}",
            "check that this is the file of this task, with its header",
        )
    rows: list[Row] = []
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise DataError(
                f"{file}:{number}: {len(fields)} fields instead of {len(columns)}",
                "correct the line: one tab between two fields, and none inside them",
            )
        rows.append(Row(dict(zip(columns, fields, strict=True)), f"{file.name}:{number}"))
    return rows


def read_json_lines(file: Path) -> list[tuple[dict[str, Any], str]]:
    """Reads one JSON object a line, each with where it stands; empty lines are passed over.

    Raises:
        DataError: a line is no JSON object (file and line).
    """
    return list(parse_json_lines(read_lines(file), str(file)))


def parse_json_lines(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the JSON object of each numbered line that is not empty; raises as :func:`read_json_lines`."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name}:{number}: {error}", "write one JSON object a line") from None
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
