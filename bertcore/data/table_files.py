"""Tables as people have them: CSV, TSV, text with columns, JSON lines, or a list of objects, told by their content.

The same reader serves training, checking, scoring and predicting. The suffix is a hint and no promise: a ``.csv`` may
hold tabs or semicolons, a ``.txt`` a table, a ``.json`` one list or an object a line. Where the file leaves open how
it is meant, :class:`TableForm` says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bertcore.contracts.dataset import LeftOut
from bertcore.data.delimited import Delimited, read_delimited
from bertcore.data.json_lists import json_records
from bertcore.data.tables import Record, read_content

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")

IsHeader = Callable[[Sequence[Sequence[str]]], bool]
"""Tells from the first rows of a table whether the first of them names the columns."""


@dataclass(frozen=True)
class TableForm:
    """How a table is written, as far as its content is not asked.

    Attributes:
        separator: what stands between two fields; None: found.
        encoding: as Python names it; None: UTF-8, or UTF-16 with a byte-order mark.
        header: whether the first row names the columns; None: as ``is_header`` says.
        is_header: see there; by default a first row always names them.
        least_columns: how many a table must have; None: two, but one where there is no header, so that texts alone
            are not taken apart at their commas.
    """

    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    is_header: IsHeader = field(default=lambda rows: True)
    least_columns: int | None = None


@dataclass(frozen=True)
class Table:
    """The records of a table, in the order of the file.

    Attributes:
        name: of the file.
        records: the fields of each by column, and where it stands (``train.csv:17``). The fields of JSON are of any
            type, the others text.
        columns: of all records, in order. A column without a name, or with a name that others have, too, is called by
            its number, from ``"1"``.
        repeated: names that several columns have.
        header: whether the file names its columns in a first row; None where each record does.
        notes: what was found, passed over or repaired, in words and numbers.
        left_out: what stands in the file as an example and is none of the records.
    """

    name: str
    records: Sequence[Record]
    columns: tuple[str, ...]
    repeated: frozenset[str] = frozenset()
    header: bool | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def column(self, wanted: str) -> str | None:
        """The column of this name, or of this number from 1 where the file has a table of columns; None: absent."""
        if wanted in self.columns:
            return wanted
        if self.header is None or not (wanted.isascii() and wanted.isdecimal()):
            return None
        number = int(wanted)
        return self.columns[number - 1] if 0 < number <= len(self.columns) else None

    def take_records(self) -> Iterator[Record]:
        """Yields the records and forgets each, so that a large file is not held twice while something is made of it."""
        records = self.records
        if isinstance(records, list):
            records.reverse()
            while records:
                yield records.pop()
        else:
            yield from records


def read_table(file: Path, form: TableForm | None = None) -> Table:
    """Reads a file as a table.

    Args:
        file: of any suffix.
        form: how it is written.

    Raises:
        DataError: it is missing, no text or not in its encoding, or a row or an object is wrong (file and line).
    """
    form = form or TableForm()
    return _table(read_content(file, form.encoding), str(file), file.suffix.lower(), form)


def _table(content: bytes, name: str, suffix: str, form: TableForm) -> Table:
    records = json_records(content, name, certain=suffix in JSON_SUFFIXES)
    if records is not None:
        return _table_of_records(records, name)
    found: Delimited = read_delimited(
        content,
        name,
        suffix,
        separator=form.separator,
        header=form.header,
        is_header=form.is_header,
        least_columns=form.least_columns or (1 if form.header is False else 2),
    )
    return Table(name, found.records, found.columns, found.repeated, found.header, tuple(found.notes))


def _table_of_records(records: Sequence[Record], name: str) -> Table:
    # Of all records: a second text or a label must not be passed over because the first object lacks it.
    return Table(name, records, tuple(dict.fromkeys(key for fields, _ in records for key in fields)))
