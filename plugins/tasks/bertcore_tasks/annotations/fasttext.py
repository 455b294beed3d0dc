"""fastText's lines, ``__label__good The meal was wonderful.``, which doccano exports, too."""

from __future__ import annotations

from bertcore.data.tables import Record, decode_lines
from bertcore.errors import Origin

PREFIX = "__label__"


def fasttext_records(content: bytes, name: str) -> list[Record] | None:
    """Reads a file whose first line begins with a label; None for any other.

    Args:
        content: in UTF-8.
        name: of the file.

    Returns:
        Each text with the list of its labels.
    """
    if not content.lstrip().startswith(PREFIX.encode()):
        return None
    records: list[Record] = []
    for number, line in decode_lines(content, name):
        labels = []
        rest = line.strip()
        while rest.startswith(PREFIX):
            first, _, rest = rest.partition(" ")
            labels.append(first.removeprefix(PREFIX))
            rest = rest.lstrip()
        if rest or labels:
            records.append(({"text": rest, "label": labels}, Origin(name, number)))
    return records
