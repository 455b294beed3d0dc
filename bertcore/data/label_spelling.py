"""Two spellings of one label: ``1`` and ``1.0``, ``Good`` and ``good``, full-width and plain letters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_WITHOUT_FRACTION = re.compile(r"([+-]?[0-9]+)\.0*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


def spelling(label: str) -> str:
    """What two spellings of one label have in common: they differ in case, width (NFKC), blanks or a fraction of zeros.

    Labels such as ``1.1`` and ``1.10``, or ``01`` and ``1``, may be two: numbers of chapters, or codes.
    """
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    whole = _WITHOUT_FRACTION.fullmatch(text)
    return text if whole is None else whole[1]


def other_spelling(label: str, labels: Iterable[str]) -> str | None:
    """The first of the labels that is likely this one in another spelling, also of a number of the same value."""
    by_text, by_value = _known_spellings(tuple(labels))
    wanted = spelling(label)
    alike = by_text.get(wanted) or (by_value.get(float(wanted)) if _NUMBER.fullmatch(wanted) else None)
    return None if alike == label else alike


@lru_cache(maxsize=4)  # a file may hold as many unknown labels as rows
def _known_spellings(labels: tuple[str, ...]) -> tuple[dict[str, str], dict[float, str]]:
    by_text: dict[str, str] = {}
    for label in labels:
        by_text.setdefault(spelling(label), label)
    by_value: dict[float, str] = {}
    for text, label in by_text.items():
        if _NUMBER.fullmatch(text):
            by_value.setdefault(float(text), label)
    return by_text, by_value
