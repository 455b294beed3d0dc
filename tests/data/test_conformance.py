"""The built-in record formats against the conformance suite."""

from __future__ import annotations

from bertcore.testing import RecordFormatConformance


class TestTFRecord(RecordFormatConformance):
    plugin = "bertcore.builtin:tfrecord"


class TestJsonLines(RecordFormatConformance):
    plugin = "bertcore.builtin:jsonl"
