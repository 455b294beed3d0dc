"""The torch backend against the conformance suite that every backend passes."""

from __future__ import annotations

from bertcore.testing import BackendConformance


class TestTorch(BackendConformance):
    plugin = "bertcore_torch.plugin"
    device = "cpu"


class TestTorchsOwnOperators(BackendConformance):
    plugin = "bertcore_torch.plugin"
    device = "cpu"
    kernels = "reference"
