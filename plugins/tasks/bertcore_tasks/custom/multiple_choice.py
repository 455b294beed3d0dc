"""Multiple choice on the user's own files: CSV, TSV or JSON lines, any number of choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.data.table_files import Table, TableForm, read_table
from bertcore.errors import DataError, Origin

from bertcore_tasks.choices.base import ChoiceTask
from bertcore_tasks.choices.columns import (
    LABELS,
    ChoiceColumns,
    ChoicesConfig,
    choose_columns,
    example_of,
    header_test,
    names_of,
    parse_records,
)
from bertcore_tasks.choices.gold import Gold, ReadGold, read_gold
from bertcore_tasks.choices.questions import choices_of
from bertcore_tasks.custom.columns import IDENTIFIER
from bertcore_tasks.custom.labels import LabelForm, LabelReader
from bertcore_tasks.custom.tables import SUFFIXES, label_text
from bertcore_tasks.fields import identifier_of
from bertcore_tasks.label_texts import LabelNotes
from bertcore_tasks.own_files import own_files

_FORM = LabelForm(LABELS, label_text)


class OwnChoiceTask(ChoiceTask[ChoicesConfig]):
    """Questions of the user's own with any number of choices, of which one is right."""

    name = "multiple_choice"
    description = "your own questions with choices, from CSV, TSV or JSON lines: accuracy"
    own_files: ClassVar[bool] = True

    def open(self, data: ChoicesConfig) -> Dataset:
        """Finds the files, and reads the first one; see :meth:`bertcore.contracts.task.Task.open`."""
        files = own_files(data, SUFFIXES, any_suffix=True)
        first = next(iter(files))
        reading = read_questions(first, files[first][0], data)
        options = _settled(reading, data)
        further = data.model_copy(update=options)
        splits = {first: reading.split}

        def read(split: str) -> Split:
            if split not in splits:
                splits[split] = read_questions(split, files[split][0], further).split
            return splits[split]

        return Dataset(files, read, options=options)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: ChoicesConfig) -> list[Example]:
        """Reads the columns of the training file, too; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return parse_records(records, data)


@dataclass(frozen=True)
class Reading:
    """What was read of a file.

    Attributes:
        split: the questions with their labels.
        columns: that were read.
        first_choice: what the labels call the first choice, 0 or 1; None where they are no numbers.
        has_header: whether the first row of its table names them; None where each record does.
    """

    split: Split
    columns: ChoiceColumns
    first_choice: int | None
    has_header: bool | None


def read_questions(split: str, file: Path, data: ChoicesConfig) -> Reading:
    """Reads the questions of a file with their labels, which the split ``test`` need not have.

    Raises:
        DataError: there is no question or no such column, or a field is missing or wrong (with its line).
    """
    table = read_table(file, _table_form(data))
    if not table.records:
        problem = f"no examples{' behind the header' if table.header else ''}"
        raise DataError(problem, "give it a row for each", origin=Origin(str(file)), code="examples-missing")
    columns = choose_columns(table, data, labeled=split != "test")
    reader = None
    if columns.label is not None:
        reader = LabelReader(table, (columns.label,), _FORM, split, data.ignore_labels)
    total = len(table.records)
    examples, gold = _with_numbers(_examples(table, columns, reader), data.first_choice)
    if not examples:
        raise DataError(
            "no example can be read" if reader is None or not reader.notes.ignored_marks else "no example has a label",
            "correct its lines, or name the column of the labels: --set data.label=NAME",
            origin=Origin(str(file)),
            code="examples-missing",
        )
    of_labels = LabelNotes(file, split) if reader is None else reader.notes
    notes = (*table.notes, *of_labels.lines(total), *(f"{file.name}: {note}" for note in gold.notes))
    split_read = Split(examples, notes, (*table.left_out, *of_labels.left_out))
    return Reading(split_read, columns, gold.first, table.header)


def _table_form(data: ChoicesConfig) -> TableForm:
    return TableForm(separator=data.separator, encoding=data.encoding, header=data.header, is_header=header_test(data))


def _examples(
    table: Table, columns: ChoiceColumns, reader: LabelReader | None
) -> list[tuple[Example, tuple[str, ...]]]:
    """The questions, whose labels are what the file says, and what each calls its choices."""
    examples: list[tuple[Example, tuple[str, ...]]] = []
    for number, (record, origin) in enumerate(table.take_records()):
        with one_example:
            example = example_of(record, columns, origin, identifier_of(record, IDENTIFIER, number))
            labeled = example if reader is None else reader.labeled(example, record)
            if labeled is not None:
                examples.append((labeled, names_of(record, columns)))
    return examples


def _with_numbers(
    examples: Sequence[tuple[Example, tuple[str, ...]]], first_choice: int | None
) -> tuple[list[Example], ReadGold]:
    """The questions, whose labels are numbers of choices; without those whose label means none."""
    gold = read_gold(
        [
            Gold(example.label, choices_of(example.texts), names, example.origin)
            for example, names in examples
            if example.label is not None
        ],
        first_choice,
    )
    numbers = iter(gold.numbers)
    found = [one if one.label is None else replace(one, label=next(numbers)) for one, _ in examples]
    kept = [one for one, (before, _) in zip(found, examples, strict=True) if before.label is None or one.label]
    return kept, gold


def _settled(reading: Reading, data: ChoicesConfig) -> dict[str, Any]:
    """What the first file decides for the others: which texts there are, from where choices are counted, and where a
    table without header has all this.
    """
    columns = reading.columns
    options: dict[str, Any] = {"context": columns.context or "", "question": columns.question or ""}
    if reading.first_choice is not None:
        options["first_choice"] = reading.first_choice
    if reading.has_header is False:
        options |= {"header": False, "choices": ",".join(columns.choices), "label": columns.label}
    return {name: value for name, value in options.items() if value != getattr(data, name)}
