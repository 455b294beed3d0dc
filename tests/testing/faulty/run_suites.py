"""Every conformance suite on every faulty plugin; pytest is given this file by test_conformance_suites.py."""

from __future__ import annotations

import faulty_plugins
from bertcore_example.colour import ColourTask
from bertcore_example.npy_records import NpyRecords
from bertcore_example.npz import NpzConverter
from bertcore_example.reference_backend import ReferenceSession
from faulty_plugins import FOUND_BY

from bertcore import testing

SUITES = {
    ReferenceSession: testing.BackendConformance,
    ColourTask: testing.TaskConformance,
    NpzConverter: testing.ConverterConformance,
    NpyRecords: testing.RecordFormatConformance,
}

for name in FOUND_BY:
    faulty = getattr(faulty_plugins, name)
    attributes = {"plugin": f"faulty_plugins:PLUGINS.{name}", "has_dropout": False, "file_name": "weights.npz"}
    suite = next(suite for right, suite in SUITES.items() if issubclass(faulty, right))
    globals()[f"Test{name}"] = type(f"Test{name}", (suite,), attributes)
del suite
