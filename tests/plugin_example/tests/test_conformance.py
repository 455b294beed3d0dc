"""The plugins against bertcore's own conformance suites; all that a plugin author writes is this."""

from __future__ import annotations

from bertcore.testing import BackendConformance, ConverterConformance, RecordFormatConformance, TaskConformance


class TestReferenceNumpy(BackendConformance):
    plugin = "bertcore_example.plugins:ReferenceNumpy"
    has_dropout = False


class TestColour(TaskConformance):
    plugin = "bertcore_example.plugins:Colour"


class TestNpz(ConverterConformance):
    plugin = "bertcore_example.plugins:Npz"
    file_name = "weights.npz"


class TestNpy(RecordFormatConformance):
    plugin = "bertcore_example.plugins:Npy"
