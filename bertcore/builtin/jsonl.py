"""The record format ``jsonl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.data.records import RecordFormat


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """JSON lines to look into."""
    from bertcore.data.json_records import JsonLinesFormat

    return [JsonLinesFormat()]
