"""JSON from elsewhere, which may be long and deep beyond measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bertcore.files.bounds import DEEPEST_JSON


def read_json(file: Path, largest: int) -> Any:
    """The content of a JSON file.

    Args:
        file: the file.
        largest: bytes that it may have.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON in UTF-8, is larger, or lists and objects lie in one another deeper than
            ``DEEPEST_JSON``.
    """
    with open(file, "rb") as opened:
        content = opened.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"it has more than {largest} bytes, and no such file has")
    return parse_json(content)


def parse_json(content: str | bytes) -> Any:
    """A value of JSON, which is no deeper than what goes through it can follow.

    Raises:
        ValueError: it is no JSON, or too deep.
    """
    try:
        value = json.loads(content.decode() if isinstance(content, bytes) else content)
    except RecursionError:
        raise _too_deep() from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST_JSON):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"lists and objects lie more than {DEEPEST_JSON} deep")
