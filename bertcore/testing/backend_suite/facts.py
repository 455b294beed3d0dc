"""What a backend says about itself, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib import metadata

import pytest

from bertcore.contracts.backend import PRECISIONS
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.implementations import implementation_name
from bertcore.contracts.objective import HeadLoss
from bertcore.errors import DeviceError
from bertcore.testing.backend_suite.asserts import assert_two_lines
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import CONFIG, GRADIENTS
from bertcore.testing.heads import descriptions
from bertcore.testing.plugin_under_test import imported_modules
from bertcore.weights.stored_head import head_from_config


class Facts(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_static_facts(self, bench: Bench) -> None:
        """Name, devices, precisions and files are what listings and the engine expect."""
        backend = bench.backend
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", backend.name)
        assert backend.description
        assert "\n" not in backend.description
        assert all(isinstance(package, str) for package in backend.packages)
        assert backend.devices
        for precisions in backend.devices.values():
            assert "fp32" in precisions
            assert set(precisions) <= set(PRECISIONS)
        file, converter = backend.weight_file
        assert "/" not in file
        assert converter
        assert any(map(bench.registered, descriptions().values())), "the plugin registers no head for its backend"
        for description, needed in ((BertConfig, "encoder"), (HeadLoss, "objective: a run needs the heads' loss")):
            name = implementation_name(description, backend.name)
            assert name in bench.registry.implementations, f"the plugin registers no {needed}"

    def test_a_head_comes_back_from_its_config(self, bench: Bench, head: Head) -> None:
        """As far as predictions depend on it, found by its architecture; its names of entries and parameters hold."""
        entries = head.config_entries()
        assert set(entries) <= set(head.entry_names)
        written = json.loads(json.dumps({"architectures": [f"Tested{head.architecture}"], **entries}))
        found = head_from_config(written, bench.registry.heads)
        assert found.config_entries() == entries
        assert found.predicts_as(head)
        assert list(found.parameter_table(CONFIG.hidden_size)) == list(head.parameter_table(CONFIG.hidden_size))
        for name in head.parameter_table(CONFIG.hidden_size):
            assert re.fullmatch(head.parameter_names, name), name

    def test_listing_imports_no_framework(self, bench: Bench) -> None:
        """Loading the plugin, calling its hooks and reading static facts import none of the backend's packages."""
        packages = {name.lower().replace("_", "-") for name in bench.backend.packages}
        modules = [
            module
            for module, distributions in metadata.packages_distributions().items()
            if packages & {name.lower().replace("_", "-") for name in distributions}
        ]
        code = (
            "from bertcore.testing.plugin_under_test import load_plugin\n"
            f"for entry in load_plugin(*{(self.plugin, *self.further_plugins)!r}).backends.values():\n"
            "    backend = entry.item\n"
            "    backend.name, backend.description, backend.packages, backend.devices, backend.weight_file\n"
        )
        # The backend's own distribution may be among its packages; its modules are what a listing loads.
        own = type(bench.backend).__module__.partition(".")[0]
        assert imported_modules(code, [name for name in modules if name != own]) == []

    def test_devices_of_this_machine(self, bench: Bench) -> None:
        """The backend runs here, on devices that it declares, and its own check passes on each."""
        devices = bench.backend.available_devices()
        assert devices
        assert {device.partition(":")[0] for device in devices} <= set(bench.backend.devices)
        for device in devices:
            check = bench.backend.check(device)
            assert check.passed, check
            assert check.operation
        versions = bench.backend.versions()
        assert versions
        assert all(isinstance(part, str) for item in versions.items() for part in item)

    def test_an_absent_device_is_refused(self, bench: Bench) -> None:
        """With one line of cause and one of remedy."""
        specification = bench.specification(bench.first_head())
        for device in ("abacus", "abacus:0"):
            with pytest.raises(DeviceError) as caught:
                bench.backend.open(dataclasses.replace(specification, device=device))
            assert_two_lines(caught.value)

    def test_an_absent_precision_is_refused(self, bench: Bench) -> None:
        """For training and for predictions, where the device lacks one."""
        declared = bench.backend.devices[bench.device.partition(":")[0]]
        specification = bench.specification(bench.first_head(), GRADIENTS)
        for precision in set(PRECISIONS) - set(declared):
            for changed in (
                dataclasses.replace(specification, precision=precision),
                dataclasses.replace(specification, prediction_precision=precision),
            ):
                with pytest.raises(DeviceError) as caught:
                    bench.backend.open(changed)
                assert_two_lines(caught.value)
