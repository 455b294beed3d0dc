"""The head on torch, against bertcore's suite of backends."""

from __future__ import annotations

import pytest
from bertcore.testing import BackendConformance

import bertcore_example.ordinal_reference  # noqa: F401  (makes the head known to the suite)

pytest.importorskip("bertcore_torch")


class TestOrdinalOnTorch(BackendConformance):
    plugin = "bertcore_torch.plugin"
    further_plugins = ("bertcore_example.plugins:Ordinal",)
    heads = ("ordinal",)
