"""The MindSpore backend against the conformance suite that every backend passes."""

from __future__ import annotations

import pytest

from bertcore.testing import BackendConformance

pytestmark = pytest.mark.mindspore


class TestMindSpore(BackendConformance):
    plugin = "bertcore_mindspore.plugin"
