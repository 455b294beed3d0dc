"""What ``predict`` is given, as the records that a task reads: plain texts, lines, tables, and a task's own files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.config import DataConfig
from bertcore.contracts.task import Task
from bertcore.data.table_files import TableForm, read_table
from bertcore.data.tables import Record, read_lines
from bertcore.errors import Origin, UsageError

EVERYDAY_NAMES = ("text", "text_pair")
"""What the first and the second text may be called whatever the training file calls them."""

PLAIN_SUFFIX = ".txt"
PAIR_SEPARATOR = "\t"
"""What parts the texts of a plain line where the model reads a pair."""


@dataclass(frozen=True)
class Inputs:
    """What is to be predicted.

    Attributes:
        records: fields by name, each with where it stands.
        columns: all names of fields, in order.
        notes: what reading passed over or repaired.
    """

    records: Sequence[Record]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Record]) -> Inputs:
        """Takes records, whose fields are the columns."""
        rows = list(records)
        return cls(rows, tuple(dict.fromkeys(name for fields, _ in rows for name in fields)))


def read_input(file: Path, task: Task, data: DataConfig) -> Inputs:
    """Reads a file, whatever its form: the task's own, a table, JSON lines, or in a ``.txt`` plain lines.

    Raises:
        DataError: the file is missing or wrong.
    """
    own = task.read_input(file, data)
    if own is not None:
        return Inputs.of(own)
    fields = task.input_fields(data)
    if file.suffix.lower() == PLAIN_SUFFIX:
        lines = list(read_lines(file, getattr(data, "encoding", None)))
        if not _holds_table(lines[0][1] if lines else "", fields, data):
            return Inputs.of(record_of_line(text, fields, Origin(str(file), number)) for number, text in lines)
    return _read_table(file, data)


def _holds_table(first_line: str, fields: Sequence[str], data: DataConfig) -> bool:
    """Whether a ``.txt`` is a table: its first line names a column, or the model was trained on tables without one."""
    cells = first_line.split(PAIR_SEPARATOR)
    if getattr(data, "header", None) is False:
        return len(cells) > 1
    return bool(set(cells) & {*fields, *EVERYDAY_NAMES})


def record_of_line(line: str, fields: Sequence[str], origin: Origin) -> Record:
    """A plain line as a record: one text, also an empty one, or, where the model reads two, both with a tab between."""
    texts = [line] if len(fields) == 1 else line.split(PAIR_SEPARATOR)
    return record_of_texts(texts, fields, origin), origin


def record_of_texts(texts: Sequence[str], fields: Sequence[str], origin: Origin) -> dict[str, str]:
    """Makes a record of plain texts.

    Args:
        texts: in the order in which the model reads them.
        fields: of the task (:meth:`bertcore.contracts.task.Task.input_fields`).
        origin: where the texts stand.

    Raises:
        UsageError: the model does not read so many.
    """
    if len(texts) > len(fields):
        names = " and ".join(fields)
        raise UsageError(
            f"{len(texts)} texts, and the model reads {len(fields)}: {names}",
            "give one text for each of them",
            origin=origin,
            code="texts-count",
        )
    return dict(zip(fields, texts, strict=False))


def named_as_trained(records: Iterable[Record], fields: Sequence[str]) -> Iterator[Record]:
    """Lets ``text`` and ``text_pair`` stand for the fields of the training file, where a record lacks those."""
    synonyms = [
        (everyday, field) for everyday, field in zip(EVERYDAY_NAMES, fields, strict=False) if everyday not in fields
    ]
    for record, origin in records:
        found = {everyday: field for everyday, field in synonyms if everyday in record and field not in record}
        yield ({found.get(name, name): value for name, value in record.items()} if found else record), origin


def _read_table(file: Path, data: DataConfig) -> Inputs:
    # A task on the user's own tables may have been trained on files without a header, or in another encoding.
    form = TableForm(
        separator=getattr(data, "separator", None),
        encoding=getattr(data, "encoding", None),
        header=getattr(data, "header", None) is not False,
    )
    table = read_table(file, form)
    return Inputs(table.records, table.columns, table.notes)
