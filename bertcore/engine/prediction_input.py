"""What ``predict`` is given, as the records that a task reads: plain texts, and texts under their everyday names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bertcore.errors import UsageError

EVERYDAY_NAMES = ("text", "text_pair")
"""What the first and the second text may be called whatever the training file calls them."""

Record = tuple[Mapping[str, Any], str]
"""Fields by name, and where they stand."""


def record_of_texts(texts: Sequence[str], fields: Sequence[str], origin: str) -> dict[str, str]:
    """Makes a record of plain texts.

    Args:
        texts: in the order in which the model reads them.
        fields: of the task (:meth:`bertcore.task.Task.input_fields`).
        origin: where the texts stand.

    Raises:
        UsageError: the model does not read so many.
    """
    if len(texts) > len(fields):
        names = " and ".join(fields)
        raise UsageError(
            f"{origin}: {len(texts)} texts, and the model reads {len(fields)}: {names}",
            "give one text for each of them",
        )
    return dict(zip(fields, texts, strict=False))


def named_as_trained(records: Iterable[Record], fields: Sequence[str]) -> Iterator[Record]:
    """Lets ``text`` and ``text_pair`` stand for the fields of the training file, where a record lacks those."""
    synonyms = [
        (everyday, field) for everyday, field in zip(EVERYDAY_NAMES, fields, strict=False) if everyday not in fields
    ]
    for record, origin in records:
        found = {everyday: field for everyday, field in synonyms if everyday in record and field not in record}
        yield ({found.get(name, name): value for name, value in record.items()} if found else record), origin
