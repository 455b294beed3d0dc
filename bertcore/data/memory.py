"""Rows that a program holds, as JSON lines: lists of dictionaries, pandas frames, columns, data sets of Hugging Face.

No library is imported for it: a frame is what has columns and rows by position, a data set of Hugging Face what has
``features`` and gives dictionaries.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from bertcore.errors import DataError, Origin

WANTED = "give dictionaries, as [{'text': '...', 'label': '...'}], or a pandas DataFrame"

_MISSING_KINDS = frozenset({"NAType", "NaTType"})
"""Names of the types by which pandas says that a value is missing; their truth value cannot be asked for."""

_LEFT_OUT = object()

_ENCODER = json.JSONEncoder(ensure_ascii=False)


class Frame(Protocol):
    """A table such as a pandas DataFrame: columns by name, and rows by position."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    @property
    def iloc(self) -> Any:
        """Rows and columns by position."""


@dataclass
class WrittenRows:
    """What became of rows.

    Attributes:
        count: of the rows.
        left_out: columns of which values are neither text, number, list nor dictionary, with what they are.
        named: columns whose numbers are written by their names.
    """

    count: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    named: dict[str, Sequence[str]] = field(default_factory=dict)

    def notes(self, name: str) -> list[str]:
        """What the user should read.

        Args:
            name: what the rows are called.
        """
        notes = [
            f"{name}: the numbers of {column!r} are read by their names: {', '.join(names[:10])}"
            f"{', ...' if len(names) > 10 else ''}"
            for column, names in self.named.items()
        ]
        return notes + [f"{name}: {column!r} holds {kind}, which is not read" for column, kind in self.left_out.items()]


def write_rows(rows: Any, file: Path, name: str) -> WrittenRows:
    """Writes rows as JSON lines, the row of number N as line N + 1.

    What pandas shows as missing (NaN, NaT, NA) is an empty field, as in the CSV file of the same frame.

    Args:
        rows: dictionaries, a frame, or columns by name.
        file: to write.
        name: what the rows are called, for errors.

    Raises:
        DataError: they are none of these, there is none, or one of them is no dictionary (with its number from 0).
    """
    written = WrittenRows()
    with file.open("xb") as output:
        _write(rows, output, name, written)
    if not written.count:
        raise DataError("no rows", WANTED, origin=Origin(name), code="rows-wrong")
    return written


def is_rows(value: Any) -> bool:
    """Whether a value can be rows; paths and texts are none."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview | Path)


def columns_of_frame(frame: Any) -> dict[str, list[Any]] | None:
    """The columns of a pandas frame as lists, by name; None for anything else.

    Raises:
        DataError: two columns have one name.
    """
    if not (hasattr(frame, "columns") and hasattr(frame, "iloc")):
        return None
    names = [str(name) for name in frame.columns]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"two columns are named {twice!r}", "rename one of them", code="column-repeated")
    return {name: _filled(frame.iloc[:, number].tolist()) for number, name in enumerate(names)}


def plain_value(value: Any) -> Any:
    """A value as JSON has it.

    Raises:
        TypeError: there is none for it; says what it is.
    """
    found = _json(value)
    if found is _LEFT_OUT:
        raise TypeError(kind_of(value))
    return found


def kind_of(value: Any) -> str:
    """The type of a value, as ``bytes`` or ``PIL.Image``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__qualname__ if package in ("builtins", "__main__") else f"{package}.{kind.__qualname__}"


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: None, NaN, NaT or NA."""
    if value is None or type(value).__name__ in _MISSING_KINDS:
        return True
    return isinstance(value, float) and math.isnan(value)


def _write(rows: Any, output: BinaryIO, name: str, written: WrittenRows) -> None:
    names = _names_of_numbers(rows)
    for number, row in enumerate(_dictionaries(rows, name)):
        if type(row) is not dict and not isinstance(row, Mapping):
            raise DataError(
                f"{kind_of(row)} instead of a dictionary", WANTED, origin=Origin(name, row=number), code="rows-wrong"
            )
        line: dict[str, Any] = {}
        for key, value in row.items():
            column = str(key)
            if column in line:
                raise DataError(
                    f"two fields are named {column!r}",
                    "rename one of them",
                    origin=Origin(name, row=number),
                    code="column-repeated",
                )
            if column in names:
                value = _by_name(value, names[column])
                written.named[column] = names[column]
            if type(value) is str:  # most values by far
                line[column] = value
                continue
            found = "" if value is not None and is_missing(value) else _json(value)
            if found is _LEFT_OUT:
                written.left_out.setdefault(column, kind_of(value))
            else:
                line[column] = found
        try:
            output.write(_ENCODER.encode(line).encode() + b"\n")
        except UnicodeEncodeError:
            raise DataError(
                "half a surrogate pair is no character",
                "repair the text",
                origin=Origin(name, row=number),
                code="surrogate-half",
            ) from None
        written.count += 1


def _dictionaries(rows: Any, name: str) -> Iterator[Any]:
    try:
        columns = columns_of_frame(rows)
    except DataError as error:
        raise error.at(Origin(name)) from None
    if columns is None and isinstance(rows, Mapping):
        columns = _columns(rows, name)
    if columns is None:
        yield from rows
        return
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _columns(rows: Mapping[Any, Any], name: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for key, values in rows.items():
        listed = values.tolist() if callable(getattr(values, "tolist", None)) else values
        if not isinstance(listed, list | tuple):
            raise DataError(
                f"one dictionary, and {str(key)!r} in it is {kind_of(values)}",
                WANTED,
                origin=Origin(name),
                code="rows-wrong",
            )
        columns[str(key)] = list(listed)
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key!r} {length}" for key, length in lengths.items())
        raise DataError(
            f"columns of different lengths: {shown}",
            "give every column a value for each row",
            origin=Origin(name),
            code="rows-wrong",
        )
    return columns


def _filled(values: list[Any]) -> list[Any]:
    """What is missing in a column of texts is the empty text; in a column of anything else it is None."""
    present = next((value for value in values if not is_missing(value)), "")
    empty = "" if isinstance(present, str) else None
    return [empty if is_missing(value) else value for value in values]


def _names_of_numbers(rows: Any) -> dict[str, Sequence[str]]:
    """Columns of a data set of Hugging Face whose numbers stand for names, alone or in lists."""
    features = getattr(rows, "features", None)
    found: dict[str, Sequence[str]] = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            found[str(column)] = names
    return found


def _by_name(value: Any, names: Sequence[str]) -> Any:
    """The names of numbers; -1 stands for no label, as in the data sets of Hugging Face."""
    if isinstance(value, list | tuple):
        return [_by_name(item, names) for item in value]
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < len(names):
        return value
    return None if value == -1 else names[value]


def _json(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # which no task takes for a number
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return _whole({str(key): _json(item) for key, item in value.items()}, value)
    if isinstance(value, Set) and all(isinstance(item, str) for item in value):
        return sorted(value)
    if isinstance(value, list | tuple):
        return _whole([_json(item) for item in value], value)
    if hasattr(value, "dtype") and callable(getattr(value, "tolist", None)):  # of numpy, and what behaves like it
        listed = value.tolist()
        return _LEFT_OUT if type(listed) is type(value) else _json(listed)
    return str(value) if callable(getattr(value, "isoformat", None)) else _LEFT_OUT


def _whole(found: Any, value: Any) -> Any:
    items = found.values() if isinstance(found, dict) else found
    return _LEFT_OUT if any(item is _LEFT_OUT for item in items) else found
