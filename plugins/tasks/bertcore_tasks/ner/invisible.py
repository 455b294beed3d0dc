"""Characters that nobody sees: in units, where they are told, and at the ends of tags, where they would make types."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from bertcore.errors import Origin

from bertcore_tasks.ner.units import Sentence

# Blanks but for the space, what has no width, soft hyphens, marks of direction and of byte order.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc]"
)
_AT_ENDS = re.compile(rf"^(?:\s|{_INVISIBLE.pattern})+|(?:\s|{_INVISIBLE.pattern})+$")
# A joiner inside an emoji or a word of a script that needs it, and the selector behind an emoji, are no mistakes.
_AT_HOME = re.compile("(?<=[^\x00-\u02ff])[\u200c\u200d\ufe0e\ufe0f]")


def bare(text: str) -> str:
    """A tag or a type without blanks and invisible characters at its ends."""
    return _AT_ENDS.sub("", text) if text else text


def shown(text: str) -> str:
    """The invisible characters of a text by code and name, as ``U+200B ZERO WIDTH SPACE``; empty where it has none."""
    return ", ".join(map(_named, dict.fromkeys(_found(text))))


def notes_on_invisible(sentences: Sequence[Sentence], name: str) -> list[str]:
    """One line on the invisible characters of a file's texts, where they have some.

    Args:
        sentences: that were read.
        name: of the file.
    """
    counts: Counter[str] = Counter()
    first: Origin | None = None
    for sentence in sentences:
        # A search in C; most texts have nothing of this kind.
        if not sentence.text.isascii() or not sentence.text.isprintable():
            found = _found(sentence.text)
            if found:
                counts.update(found)
                first = first or sentence.origin
    if first is None:
        return []
    place = first if first.line is None else f"in line {first.line}"
    told = ", ".join(f"{count} of {_named(character)}" for character, count in counts.most_common())
    return [f"{name}: invisible characters in the texts, read as they are: {told} (first {place})"]


def _found(text: str) -> Iterable[str]:
    return _INVISIBLE.findall(_AT_HOME.sub("", text)) if _INVISIBLE.search(text) else []


def _named(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL CHARACTER')}"
