"""The plugins against bertcore's own conformance suites; all that a plugin author writes is this."""

from __future__ import annotations

from typing import ClassVar

from bertcore.testing import (
    BackendConformance,
    ConverterConformance,
    RecordFormatConformance,
    TaskConformance,
    never,
    notimpl,
)

import bertcore_example.ordinal_reference  # noqa: F401  (makes the head of TestStars known to the suites)


class TestReferenceNumpy(BackendConformance):
    plugin = "bertcore_example.plugins:ReferenceNumpy"
    gaps: ClassVar = {
        "token": notimpl("no class computes tags yet"),
        "focal token": notimpl("no class computes tags yet"),
        "crf": notimpl("no class computes a conditional random field yet"),
        "span": notimpl("no class computes spans yet"),
        "global pointer": notimpl("no class scores pairs yet"),
        "efficient global pointer": notimpl("no class scores pairs yet"),
        "multiple choice": notimpl("no class has a loss of several rows yet"),
        "focal choice": notimpl("no class has a loss of several rows yet"),
        "dropout": never("it computes the equations, in which there is none"),
    }


class TestColour(TaskConformance):
    plugin = "bertcore_example.plugins:colour"


class TestStars(TaskConformance):
    plugin = "bertcore_example.plugins:stars"
    best_score = 0.0  # a mean error


class TestNpz(ConverterConformance):
    plugin = "bertcore_example.plugins:npz"
    file_name = "weights.npz"
    gaps: ClassVar = {"test_the_stated_meaning_of_the_tensors": notimpl("parts() is still to be written")}


class TestNpy(RecordFormatConformance):
    plugin = "bertcore_example.plugins:npy"
