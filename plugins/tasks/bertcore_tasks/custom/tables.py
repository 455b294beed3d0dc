"""The user's own tables: CSV, TSV or JSON lines, and the columns of them that hold texts and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_csv, read_json_lines, read_tsv
from bertcore.errors import DataError
from bertcore.task import Example
from pydantic import Field

from bertcore_tasks.own_files import OwnFilesConfig
from bertcore_tasks.texts import identifier_of, plain_text, text_example, text_examples

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


def read_split(
    split: str,
    file: Path,
    data: TableConfig,
    label_columns: Sequence[str],
    parse: Callable[[Any, str, str], Any],
    *,
    empty_is_label: bool = False,
) -> list[Example]:
    """Reads the examples of a file with their labels, which the split ``test`` need not have.

    Args:
        split: ``train``, ``dev`` or ``test``.
        file: in the form that its suffix names.
        data: says which columns are read.
        label_columns: what the column of the label may be called where ``data`` does not name it.
        parse: makes a label of a field: its value, where it stands, the name of its column.
        empty_is_label: whether ``parse`` takes the None of an empty field, which is an error otherwise. In the split
            ``test`` an empty field is a missing label even so, unless another example of the file has one.

    Raises:
        DataError: there is no example or no such column, or a field is missing or wrong (with its line).
    """
    records = _read_records(file, header=data.header)
    columns = _columns(records)
    names = label_columns if data.label is None else (data.label,)
    column = next((name for name in names if name in columns), None)
    if column is None and split != "test":
        raise _missing(f"{file}:1", " or ".join(map(repr, names)), columns, "data.label")
    texts = _text_columns(columns, data, f"{file}:1")
    has_labels = any(record.get(column) not in (None, "") for record, _ in records)
    may_lack = split == "test" and not (empty_is_label and has_labels)

    def labeled(example: Example, record: Mapping[str, Any], column: str) -> Example:
        if column not in record:
            raise DataError(f"{example.origin}: the field {column!r} is missing", "give every example its label")
        value = None if record[column] == "" else record[column]
        if value is None and may_lack:
            return example
        if value is None and not empty_is_label:
            raise DataError(f"{example.origin}: the field {column!r} is empty", f"the split {split} needs labels")
        return replace(example, label=parse(value, example.origin, column))

    examples: list[Example] = []
    for number, (record, origin) in enumerate(records):
        with one_example:
            example = text_example(record, origin, texts, identifier_of(record, IDENTIFIER, number))
            examples.append(example if column is None else labeled(example, record, column))
    if not examples:
        raise DataError(f"{file}: no example can be read", "correct its lines")
    return examples


def open_splits(
    files: Mapping[str, tuple[Path, ...]],
    data: TableConfig,
    read: Callable[[str, Path, TableConfig], list[Example]],
) -> tuple[Callable[[str], list[Example]], dict[str, str | None]]:
    """Reads the first split at once, and the others, when they are asked for, from the columns of its texts.

    Args:
        files: split to its file.
        data: says which columns are read, as far as the user does.
        read: reads a split from its file.

    Returns:
        What reads a split by name, each once, and the data options that name the columns.

    Raises:
        DataError: see :func:`read_split`.
    """
    first = next(iter(files))
    splits = {first: read(first, files[first][0], data)}
    text, *pair = splits[first][0].texts
    options = {"text": text, "text_pair": pair[0] if pair else None}
    settled = data.model_copy(update=options)

    def read_once(split: str) -> list[Example]:
        if split not in splits:
            splits[split] = read(split, files[split][0], settled)
        return splits[split]

    return read_once, options


def parse_records(records: Iterable[Record], data: TableConfig) -> list[Example]:
    """Reads the records of ``bertcore predict``.

    Raises:
        DataError: there is no such column, or a field is no text.
    """
    rows = list(records)
    return text_examples(rows, _text_columns(_columns(rows), data, rows[0][1]), IDENTIFIER) if rows else []


def input_fields(data: TableConfig) -> tuple[str, ...]:
    """The columns of the text and of its pair, by the first of their names where the options name none."""
    if data.text is None:
        return ("text", data.text_pair or "text_pair")
    return (data.text,) if data.text_pair is None else (data.text, data.text_pair)


def label_text(value: Any, origin: str, field: str) -> str:
    """A label as text.

    Args:
        value: text or JSON value.
        origin: where it stands.
        field: what it is, for the error.

    Raises:
        DataError: it is a list, an object or null.
    """
    text = plain_text(value)
    if text is None:
        raise DataError(
            f"{origin}: {value!r} in the field {field!r} is no label",
            "write a text or a number; lists of labels need --set data.multi_label=true",
        )
    return text


def _read_records(file: Path, *, header: bool) -> Sequence[Record]:
    records: Sequence[Record]
    suffix = file.suffix.lower()
    if suffix == ".csv":
        records = [(row.fields, row.origin) for row in read_csv(file, header=header)]
    elif suffix == ".tsv":
        records = [(row.fields, row.origin) for row in read_tsv(file, header=header)]
    else:
        records = read_json_lines(file)
    if not records:
        raise DataError(f"{file}: no examples", "check the file")
    return records


def _columns(records: Sequence[Record]) -> tuple[str, ...]:
    # Of all records: a second text or a label must not be passed over because the first object lacks it.
    return tuple(dict.fromkeys(name for fields, _ in records for name in fields))


def _text_columns(columns: Sequence[str], data: TableConfig, origin: str) -> tuple[str, ...]:
    """The columns of the text and of its pair, if any."""
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


def _missing(origin: str, names: str, columns: Sequence[str], key: str) -> DataError:
    remedy = f"name the column: --set {key}=NAME"
    is_table = origin.rpartition(":")[0].lower().endswith((".csv", ".tsv"))
    if is_table and "1" not in columns:
        remedy += "; where the first line is no header: --set data.header=false"
    return DataError(f"{origin}: no column {names} among {', '.join(map(repr, columns))}", remedy)
