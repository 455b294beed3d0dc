"""Two spellings of one label: ``1`` and ``1.0``, ``Good`` and ``good``, full-width and plain letters."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable


def spelling(label: str) -> str:
    """What two spellings of one label have in common: equal for numbers of one value, and for texts that differ in
    case, width (NFKC) or blanks alone.
    """
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    try:
        number = float(text)
    except ValueError:
        return text
    return repr(number + 0.0) if math.isfinite(number) else text


def other_spelling(label: str, labels: Iterable[str]) -> str | None:
    """The first of the labels that is this one in another spelling, if any."""
    wanted = spelling(label)
    return next((other for other in labels if other != label and spelling(other) == wanted), None)
