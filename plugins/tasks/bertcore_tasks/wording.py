"""Words of notes and errors."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun, as ``1 text``, ``2 texts`` and ``2 entities``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
