"""What a file is that should have been a table or JSON lines, and is neither: told by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bertcore.errors import DataError, Origin

_UNPACK = "unpack it, and name the file that was in it"
_PANDAS = "save it as CSV, in Python: pandas.{reader}(FILE).to_csv(NEW, index=False)"

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", _PANDAS.format(reader="read_parquet")),
    (b"ARROW1", "an Arrow (Feather) file", _PANDAS.format(reader="read_feather")),
    (b"ORC", "an ORC file", _PANDAS.format(reader="read_orc")),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Excel workbook (.xls)",
        "open it in a spreadsheet and save it as CSV UTF-8",
    ),
    (b"SQLite format 3\0", "an SQLite database", "export its table as CSV"),
    (b"\x1f\x8b", "a gzip archive", _UNPACK + ": gunzip FILE"),
    (b"BZh", "a bzip2 archive", _UNPACK + ": bunzip2 FILE"),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK + ": unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK + ": unzstd FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"%PDF-", "a PDF document", "give the text itself, as a table or one JSON object a line"),
    (b"\x93NUMPY", "a numpy array", "write texts and labels as CSV or one JSON object a line"),
    (b"\x80\x04\x95", "a Python pickle", "write its content as CSV or one JSON object a line"),
    (b"\x80\x05\x95", "a Python pickle", "write its content as CSV or one JSON object a line"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a git-lfs pointer that stands for the file",
        "fetch the file itself: git lfs pull",
    ),
)
"""How a file begins, what it then is, and what helps."""

_WORKBOOK = (
    "an Excel workbook (.xlsx)",
    "save it as CSV UTF-8 in the spreadsheet, or "
    + _PANDAS.format(reader="read_excel").removeprefix("save it as CSV, "),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)
_HEAD = 4096


def refuse_other_kinds(content: bytes, name: str) -> None:
    """Refuses the content of a file that is no text, or not the text that was meant.

    Args:
        content: its bytes, or at least the first of them.
        name: of the file.

    Raises:
        DataError: it is a workbook, an archive, a web page and the like; says what it is and how to make a text of it.
    """
    found = _kind(content)
    if found is not None:
        raise DataError(f"this is {found[0]}, and no text", found[1], origin=Origin(name), code="file-kind-wrong")


def _kind(content: bytes) -> tuple[str, str] | None:
    if content.startswith(b"PK\x03\x04"):
        return _WORKBOOK if _holds(content, (b"xl/", b"[Content_Types].xml")) else ("a zip archive", _UNPACK)
    if _WEB_PAGE.match(content[:_HEAD]):
        return "a web page (HTML)", "download the file itself, on GitHub and the like by the button 'raw'"
    return next(((what, remedy) for start, what, remedy in _KINDS if content.startswith(start)), None)


def _holds(content: bytes, names: Iterable[bytes]) -> bool:
    return any(name in content for name in names)
