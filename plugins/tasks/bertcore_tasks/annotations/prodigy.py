"""prodigy's JSON lines: of the examples that were answered, those that were accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertcore.contracts.dataset import LeftOut
from bertcore.data.tables import Record

from bertcore_tasks.annotations.plain_records import PlainRecords
from bertcore_tasks.fields import identifier_of
from bertcore_tasks.wording import counted

ANSWER = "answer"
ANSWERS = ("accept", "reject", "ignore")


def is_prodigy(fields: Mapping[str, Any]) -> bool:
    """Whether a record is an example that prodigy's annotator answered."""
    return fields.get(ANSWER) in ANSWERS and any(name in fields for name in ("_input_hash", "_task_hash", "spans"))


def without_rejected(records: Sequence[Record], name: str) -> PlainRecords:
    """Leaves out what was rejected or ignored; of the others, the ``accept`` of a choice is the ``label``."""
    kept: list[Record] = []
    left_out: list[LeftOut] = []
    for number, (fields, origin) in enumerate(records):
        answer = fields.get(ANSWER, "accept")
        if answer == "accept":
            kept.append(_with_label((fields, origin)))
        else:
            left_out.append(
                LeftOut(identifier_of(fields, "id", number), origin, f"the annotator's answer is {answer!r}")
            )
    if not left_out:
        return PlainRecords(kept)
    words = f"{counted(len(left_out), 'example')} that prodigy's annotator rejected or ignored left out"
    return PlainRecords(kept, (f"{name}: {words}",), tuple(left_out))


def _with_label(record: Record) -> Record:
    fields, origin = record
    chosen = fields.get("accept")
    if not isinstance(chosen, list) or "label" in fields or "spans" in fields:
        return record
    return {**fields, "label": chosen[0] if len(chosen) == 1 else chosen}, origin
