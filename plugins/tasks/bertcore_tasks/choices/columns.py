"""Which columns of a table, or fields of objects, hold context, question and choices."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertcore.config import joined
from bertcore.contracts.dataset import Example
from bertcore.data.table_files import Table
from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin
from pydantic import Field, field_validator

from bertcore_tasks.choices.questions import LEAST_CHOICES, question_example
from bertcore_tasks.custom.columns import IDENTIFIER, is_number, missing
from bertcore_tasks.fields import identifier_of, plain_text
from bertcore_tasks.own_tables import TableConfig

CONTEXTS = ("context", "article", "passage", "sent1", "premise", "ctx")
QUESTIONS = ("question", "sent2", "query", "stem", "question_stem", "goal")
LISTS = ("choices", "options", "endings", "answers", "choice")
LABELS = ("label", "answer", "answerkey", "gold", "correct")
"""What the columns are called where no option names them; each in small letters or others."""

_NUMBERED = re.compile(r"(choice|ending|option|answer|sol)[ _-]?(\d+|[a-h])", re.IGNORECASE)
_LETTERS = "ABCDEFGH"
_FORM = 'write {"context": "...", "question": "...", "choices": ["...", "..."], "label": 0}'


class ChoicesConfig(TableConfig):
    """Data options of the task ``multiple_choice``; every other task of multiple choice predicts by their defaults."""

    context: str | None = Field(
        None, description="column of what is asked about; default: context, article, sent1, ...; '' for none"
    )
    question: str | None = Field(
        None,
        description="column of the question, or of how each choice begins; default: question, sent2, ...; '' for none",
    )
    choices: str | None = Field(
        None,
        description="column of a list of choices, or columns of one each, between commas; default: choices, options, "
        "ending0 to ending3, A to D, ...",
    )
    label: str | None = Field(
        None,
        description="column of the right choice: its number, its letter, its text or what the question calls it; "
        "default: label, answer",
    )
    first_choice: int | None = Field(
        None, ge=0, le=1, description="number of the first choice in the labels, 0 or 1; default: found"
    )
    header: bool | None = Field(
        None, description="whether the first row names the columns, which else are 1, 2, 3, ...; default: it does"
    )

    @field_validator("choices", mode="before")
    @classmethod
    def _join_choices(cls, value: object) -> object:
        return joined(value)


@dataclass(frozen=True)
class ChoiceColumns:
    """What is read of a table.

    Attributes:
        context, question: columns, or None where there is none.
        choices: one column of lists, or one for each choice.
        label: of the right choice; None where there is none.
    """

    context: str | None
    question: str | None
    choices: tuple[str, ...]
    label: str | None


def choose_columns(table: Table, data: ChoicesConfig, *, labeled: bool) -> ChoiceColumns:
    """Chooses the columns that the options name, or those of known names.

    Args:
        table: that was read.
        data: the options.
        labeled: whether there must be a label.

    Raises:
        DataError: a column is not there, or two have its name.
    """
    choices = _choice_columns(table, data)
    context = _text_column(table, data.context, CONTEXTS, "data.context")
    question = _text_column(table, data.question, QUESTIONS, "data.question")
    if context is None and question is None:
        raise missing(table, [QUESTIONS[0], CONTEXTS[0]], "data.question")
    names = LABELS if data.label is None else (data.label,)
    label = _named(table, data.label, "data.label") if data.label else _known(table, LABELS, "data.label")
    if label in (context, question, *choices):
        label = None
    if labeled and label is None:
        raise missing(table, names, "data.label")
    return ChoiceColumns(context, question, choices, label)


def parse_records(records: Iterable[Record], data: ChoicesConfig) -> list[Example]:
    """Reads the records of ``bertcore predict``, from the columns of the files or those of known names.

    Raises:
        DataError: there are no such columns, or a field is missing or no text.
    """
    rows = list(records)
    if not rows:
        return []
    table = Table(rows[0][1].file, rows, tuple(dict.fromkeys(name for fields, _ in rows for name in fields)))
    columns = _columns_of(table, data)
    return [
        example_of(record, columns, origin, identifier_of(record, IDENTIFIER, number))
        for number, (record, origin) in enumerate(rows)
    ]


def _columns_of(table: Table, data: ChoicesConfig) -> ChoiceColumns:
    known = {name: None for name in ("context", "question", "choices") if _is_absent(table, getattr(data, name))}
    return choose_columns(table, data.model_copy(update={**known, "label": None}), labeled=False)


def _is_absent(table: Table, named: str | None) -> bool:
    return bool(named) and all(table.column(part) is None for part in _parts(named or ""))


def _text_column(table: Table, named: str | None, names: Sequence[str], key: str) -> str | None:
    if named == "":
        return None
    return _known(table, names, key) if named is None else _named(table, named, key)


def _named(table: Table, name: str, key: str) -> str:
    found = table.column(name)
    if found is None:
        raise missing(table, [name], key)
    return found


def _known(table: Table, names: Iterable[str], key: str) -> str | None:
    """The column with the first of these names that is there, in small letters or others."""
    for name in names:
        found = [column for column in (*table.columns, *table.repeated) if column.lower() == name]
        if len(found) > 1 or not table.repeated.isdisjoint(found):
            raise missing(table, found[:1], key)
        if found:
            return found[0]
    return None


def _parts(named: str) -> list[str]:
    return [part.strip() for part in named.split(",") if part.strip()]


def _choice_columns(table: Table, data: ChoicesConfig) -> tuple[str, ...]:
    if data.choices:
        whole = table.column(data.choices)
        return (whole,) if whole else tuple(_named(table, part, "data.choices") for part in _parts(data.choices))
    numbered = _numbered(table)
    listed = None if numbered else _known(table, LISTS, "data.choices")
    letters = [letter for letter in _LETTERS if letter in table.columns]
    if listed is None and not numbered and letters[:2] == ["A", "B"]:
        numbered = tuple(letters)
    if listed is None and not numbered:
        raise missing(table, [LISTS[0], "choice0", "A"], "data.choices")
    return numbered or (str(listed),)


def _numbered(table: Table) -> tuple[str, ...]:
    """Columns as ``ending0`` to ``ending3`` in the order of their numbers; none where one stands alone."""
    found: dict[str, list[tuple[int, str]]] = {}
    for column in table.columns:
        match = _NUMBERED.fullmatch(column)
        if match is not None:
            number = int(match[2]) if match[2].isdecimal() else ord(match[2].lower())
            found.setdefault(match[1].lower(), []).append((number, column))
    sets = [columns for columns in found.values() if len(columns) > 1]
    return tuple(column for _, column in sorted(sets[0])) if sets else ()


def header_test(data: ChoicesConfig) -> Callable[[Sequence[Sequence[str]]], bool]:
    """Tells that the first row names the columns, but where the options name all of them by number."""
    named = [part for name in (data.context, data.question, data.choices, data.label) if name for part in _parts(name)]
    return lambda rows: not (named and all(map(is_number, named)))


def texts_of(
    record: Mapping[str, Any], columns: ChoiceColumns, origin: Origin
) -> tuple[str | None, str | None, list[str]]:
    """Context, question and choices of a record.

    Raises:
        DataError: one is missing or no text.
    """
    context, question = (
        None if name is None else _text(record, name, origin) for name in (columns.context, columns.question)
    )
    if len(columns.choices) == 1:
        return context, question, _listed(record, columns.choices[0], origin)
    choices = ["" if record.get(name) is None else _text(record, name, origin) for name in columns.choices]
    # A question of fewer choices than the table has columns; two are always meant.
    while len(choices) > LEAST_CHOICES and not choices[-1]:
        choices.pop()
    return context, question, choices


def example_of(record: Mapping[str, Any], columns: ChoiceColumns, origin: Origin, identifier: str) -> Example:
    """A record as an example without a label; raises as :func:`texts_of`."""
    return question_example(identifier, *texts_of(record, columns, origin), origin)


def _text(record: Mapping[str, Any], name: str, origin: Origin) -> str:
    value = record.get(name)
    text = value if isinstance(value, str) else None if value is None else plain_text(value)
    if text is None:
        is_there = name in record
        raise DataError(
            f"the field {name!r} {'is no text' if is_there else 'is missing'}",
            _FORM,
            origin=origin,
            code="field-wrong" if is_there else "field-missing",
        )
    return text


def names_of(record: Mapping[str, Any], columns: ChoiceColumns) -> tuple[str, ...]:
    """What a question calls its choices in the field of their list, as ``A`` or ``1``; nothing where it does not."""
    entries = _entries(record.get(columns.choices[0])) if len(columns.choices) == 1 else []
    names = [name for _, name in entries if name is not None]
    return tuple(names) if len({*names}) == len(entries) else ()


def _entries(value: Any) -> list[tuple[str | None, str | None]]:
    """Text and name of each choice in a list of texts or of objects, in an object of lists, or in JSON of one."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if isinstance(value, dict):  # the datasets library: {"label": ["A", "B"], "text": ["...", "..."]}
        texts, names = value.get("text"), value.get("label")
        if isinstance(texts, list) and isinstance(names, list) and len(texts) == len(names):
            return [(plain_text(text), plain_text(name)) for text, name in zip(texts, names, strict=True)]
        value = texts
    if not isinstance(value, list):
        return []
    entries = [one if isinstance(one, dict) else {"text": one} for one in value]
    return [(plain_text(entry.get("text")), plain_text(entry.get("label"))) for entry in entries]


def _listed(record: Mapping[str, Any], name: str, origin: Origin) -> list[str]:
    """The choices in one field; see :func:`_entries`."""
    texts = [text for text, _ in _entries(record.get(name))]
    found = [text for text in texts if text is not None]
    if not texts or len(found) < len(texts):
        is_there = name in record
        raise DataError(
            f"the field {name!r} {'is no list of texts' if is_there else 'is missing'}",
            _FORM,
            origin=origin,
            code="field-wrong" if is_there else "field-missing",
        )
    return found
