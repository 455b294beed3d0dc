"""The record format ``jsonl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.record_format import RecordFormat


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """JSON lines to look into."""
    from bertcore.data.records.json_lines import JsonLinesFormat

    return [JsonLinesFormat()]
