"""The exports that are known: each becomes records of texts with their label, and notes of what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcore.data.json_lists import json_records
from bertcore.data.table_files import Table, TableForm, read_table
from bertcore.data.tables import Record, read_content

from bertcore_tasks.annotations.fasttext import fasttext_records
from bertcore_tasks.annotations.label_studio import Kind, is_minimal, is_tasks, of_minimal, of_tasks, text_of_task
from bertcore_tasks.annotations.plain_records import PlainRecords
from bertcore_tasks.annotations.prodigy import is_prodigy, without_rejected


def plain_records(
    records: Sequence[Record], name: str, kind: Kind, label: str | None, *, keep_unlabeled: bool
) -> PlainRecords:
    """Turns what Label Studio or prodigy exported into plain records; others are returned as they are.

    Args:
        records: of the file, of which there is at least one.
        name: of the file, for the notes.
        kind: what is wanted of each text: ``spans``, or ``labels`` of the whole text.
        label: the control of the annotation interface that is read; None: the only one of the kind.
        keep_unlabeled: whether texts without an annotation stay, for a file that is to be predicted.

    Raises:
        DataError: a record has another form than the others, or the kind has several controls.
    """
    fields = records[0][0]
    if is_tasks(fields):
        return of_tasks(records, name, kind, label, keep_unlabeled=keep_unlabeled)
    if is_minimal(fields):
        return of_minimal(records, name, kind, label)
    if is_prodigy(fields):
        return without_rejected(records, name)
    return PlainRecords(records)


def labeled_table(file: Path, form: TableForm, label: str | None, *, keep_unlabeled: bool) -> Table:
    """Reads a file of texts and their labels: a table, or what a tool for annotating texts exported.

    Args:
        file: of any form that :func:`bertcore.data.table_files.read_table` reads, or fastText's lines.
        form: how it is written.
        label: the column of the label, or the control of the annotation interface; None: the only one.
        keep_unlabeled: whether texts without an annotation stay.

    Raises:
        DataError: see :func:`~bertcore.data.table_files.read_table` and :func:`plain_records`.
    """
    found = fasttext_records(read_content(file, form.encoding), str(file)) if file.suffix.lower() == ".txt" else None
    if found is not None:
        return _table(str(file), PlainRecords(found))
    table = read_table(file, form)
    if not table.records:
        return table
    plain = plain_records(table.records, file.name, "labels", label, keep_unlabeled=keep_unlabeled)
    return table if plain.records is table.records else _table(table.name, plain, table.notes)


def unlabeled_records(file: Path, encoding: str | None) -> list[Record] | None:
    """The texts of Label Studio's tasks, for ``bertcore predict``; None for any other file.

    Raises:
        DataError: the file is no JSON.
    """
    if file.suffix.lower() != ".json":
        return None
    records = json_records(read_content(file, encoding), str(file), certain=False)
    if not records or not is_tasks(records[0][0]):
        return None
    return [(text_of_task(fields, origin), origin) for fields, origin in records]


def _table(name: str, plain: PlainRecords, notes: tuple[str, ...] = ()) -> Table:
    columns = tuple(dict.fromkeys(key for fields, _ in plain.records for key in fields))
    return Table(name, plain.records, columns, notes=(*notes, *plain.notes), left_out=plain.left_out)


__all__ = ["Kind", "labeled_table", "plain_records", "unlabeled_records"]
