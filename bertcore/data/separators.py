"""Finding out what stands between the fields of a table, and whether its quotes quote."""

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
_OWN_SHARE, _OTHER_SHARE = 0.5, 0.9


def separator_of(wanted: str) -> str:
    r"""What the option names: itself, or ``tab``, ``\t``, ``comma``, ``semicolon``, ``space`` or ``pipe``.

    Raises:
        DataError: it holds a line end or nothing.
    """
    separator = _NAMES.get(wanted.lower(), wanted)
    if not separator or "\n" in separator or "\r" in separator or '"' in separator:
        raise DataError(f"the separator {wanted!r} cannot part fields", "--set data.separator=tab, comma, semicolon")
    return separator


def find_separator(content: bytes, suffix: str, least_columns: int) -> str:
    """Finds the separator of a table: that of its suffix where it parts the rows, else another that does.

    A separator parts the rows where the first one has at least two fields and nine in ten others have as many; for
    that of the suffix half of them will do, so that errors in rows are named as such.

    Args:
        content: in UTF-8, of the whole file.
        suffix: of the file, as ``.csv``.
        least_columns: a table of so many columns is sought.
    """
    own = _OF_SUFFIX.get(suffix)
    if least_columns < 2:
        return own or TAB
    sample = _sample(content)
    widths = {separator: _widths(sample, separator) for separator in _CANDIDATES}
    shares = {separator: _share(found) for separator, found in widths.items() if found and found[0] > 1}
    if own is not None and shares.get(own, 0.0) >= _OWN_SHARE:
        return own
    others = [name for name in shares if name != own and shares[name] >= _OTHER_SHARE]
    if others:
        return max(others, key=lambda name: (shares[name], name == TAB, widths[name][0]))
    return own or (TAB if TAB in shares else ",")


def quotes_quote(content: bytes, separator: str) -> bool:
    """Whether quote characters enclose fields, as RFC 4180 says.

    Between commas and semicolons they do. Between tabs they are text, as in GLUE's files, unless the file as a whole
    is quoted as spreadsheets and pandas quote: some field with doubled quotes or a line end in it, and no quote out
    of place.
    """
    if len(separator) > 1:
        return False
    if separator != TAB:
        return True
    if b'"' not in content or not _DOUBLED_QUOTE.search(content):
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


def _widths(sample: str, separator: str) -> list[int]:
    """How many fields each row has; of the first, those without a name at its end do not count."""
    if separator == TAB:
        rows = [line.removesuffix("\r").split(TAB) for line in sample.split("\n")[:_SAMPLE_ROWS] if line.strip("\r")]
    else:
        rows = _quoted_rows(sample, separator)
    if not rows:
        return []
    return [_named(rows[0]), *(len(row) for row in rows[1:])]


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
    count = len(fields)
    while count > 1 and not fields[count - 1].strip():
        count -= 1
    return count


def _share(widths: Sequence[int]) -> float:
    """The part of the rows behind the first that has as many fields as it; fields without a name may come on top."""
    rest = widths[1:]
    if not rest:
        return 1.0
    most = max(rest) if len(set(rest)) == 1 and rest[0] >= widths[0] else widths[0]
    return sum(width in (widths[0], most) for width in rest) / len(rest)
