"""Options whose value is several words in one text, between commas; a list means the same."""

from __future__ import annotations

import json
from contextlib import suppress


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text with commas."""
    return tuple(word.strip() for word in text.split(","))


def joined(value: object) -> object:
    """A list, of Python, TOML or JSON, as a text with commas; everything else as it is.

    Left as it is, ``["NA"]`` would be one word that nothing is called, and nobody would be told.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(json.JSONDecodeError):
            value = json.loads(value)
    if isinstance(value, list | tuple) and all(isinstance(word, str) and "," not in word for word in value):
        return ",".join(value)
    return value
