"""For authors of plugins: conformance suites, and the reference that every backend is compared with.

A suite is a class that a test module of the plugin subclasses; pytest does the rest::

    from bertcore.testing import BackendConformance


    class TestMyBackend(BackendConformance):
        plugin = "bertcore_mine.plugin"  # as in the entry point

What the plugin does not do, it says with a reason, and is told when that is no longer true::

    from bertcore.testing import BackendConformance, notimpl


    class TestMyBackend(BackendConformance):
        plugin = "bertcore_mine.plugin"
        gaps = {"crf": notimpl("the conditional random field is still to be written")}

The suites need pytest, and those of converters and record formats hypothesis, which are imported when a suite is first
named; :mod:`bertcore.testing.reference` needs numpy alone.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bertcore.testing.gaps import never, notimpl, notyet

if TYPE_CHECKING:
    from bertcore.testing.backend_suite import BackendConformance as BackendConformance
    from bertcore.testing.converter_suite import ConverterConformance as ConverterConformance
    from bertcore.testing.record_format_suite import RecordFormatConformance as RecordFormatConformance
    from bertcore.testing.task_suite import TaskConformance as TaskConformance

_SUITES = {
    "BackendConformance": "bertcore.testing.backend_suite",
    "ConverterConformance": "bertcore.testing.converter_suite",
    "RecordFormatConformance": "bertcore.testing.record_format_suite",
    "TaskConformance": "bertcore.testing.task_suite",
}

__all__ = [
    "BackendConformance",
    "ConverterConformance",
    "RecordFormatConformance",
    "TaskConformance",
    "never",
    "notimpl",
    "notyet",
]


def __getattr__(name: str) -> Any:
    if name not in _SUITES:
        raise AttributeError(f"module 'bertcore.testing' has no attribute {name!r}")
    import pytest

    # A failed assert then shows its values, as in a test module; what is imported already stays as it is.
    modules = (_SUITES[name], "bertcore.testing.heads", "bertcore.testing.suite")
    pytest.register_assert_rewrite(*(module for module in modules if module not in sys.modules))
    globals()[name] = getattr(import_module(_SUITES[name]), name)
    return globals()[name]
