"""The head on MindSpore, against bertcore's suite of backends."""

from __future__ import annotations

import pytest
from bertcore.testing import BackendConformance

pytestmark = pytest.mark.mindspore

pytest.importorskip("bertcore_mindspore")
pytest.importorskip("bertcore_example.ordinal_reference")  # which makes the head known to the suite


class TestOrdinalOnMindSpore(BackendConformance):
    plugin = "bertcore_mindspore.plugin"
    further_plugins = ("bertcore_example.plugins:Ordinal",)
    heads = ("ordinal",)
