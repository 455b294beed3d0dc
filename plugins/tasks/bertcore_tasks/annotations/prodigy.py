"""prodigy's JSON lines: of the examples that were answered, those that were accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertcore.data.tables import Record

ANSWER = "answer"
ANSWERS = ("accept", "reject", "ignore")


def is_prodigy(fields: Mapping[str, Any]) -> bool:
    """Whether a record is an example that prodigy's annotator answered."""
    return fields.get(ANSWER) in ANSWERS and any(name in fields for name in ("_input_hash", "_task_hash", "spans"))


def without_rejected(records: Sequence[Record], name: str) -> tuple[list[Record], list[str]]:
    """Leaves out what was rejected or ignored.

    Returns:
        The others, whose ``accept`` of a choice is their ``label``, and what was left out, in words.
    """
    kept = [_with_label(record) for record in records if record[0].get(ANSWER, "accept") == "accept"]
    left_out = len(records) - len(kept)
    if not left_out:
        return kept, []
    plural = "s" * (left_out != 1)
    return kept, [f"{name}: {left_out} example{plural} that prodigy's annotator rejected or ignored left out"]


def _with_label(record: Record) -> Record:
    fields, origin = record
    chosen = fields.get("accept")
    if not isinstance(chosen, list) or "label" in fields or "spans" in fields:
        return record
    return {**fields, "label": chosen[0] if len(chosen) == 1 else chosen}, origin
