"""The user's own tables: CSV, TSV or JSON lines, and the columns of them that hold texts and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.data.tables import read_csv, read_json_lines, read_tsv
from bertcore.errors import DataError
from bertcore.task import Example
from pydantic import Field

from bertcore_tasks.custom.files import OwnFilesConfig
from bertcore_tasks.texts import plain_text, text_examples

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")
TEXTS = {"text": "text_pair", "sentence": None, "sentence1": "sentence2"}
"""Columns that are read where none is named: the text, and what holds its pair where it is there, too."""
IDENTIFIER = "id"

Record = tuple[Mapping[str, Any], str]
"""Fields by column, and where they stand."""


class TableConfig(OwnFilesConfig):
    """Data options of tasks on tables."""

    text: str | None = Field(None, description="column of the text; default: text, sentence or sentence1")
    text_pair: str | None = Field(None, description="column of a second text; default: text_pair or sentence2")
    label: str | None = Field(None, description="column of the label; default: label, or score for a regression")
    header: bool = Field(True, description="false where the first row is no header; columns are then 1, 2, 3, ...")


@dataclass(frozen=True)
class Table:
    """One file.

    Attributes:
        file: where it was read from.
        records: its rows.
        columns: names of all columns, or the fields of the first object.
    """

    file: Path
    records: Sequence[Record]
    columns: tuple[str, ...]


def read_table(file: Path, *, header: bool) -> Table:
    """Reads a file in the form that its suffix names.

    Raises:
        DataError: a row is wrong (with its line), or there is none.
    """
    suffix = file.suffix.lower()
    if suffix == ".csv":
        records: list[Record] = [(row.fields, row.origin) for row in read_csv(file, header=header)]
    elif suffix == ".tsv":
        records = [(row.fields, row.origin) for row in read_tsv(file, header=header)]
    else:
        records = [(record, f"{file.name}:{origin.rpartition(':')[2]}") for record, origin in read_json_lines(file)]
    if not records:
        raise DataError(f"{file}: no examples", "check the file")
    return Table(file, records, tuple(records[0][0]))


def read_examples(table: Table, data: TableConfig) -> list[Example]:
    """The texts of a table as examples without labels, in order.

    Raises:
        DataError: there is no such column, or a field is no text.
    """
    return text_examples(table.records, text_columns(table.columns, data, f"{table.file}:1"), IDENTIFIER)


def parse_records(records: Iterable[Record], data: TableConfig) -> list[Example]:
    """Reads the records of ``bertcore predict``, whose first one tells the columns.

    Raises:
        DataError: there is no such column, or a field is no text.
    """
    rows = list(records)
    return text_examples(rows, text_columns(tuple(rows[0][0]), data, rows[0][1]), IDENTIFIER) if rows else []


def text_columns(columns: Sequence[str], data: TableConfig, origin: str) -> tuple[str, ...]:
    """The columns of the text and of its pair, if any.

    Raises:
        DataError: there is none of this name.
    """
    if data.text is None:
        text = next((name for name in TEXTS if name in columns), None)
        if text is None:
            raise _missing(origin, " or ".join(map(repr, TEXTS)), columns, "data.text")
        pair = TEXTS[text] if TEXTS[text] in columns else None
    else:
        text, pair = data.text, None
    pair = data.text_pair or pair
    for name, key in ((text, "data.text"), (pair, "data.text_pair")):
        if name is not None and name not in columns:
            raise _missing(origin, repr(name), columns, key)
    return (text,) if pair is None else (text, pair)


def label_column(table: Table, data: TableConfig, defaults: Sequence[str], *, required: bool) -> str | None:
    """The column of the label.

    Args:
        table: the file.
        data: may name the column.
        defaults: names that are looked for where none is named.
        required: false where the file need not have labels.

    Raises:
        DataError: there is none.
    """
    names = defaults if data.label is None else (data.label,)
    found = next((name for name in names if name in table.columns), None)
    if found is None and required:
        raise _missing(f"{table.file}:1", " or ".join(map(repr, names)), table.columns, "data.label")
    return found


def label_field(record: Mapping[str, Any], column: str, origin: str) -> Any:
    """The label of a row, as the file holds it; None where the field is empty.

    Raises:
        DataError: a JSON object lacks the field.
    """
    if column not in record:
        raise DataError(f"{origin}: the field {column!r} is missing", "give every example its label")
    return None if record[column] == "" else record[column]


def label_text(value: Any, column: str, origin: str) -> str:
    """A label as text.

    Raises:
        DataError: it is a list, an object or null.
    """
    text = plain_text(value)
    if text is None:
        raise DataError(
            f"{origin}: {value!r} in the field {column!r} is no label",
            "write a text or a number; lists of labels need --set data.multi_label=true",
        )
    return text


def _missing(origin: str, names: str, columns: Sequence[str], key: str) -> DataError:
    return DataError(
        f"{origin}: no column {names} among {', '.join(map(repr, columns))}", f"name the column: --set {key}=NAME"
    )
