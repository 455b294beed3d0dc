"""Which columns of a table hold texts and labels, and whether its first row names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bertcore.data.table_files import Table
from bertcore.errors import DataError, Origin
from pydantic import Field

from bertcore_tasks.own_tables import TableConfig

TEXTS = {
    "text": "text_pair",
    "sentence": None,
    "sentence1": "sentence2",
    "text_a": "text_b",
    "question1": "question2",
    "premise": "hypothesis",
}
"""Columns that are read where none is named: the text, and what holds its pair where it is there, too."""
IDENTIFIER = "id"
_LONGEST_LABEL = 40
_LISTED = 20


class TextTableConfig(TableConfig):
    """Data options of tasks on tables of one text or two and a label."""

    text: str | None = Field(
        None, description="column of the text, by name or by number from 1; default: text, sentence, sentence1, ..."
    )
    text_pair: str | None = Field(
        None, description="column of a second text; default: what belongs to the first, as text_pair or sentence2"
    )
    label: str | None = Field(None, description="column of the label; default: label, or score for a regression")


@dataclass(frozen=True)
class Chosen:
    """What is read of a table.

    Attributes:
        texts: the column of the text, and of its pair, if any.
        labels: the column of the label, or one for each label of several; none where the table has none of them.
        guessed: in words, what was concluded from the rows of a table without header; nothing where that was said.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    guessed: str = ""


def is_number(text: str | None) -> bool:
    """Whether an option names a column by its number."""
    return text is not None and text.isascii() and text.isdecimal() and int(text) > 0


def header_test(data: TextTableConfig, label_columns: Sequence[str]) -> Callable[[Sequence[Sequence[str]]], bool]:
    """Returns what tells whether the first row of a table names its columns.

    It does where a column is named by the options, or has one of the names that are known, and where it does not look
    like an example: where its label is no number, and occurs in no other row.
    """
    named = [name for name in (data.text, data.text_pair, *(data.label or "").split(",")) if name]
    pairs = [pair for pair in TEXTS.values() if pair is not None]
    known = {*TEXTS, *pairs, *label_columns, IDENTIFIER}

    def is_header(rows: Sequence[Sequence[str]]) -> bool:
        first = [field.strip() for field in rows[0]]
        if not all(map(is_number, named)) or not known.isdisjoint(field.lower() for field in first):
            return True
        counted = [*map(str, range(len(first)))]  # as pandas names columns that have no name
        if first == counted or (is_number(data.label) and int(data.label or 0) > len(first)):
            return True
        places = [int(data.label or 0) - 1] if is_number(data.label) else [len(first) - 1, 0]
        return not any(_is_label_of_others(rows, place) for place in places)

    return is_header


def choose_columns(
    table: Table, data: TextTableConfig, label_columns: Sequence[str], *, several: bool, labeled: bool
) -> Chosen:
    """Chooses the columns that the options name, or those of known names, or those that a small table can only have.

    Args:
        table: that was read.
        data: the options.
        label_columns: what the column of the label may be called where no option names it.
        several: whether ``data.label`` may name a column for each label.
        labeled: whether there must be a label.

    Raises:
        DataError: a column is not there, or two have its name.
    """
    if table.header is False and data.text is None and data.label is None:
        found = _of_table_without_header(table)
        if found is not None:
            return found
    texts = _text_columns(table, data)
    labels = _label_columns(table, data, label_columns, several)
    if labeled and not labels:
        names = label_columns if data.label is None else (data.label,)
        raise missing(table, names, "data.label")
    return Chosen(texts, labels)


def _text_columns(table: Table, data: TextTableConfig) -> tuple[str, ...]:
    if data.text is None:
        text = _known(table, TEXTS, "data.text")
        if text is None:
            raise missing(table, [*TEXTS], "data.text")
        belongs = TEXTS[text.lower()]
        pair = None if belongs is None or data.text_pair else _known(table, [belongs], "data.text_pair")
    else:
        text, pair = data.text, None
    pair = data.text_pair or pair
    found = []
    for name, key in ((text, "data.text"), (pair, "data.text_pair")):
        if name is not None:
            column = table.column(name)
            if column is None:
                raise missing(table, [name], key)
            found.append(column)
    return tuple(found)


