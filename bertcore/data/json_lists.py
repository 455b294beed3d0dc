"""JSON files of records: one object a line, or one list of objects."""

from __future__ import annotations

import json
import re

from bertcore.data.bad_examples import one_example
from bertcore.data.tables import Record, check_surrogates, json_lines_of
from bertcore.errors import DataError, Origin

_LIST = re.compile(rb"\s*\[\s*[{\]]")
_OBJECT = re.compile(rb"\s*\{")
_SPACE = re.compile(r"[ \t\r\n]*")
_SOMETHING = re.compile(rb"\S")
_SHOWN_FIELDS = 5


def json_records(content: bytes, name: str, *, certain: bool) -> list[Record] | None:
    """Reads the objects of a file, each with the line on which it begins.

    Args:
        content: in UTF-8.
        name: of the file.
        certain: whether the file is said to be JSON; otherwise None is returned where its beginning is none.

    Raises:
        DataError: it is no list of objects and no object a line (with the line).
    """
    if _LIST.match(content):
        return _list_of_objects(content, name)
    if _OBJECT.match(content):
        whole = _one_object(content)
        if whole is not None:
            raise _no_records(whole, name)
        if certain or _is_json(_first_line(content)):
            return [*json_lines_of(content, name)]
    return [*json_lines_of(content, name)] if certain else None


def _list_of_objects(content: bytes, name: str) -> list[Record]:
    """Decodes one object after the other, so that each has its line and an error, too."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return [*json_lines_of(content, name)]  # names the line and the byte
    decoder = json.JSONDecoder()
    records: list[Record] = []
    place = text.index("[") + 1
    line, counted = 1, 0
    while True:
        place = _behind_space(text, place)
        if text.startswith("]", place) and not records:
            break
        line, counted = line + text.count("\n", counted, place), place
        origin = Origin(name, line)
        try:
            value, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise DataError(
                f"column {error.colno} is no JSON: {error.msg}",
                "correct it: the file is one list of objects, [{...}, {...}]",
                origin=Origin(name, error.lineno),
                code="not-json",
            ) from None
        except (ValueError, RecursionError) as error:
            remedy = "write a list of objects, [{...}, {...}]"
            raise DataError(f"no JSON: {error}", remedy, origin=origin, code="not-json") from None
        with one_example:
            if not isinstance(value, dict):
                problem = f"a {type(value).__name__} in the list instead of an object"
                raise DataError(problem, "write [{...}, {...}]", origin=origin, code="json-form-unknown")
            check_surrogates(text[place:end], value, origin)
            records.append((value, origin))
        place = _behind_space(text, end)
        if text.startswith("]", place):
            break
        if not text.startswith(",", place):
            line += text.count("\n", counted, place)
            problem = "the list has no comma and no end here"
            raise DataError(problem, "write [{...}, {...}]", origin=Origin(name, line), code="not-json")
        place += 1
    rest = _behind_space(text, place + 1)
    if rest < len(text):
        line += text.count("\n", counted, rest)
        raise DataError(
            "something stands behind the list",
            "write one list of objects, [{...}, {...}]",
            origin=Origin(name, line),
            code="not-json",
        )
    return records


def _behind_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()


def _one_object(content: bytes) -> dict[str, object] | None:
    """The object that is the whole file and takes several lines, or None."""
    first = _first_line(content)
    several = _SOMETHING.search(content, content.index(first) + len(first)) is not None
    if several and _is_json(first):
        return None  # more lines follow, each an object by itself
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and (several or _holds_a_table(value)) else None


def _first_line(content: bytes) -> bytes:
    """The first line that holds something."""
    found = _SOMETHING.search(content)
    start = 0 if found is None else found.start()
    end = content.find(b"\n", start)
    return content[start : None if end < 0 else end].rstrip()


def _holds_a_table(value: dict[str, object]) -> bool:
    """Whether an object is a table itself: each of its fields a column, or a list of records."""
    return _is_split_frame(value) or (
        len(value) > 0
        and all(
            isinstance(part, dict) or (isinstance(part, list) and all(isinstance(item, dict) for item in part) and part)
            for part in value.values()
        )
    )


def _is_split_frame(value: dict[str, object]) -> bool:
    """Whether an object is a table of pandas whose names of columns stand apart from its rows."""
    return all(isinstance(value.get(part), list) for part in ("columns", "data"))


def _no_records(value: dict[str, object], name: str) -> DataError:
    fields = ", ".join(map(repr, [*value][:_SHOWN_FIELDS])) + (", ..." if len(value) > _SHOWN_FIELDS else "")
    remedy = 'write a record each: to_json(FILE, orient="records", lines=True, force_ascii=False)'
    if _is_split_frame(value):
        problem = 'one object with "columns" apart from "data", as pandas.to_json(orient="split")'
    elif value and all(isinstance(part, dict) for part in value.values()):
        problem = f"one object of the columns {fields}, as pandas.to_json writes by default"
    else:
        problem = f"one object with the fields {fields} is the whole file"
        remedy = "write one object a line, or one list of objects: [{...}, {...}]"
    return DataError(problem, remedy, origin=Origin(name), code="json-form-unknown")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
