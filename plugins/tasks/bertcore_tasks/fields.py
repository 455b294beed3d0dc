"""Single values of records: texts, what identifies one, labels as text, and identifiers as JSON has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bertcore.errors import DataError, Origin


def identifier_of(record: Mapping[str, Any], field: str, number: int) -> str:
    """What a record calls itself in this field, or where that is missing, empty or null, its number."""
    value = record.get(field)
    return str(number if value in (None, "") else value)


def text_field(record: Mapping[str, Any], name: str, origin: Origin, form: str) -> str:
    """A field that must be a text; ``form`` says what to write instead, where it is none.

    Raises:
        DataError: it is missing, no text, or holds what is no character.
    """
    text = record.get(name)
    if not isinstance(text, str):
        raise DataError(
            f"the field {name!r} {'is no text' if name in record else 'is missing'}",
            form,
            origin=origin,
            code="field-wrong" if name in record else "field-missing",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            "half a surrogate pair is no character", "repair the \\u escapes", origin=origin, code="surrogate-half"
        ) from None
    return text


def plain_text(value: Any) -> str | None:
    """A label of a JSON file as text, whether it was written as text, number or truth value; None for anything else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def json_identifier(text: str) -> int | str:
    """An identifier as JSON files of the field hold it: a number where it is one."""
    return int(text) if text.isascii() and text.isdecimal() and str(int(text)) == text else text
