"""Every conformance suite on every faulty plugin; pytest is given this file by test_conformance_suites.py."""

from __future__ import annotations

import faulty_plugins
from bertcore_example.colour import ColourTask
from bertcore_example.npy_records import NpyRecords
from bertcore_example.npz import NpzConverter
from bertcore_example.reference_backend import ReferenceSession
from faulty_plugins import FOUND_BY, ChoiceSession, SpansSession

from bertcore import testing

SUITES = {
    ReferenceSession: testing.BackendConformance,
    ColourTask: testing.TaskConformance,
    NpzConverter: testing.ConverterConformance,
    NpyRecords: testing.RecordFormatConformance,
}

NONE = testing.notimpl("the example's numpy session has none")
GAPS = dict.fromkeys(("token", "focal token", "crf", "span", "dropout"), NONE)
SPANS, CHOICE = (
    dict.fromkeys(("global pointer", "efficient global pointer"), NONE),
    dict.fromkeys(("multiple choice", "focal choice"), NONE),
)


def gaps_of(session):
    spans = {} if issubclass(session, SpansSession) else SPANS
    return {**GAPS, **spans, **({} if issubclass(session, ChoiceSession) else CHOICE)}


for name in FOUND_BY:
    faulty = getattr(faulty_plugins, name)
    suite = next(suite for right, suite in SUITES.items() if issubclass(faulty, right))
    attributes = {"plugin": f"faulty_plugins:PLUGINS.{name}", "file_name": "weights.npz"}
    if suite is testing.BackendConformance:
        attributes["gaps"] = gaps_of(faulty)
    globals()[f"Test{name}"] = type(f"Test{name}", (suite,), attributes)
del suite
