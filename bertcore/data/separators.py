"""Finding out what stands between the fields of a table, and whether its quotes quote.

Python's ``csv.Sniffer`` counts characters, and takes a letter or a space of running text for the separator. Here the
rows decide: a separator is what gives them all as many fields as the header has.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from bertcore.errors import DataError

TAB = "\t"
_OF_SUFFIX = {".tsv": TAB, ".csv": ",", ".tab": TAB}
_CANDIDATES = (TAB, ",", ";")
_NAMES = {"tab": TAB, "\\t": TAB, "comma": ",", "semicolon": ";", "space": " ", "pipe": "|"}
_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 500
_DOUBLED_QUOTE = re.compile(rb'(?:^|[\t\n])"[^\t\n"]*""')
_SHARE, _SURE_SHARE = 0.5, 0.9


def separator_of(wanted: str) -> str:
    r"""What the option names: itself, or ``tab``, ``\t``, ``comma``, ``semicolon``, ``space`` or ``pipe``.

    Raises:
        DataError: it holds a line end or nothing.
    """
    separator = _NAMES.get(wanted.lower(), wanted)
    if not separator or "\n" in separator or "\r" in separator or '"' in separator:
        raise DataError(
            f"the separator {wanted!r} cannot part fields",
            "--set data.separator=tab, comma, semicolon",
            code="separator-wrong",
        )
    return separator


def find_separator(content: bytes, suffix: str, least_columns: int) -> str:
    """Finds the separator of a table: that of its suffix where it parts the rows, else another that does.

    A separator parts the rows where the first one has at least two fields and half of the others have as many. Where
    that of the suffix parts the first row at least, rows with errors are likelier than another separator, which then
    has to part nine rows in ten.

    Args:
        content: in UTF-8, of the whole file.
        suffix: of the file, as ``.csv``.
        least_columns: a table of so many columns is sought.
    """
    own = _OF_SUFFIX.get(suffix)
    if least_columns < 2:
        return own or TAB
    sample = _sample(content)
    tables = {separator: _sample_rows(sample, separator) for separator in _CANDIDATES}
    widths = {separator: _named(rows[0]) for separator, rows in tables.items() if rows}
    shares = {name: _share(tables[name], width) for name, width in widths.items() if width > 1}
    if own is not None and shares.get(own, 0.0) >= _SHARE:
        return own
    enough = _SURE_SHARE if own in shares else _SHARE
    others = [name for name in shares if name != own and (shares[name] >= enough or own is None)]
    return max(others, key=lambda name: (shares[name], name == TAB, widths[name]), default=own or TAB)


def quotes_quote(content: bytes, separator: str) -> bool:
    """Whether quote characters enclose fields, as RFC 4180 says.

    Between commas and semicolons they do. Between tabs they are text, as in GLUE's files, unless every quote of the
    file is in the place that spreadsheets and pandas give it, and some are doubled inside a field, or the rows have
    the same number of fields only so.
    """
    if len(separator) > 1:
        return False
    if separator != TAB:
        return True
    if not content.startswith(b'"') and b'\n"' not in content and b'\t"' not in content:
        return False  # no field begins with a quote
    is_doubled = b'""' in content and _DOUBLED_QUOTE.search(content) is not None
    if not is_doubled and len({line.count(b"\t") for line in content.splitlines() if line}) == 1:
        return False
    text = content.decode(errors="replace")
    previous = csv.field_size_limit(len(text) + 1)
    try:
        widths = {len(row) for row in csv.reader(_lines(text), delimiter=TAB, strict=True) if row}
    except csv.Error:
        return False
    finally:
        csv.field_size_limit(previous)
    return len(widths) == 1


def _sample(content: bytes) -> str:
    """Whole lines from the beginning."""
    part = content[:_SAMPLE_BYTES]
    if len(part) < len(content) and b"\n" in part:
        part = part[: part.rindex(b"\n") + 1]
    return part.decode(errors="replace")


def _lines(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")]


def _sample_rows(sample: str, separator: str) -> list[list[str]]:
    if separator == TAB:
        return [line.removesuffix("\r").split(TAB) for line in sample.split("\n")[:_SAMPLE_ROWS] if line.strip("\r")]
    return _quoted_rows(sample, separator)


def _quoted_rows(sample: str, separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    previous = csv.field_size_limit(len(sample) + 1)
    try:
        for row in csv.reader(_lines(sample), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # what was read so far tells enough
    finally:
        csv.field_size_limit(previous)
    return rows


def _named(fields: Sequence[str]) -> int:
    """How many columns a header has; those without a name at its end do not count."""
    count = len(fields)
    while count > 1 and not fields[count - 1].strip():
        count -= 1
    return count


def _share(rows: Sequence[Sequence[str]], width: int) -> float:
    """The part of the rows behind the first that has so many fields, but for empty ones, or those without a name."""
    rest = rows[1:]
    agree = sum(len(row) == width or (len(row) > width and not any(row[width:])) for row in rest)
    return max(agree, sum(len(row) == len(rows[0]) for row in rest)) / len(rest) if rest else 1.0