def _known(table: Table, names: Iterable[str], key: str) -> str | None:
    """The column with the first of these names that is there, in small letters or others."""
    for name in names:
        if name in table.columns:
            return name
        found = [column for column in (*table.columns, *table.repeated) if column.lower() == name]
        if len(found) > 1 or not table.repeated.isdisjoint(found):
            raise missing(table, found[:1], key)
        if found:
            return found[0]
    return None


def _label_columns(table: Table, data: TextTableConfig, label_columns: Sequence[str], several: bool) -> tuple[str, ...]:
    if data.label is None:
        known = _known(table, label_columns, "data.label")
        return () if known is None else (known,)
    column = table.column(data.label)
    if column is not None:
        return (column,)
    parts = [part.strip() for part in data.label.split(",") if part.strip()]
    columns = {part: table.column(part) for part in parts}
    if len(parts) < 2 or all(column is None for column in columns.values()):
        if data.label in table.repeated:
            raise missing(table, [data.label], "data.label")
        return ()
    absent = [part for part, column in columns.items() if column is None]
    if absent:
        raise missing(table, absent[:1], "data.label")
    if not several:
        raise DataError(
            f"data.label names {len(parts)} columns, and each example has one label",
            "for a column of 0 and 1 for each label: --set data.multi_label=true",
            origin=Origin(table.name, 1),
            code="labels-ambiguous",
        )
    return tuple(dict.fromkeys(column for column in columns.values() if column is not None))


def _of_table_without_header(table: Table) -> Chosen | None:
    """A text or two and their label, before or behind them; None for any other table."""
    values = [[str(fields[column]) for fields, _ in table.records] for column in table.columns]
    are_labels = [_look_like_labels(column) for column in values]
    if are_labels == [False, True]:
        return Chosen(("1",), ("2",), "the text is column 1, its label column 2")
    if are_labels == [True, False]:
        return Chosen(("2",), ("1",), "the text is column 2, its label column 1")
    if are_labels == [False, False, True]:
        return Chosen(("1", "2"), ("3",), "the texts are columns 1 and 2, their label column 3")
    if are_labels == [True, False, False] and _repeat(values[0]):  # numbers that are all different are no labels
        return Chosen(("2", "3"), ("1",), "the texts are columns 2 and 3, their label column 1")
    return None


def _look_like_labels(values: Sequence[str]) -> bool:
    kinds = {value.strip() for value in values}
    return all(map(_is_finite, kinds)) or (_repeat(values) and max(map(len, kinds)) <= _LONGEST_LABEL)


def _repeat(values: Sequence[str]) -> bool:
    return 2 * len({value.strip() for value in values}) <= len(values)


def _is_label_of_others(rows: Sequence[Sequence[str]], place: int) -> bool:
    values = [row[place].strip() for row in rows if len(row) > place]
    return bool(values) and bool(values[0]) and (_is_finite(values[0]) or values[0] in values[1:])


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _shown(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_LABEL else name[:_LONGEST_LABEL] + "...")


def _alike(table: Table, name: str) -> list[str]:
    return [column for column in table.columns if column.lower() == name.lower()]


def missing(table: Table, names: Sequence[str], key: str) -> DataError:
    """The error about a column that is not there, or twice, and what names another."""
    header = Origin(table.name, 1)
    twice = next((name for name in names if name in table.repeated or len(_alike(table, name)) > 1), None)
    if twice is not None:
        return DataError(
            f"two columns are named {twice!r}",
            f"rename one, or name it by number: --set {key}=NUMBER",
            origin=header,
            code="column-repeated",
        )
    remedy = f"name the column: --set {key}=NAME"
    if table.header is not None:
        remedy += " or NUMBER"
    if table.header:
        remedy += "; where the first line is no header: --set data.header=false"
    shown = ", ".join(map(_shown, table.columns[:_LISTED])) or "none"
    shown += ", ..." if len(table.columns) > _LISTED else ""
    problem = f"no column {' or '.join(map(repr, names))} among {shown}"
    return DataError(problem, remedy, origin=header, code="column-missing")
