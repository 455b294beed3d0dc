"""The record format ``tfrecord``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.record_format import RecordFormat


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """TFRecord files."""
    from bertcore.data.records.tfrecord import TFRecordFormat

    return [TFRecordFormat()]
