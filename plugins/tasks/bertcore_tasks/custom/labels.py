"""The labels of a user's own table: in one column, or in a column of 0 and 1 for each label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.contracts.dataset import Example
from bertcore.data.table_files import Table
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import plain_text
from bertcore_tasks.label_texts import LabelNotes, as_mark, marks_of, without_blanks

_TRUTH = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
_LISTED = 10
_REMEMBERED = 1000


@dataclass(frozen=True)
class LabelForm:
    """What a task reads as the label of an example.

    Attributes:
        columns: what the column may be called where no option names it.
        parse: makes a label of a field: its value, where it stands, the name of its column.
        numeric: whether labels are numbers.
        several: whether an example may have any number of labels; an empty field then means none, and ``parse`` takes
            the None of such a field.
    """

    columns: Sequence[str]
    parse: Callable[[Any, Origin | None, str], Any]
    numeric: bool = False
    several: bool = False


class LabelReader:
    """Gives the examples of a table their labels.

    Args:
        table: that was read.
        columns: one column, or one of 0 and 1 for each label.
        form: of the labels.
        split: that the file is; in ``test`` labels may be missing.
        ignore: ``data.ignore_labels``.
    """

    def __init__(self, table: Table, columns: Sequence[str], form: LabelForm, split: str, ignore: str | None) -> None:
        self.notes = LabelNotes(Path(table.name), split)
        self._columns = columns
        self._form = form
        self._split = split
        values = _values(table, columns)
        self._marks = marks_of(ignore, values, split, numeric=form.numeric)
        has_labels = bool(values - {"", *self._marks}) or any(
            isinstance(fields.get(columns[0]), list) for fields, _ in table.records
        )
        # Where some example of a test file has several labels, one without any has none, and not a missing one.
        self._may_lack = split == "test" and not (form.several and has_labels)
        self._parsed: dict[str, Any] = {}

    def labeled(self, example: Example, record: Mapping[str, Any]) -> Example | None:
        """The example with its label; without one where a test file has none; None where it is left out.

        Raises:
            DataError: the label is missing or wrong.
        """
        if len(self._columns) == 1:
            text = record.get(self._columns[0])
            if isinstance(text, str) and text in self._parsed:  # nothing is to be said of it
                return _with_label(example, self._parsed[text])
        values = [self._value(record, column, example.origin) for column in self._columns]
        first = values[0]
        if isinstance(first, str) and as_mark(first) in self._marks and all(value == first for value in values):
            self.notes.ignored(as_mark(first), example.identifier, example.origin)
            return example if self._split == "test" else None
        if all(value is None for value in values) and (self._may_lack or not self._form.several):
            if self._may_lack:
                return example
            raise DataError(
                f"the field {self._columns[0]!r} is empty",
                f"the split {self._split} needs labels",
                origin=example.origin,
                code="labels-missing",
            )
        if len(values) > 1:
            return _with_label(example, self._names(values, example.origin))
        label = self._form.parse(first, example.origin, self._columns[0])
        if isinstance(first, str) and first is record[self._columns[0]] and len(self._parsed) < _REMEMBERED:
            self._parsed[first] = label
        return _with_label(example, label)

    def _value(self, record: Mapping[str, Any], column: str, origin: Origin | None) -> Any:
        """The field: text without blanks around it, None where it is empty, a list or an object as it is."""
        if column not in record:
            problem = f"the field {column!r} is missing"
            raise DataError(problem, "give every example its label", origin=origin, code="labels-missing")
        value = record[column]
        if isinstance(value, list) and len(value) < 2 and not self._form.several:
            value = value[0] if value else None  # doccano lists the one label of a text
        text = value if isinstance(value, str) else plain_text(value)
        if text is None:
            return value
        return self.notes.trimmed(text, origin) or None

    def _names(self, values: Sequence[Any], origin: Origin | None) -> tuple[str, ...]:
        chosen = []
        for column, value in zip(self._columns, values, strict=True):
            truth = _TRUTH.get(value) if isinstance(value, str) else None
            if truth is None and isinstance(value, str):
                truth = _TRUTH.get(value.lower())
            if truth is None:
                problem = "is empty" if value is None else f"holds {value!r}"
                raise DataError(
                    f"the field {column!r} {problem}, and neither 0 nor 1",
                    "write 1 in the columns of the labels that the example has, and 0 in the others",
                    origin=origin,
                    code="field-wrong",
                )
            if truth:
                chosen.append(column)
        return tuple(chosen)


def _with_label(example: Example, label: Any) -> Example:
    return Example(example.identifier, example.texts, label, example.origin)


def _values(table: Table, columns: Sequence[str]) -> set[str]:
    """The labels as text, each once, without blanks around them."""
    found: set[Any] = set()
    for column in columns:
        found |= {
            value for fields, _ in table.records if isinstance(value := fields.get(column), str | int | float | bool)
        }
    return {without_blanks(text) for value in found if (text := plain_text(value)) is not None}


def word_on_truth_values(table: Table, columns: Sequence[str]) -> list[str]:
    """What is to be said where several labels are read from one column, and it holds nothing but 0 and 1."""
    values = _values(table, columns) if len(columns) == 1 else set()
    if not values or not values <= {"0", "1", "0.0", "1.0"}:
        return []
    alike = [name for name in table.columns if (found := _values(table, [name])) and found <= set(_TRUTH)]
    named = ",".join(alike[:_LISTED]) if len(alike) > 1 else "COLUMN,COLUMN"
    return [
        f"{Path(table.name).name}: the labels of the column {columns[0]!r} are 0 and 1, read as two names of labels; "
        f"for a column of 0 and 1 for each label: --set data.label={named}"
    ]
