"""The user's own tables: CSV, TSV, text with columns or JSON, and the examples in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bertcore.contracts.dataset import Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.data.table_files import Table, TableForm
from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin

from bertcore_tasks.annotations.export import labeled_table
from bertcore_tasks.custom.columns import IDENTIFIER, Chosen, TextTableConfig, choose_columns, header_test, is_number
from bertcore_tasks.custom.labels import LabelForm, LabelReader, word_on_truth_values
from bertcore_tasks.fields import identifier_of, plain_text
from bertcore_tasks.label_texts import without_blanks
from bertcore_tasks.texts import text_example, text_examples

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt")
TRAINING = "train"


@dataclass(frozen=True)
class Reading:
    """What was read of a file.

    Attributes:
        split: the examples with their labels.
        table: that they come from, without its records.
        columns: of the texts and labels.
    """

    split: Split
    table: Table
    columns: Chosen

    @cached_property
    def first_places(self) -> dict[str, Origin | None]:
        """Each name of a label to where it stands first."""
        found: dict[str, Origin | None] = {}
        for example in self.split:
            for name in example.label if isinstance(example.label, tuple) else (example.label,):
                if name not in found:
                    found[name] = example.origin
        return found


@dataclass(frozen=True)
class OpenedTables:
    """The files of the splits.

    Attributes:
        first: what was read of the first one, which decides how the others are read.
        read: reads a split by name, each once.
        options: values of data options that the first file decided.
    """

    first: Reading
    read: Callable[[str], Split]
    options: dict[str, Any]


def read_split(split: str, file: Path, data: TextTableConfig, form: LabelForm) -> Reading:
    """Reads the examples of a file with their labels, which the split ``test`` need not have.

    Args:
        split: ``train``, ``dev`` or ``test``.
        file: of any form that :func:`bertcore_tasks.annotations.export.labeled_table` reads.
        data: says which columns are read.
        form: of the labels.

    Raises:
        DataError: there is no example or no such column, or a field is missing or wrong (with its line).
    """
    is_test = split == "test"
    written = table_form(data, form.columns, labeled=not is_test)
    table = labeled_table(file, written, data.label, keep_unlabeled=is_test)
    if not table.records:
        raise DataError(
            f"no examples{' behind the header' if table.header else ''}",
            "give it a row for each example",
            origin=Origin(str(file)),
            code="examples-missing",
        )
    columns = choose_columns(table, data, form.columns, several=form.several, labeled=split != "test")
    notes = [*table.notes, *_words_on_header(table, columns, data)]
    if form.several and split == TRAINING:
        notes += word_on_truth_values(table, columns.labels)
    reader = LabelReader(table, columns.labels, form, split, data.ignore_labels) if columns.labels else None
    total = len(table.records)
    examples = _examples(table, columns, reader)
    if not examples and reader is not None and reader.notes.ignored_marks:
        marks = ", ".join(map(repr, reader.notes.ignored_marks))
        raise DataError(
            f"no example has a label, but only {marks}",
            "give a file with labels; one without can be predicted: --test FILE, or bertcore predict",
            origin=Origin(str(file)),
            code="labels-missing",
        )
    if not examples:
        raise DataError(
            "no example can be read", "correct its lines", origin=Origin(str(file)), code="examples-missing"
        )
    notes += [] if reader is None else reader.notes.lines(total)
    left_out = [*table.left_out, *(() if reader is None else reader.notes.left_out)]
    return Reading(Split(examples, tuple(notes), tuple(left_out)), table, columns)


def _examples(table: Table, columns: Chosen, reader: LabelReader | None) -> list[Example]:
    examples: list[Example] = []
    for number, (record, origin) in enumerate(table.take_records()):
        with one_example:
            example = text_example(record, origin, columns.texts, identifier_of(record, IDENTIFIER, number))
            labeled = example if reader is None else reader.labeled(example, record)
            if labeled is not None:
                examples.append(labeled)
    return examples


def _words_on_header(table: Table, columns: Chosen, data: TextTableConfig) -> list[str]:
    """What is to be said of a first row that no option and no known name told to be a header or an example."""
    if data.header is not None:
        return []
    if columns.guessed:
        remedy = "otherwise --set data.text=NUMBER --set data.label=NUMBER"
        return [f"{table.name}: its first row is no header; {columns.guessed}; {remedy}"]
    by_number = any(map(is_number, (data.text, data.text_pair, data.label)))
    if by_number and table.header is False:
        return [f"{table.name}: its first row is read as an example; where it is a header: --set data.header=true"]
    if by_number and data.text not in table.columns:
        shown = ", ".join(map(repr, columns.texts + columns.labels))
        return [
            f"{table.name}: its first row is read as a header ({shown}); where it is an example: "
            "--set data.header=false"
        ]
    return []


def table_form(data: TextTableConfig, label_columns: Sequence[str], *, labeled: bool) -> TableForm:
    """How the options say that a table is written.

    Args:
        data: the options.
        label_columns: what the column of the label may be called where no option names it.
        labeled: whether it must be there.
    """
    needed = [data.text, data.text_pair, data.label if labeled else None]
    numbers = [int(name) for name in needed if name is not None and is_number(name)]
    least = 2 if labeled and not is_number(data.label) else 1
    return TableForm(
        separator=data.separator,
        encoding=data.encoding,
        header=data.header,
        is_header=header_test(data, label_columns),
        least_columns=max(numbers, default=least) if data.header is False else 2,
    )


def open_splits(
    files: Mapping[str, tuple[Path, ...]],
    data: TextTableConfig,
    form: LabelForm,
    keep: Callable[[Reading], dict[str, Any]],
) -> OpenedTables:
    """Reads the first split at once, and the others, when they are asked for, from the columns that it has.

    Args:
        files: split to its file.
        data: says which columns are read, as far as the user does.
        form: of the labels.
        keep: further options that the first split decides.

    Raises:
        DataError: see :func:`read_split`.
    """
    name = next(iter(files))
    first = read_split(name, files[name][0], data, form)
    splits = {name: first.split}
    text, *pair = first.columns.texts
    options = {"text": text, "text_pair": pair[0] if pair else None, **keep(first)}
    if first.table.header is False:
        options["header"] = False
        options |= {"label": first.columns.labels[0]} if len(first.columns.labels) == 1 else {}
    settled = data.model_copy(update=options)

    def read(split: str) -> Split:
        if split not in splits:
            splits[split] = read_split(split, files[split][0], settled, form).split
        return splits[split]

    return OpenedTables(first, read, options)


def parse_records(records: Iterable[Record], data: TextTableConfig) -> list[Example]:
    """Reads the records of ``bertcore predict``.

    Raises:
        DataError: there is no such column, or a field is no text.
    """
    rows = list(records)
    if not rows:
        return []
    columns = tuple(dict.fromkeys(name for fields, _ in rows for name in fields))
    table = Table(rows[0][1].file, rows, columns)
    return text_examples(rows, choose_columns(table, data, (), several=False, labeled=False).texts, IDENTIFIER)


def input_fields(data: TextTableConfig) -> tuple[str, ...]:
    """The columns of the text and of its pair, by the first of their names where the options name none."""
    if data.text is None:
        return ("text", data.text_pair or "text_pair")
    return (data.text,) if data.text_pair is None else (data.text, data.text_pair)


def label_text(value: Any, origin: Origin | None, field: str) -> str:
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
            f"{value!r} in the field {field!r} is no label",
            "write a text or a number; lists of labels need --set data.multi_label=true",
            origin=origin,
            code="field-wrong",
        )
    return without_blanks(text)
