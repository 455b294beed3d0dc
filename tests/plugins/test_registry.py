"""Looking up by name: what is found, what is asked for in vain, and whose fault that is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bertcore import hookimpl
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.events import TrackerFactory
from bertcore.contracts.implementations import Implementation
from bertcore.contracts.objective import HeadLoss, Objective
from bertcore.contracts.record_format import RecordFormat
from bertcore.errors import PluginError, UsageError
from bertcore.families.bert import BertFamily
from bertcore.heads import Regression
from bertcore.plugins.discovery import Plugins
from bertcore.plugins.registry import Registry


def plugin_with(hook: str, implementation: Callable[[], Any]) -> object:
    """A plugin with one hook."""
    return SimpleNamespace(**{hook: hookimpl(implementation)})


def registry_of(**plugins: object) -> Registry:
    registered = Plugins()
    for name, plugin in plugins.items():
        registered.register(plugin, name)
    return Registry(registered)


def trackers(*names: str) -> object:
    factories = [TrackerFactory(name, "a tracker", lambda run: None) for name in names]  # type: ignore[arg-type, return-value]
    return plugin_with("bertcore_register_trackers", lambda: factories)


@dataclass(frozen=True)
class Weighted(Objective):
    weight: float = 1.0

    name: ClassVar[str] = "weighted"


def test_what_is_registered_is_found_under_its_name():
    family = BertFamily()
    registry = registry_of(
        first=plugin_with("bertcore_register_families", lambda: [family]), second=trackers("log", "curve")
    )
    assert registry.family("bert") is family
    assert list(registry.trackers) == ["log", "curve"]
    assert registry.trackers["curve"].record.name == "second"
    registry.gather_all()
    assert [record.provides for record in registry.plugins.records] == [
        ["family bert"],
        ["tracker log", "tracker curve"],
    ]


def test_record_formats_are_found_under_their_name():
    class Punched(RecordFormat):
        name = "punched"
        description = "cards"
        suffix = ".cards"

        def write(self, file, records):
            raise NotImplementedError

        def read(self, file):
            raise NotImplementedError

    cards = Punched()
    registry = registry_of(cards=plugin_with("bertcore_register_record_formats", lambda: [cards]))
    assert registry.record_format("punched") is cards
    with pytest.raises(UsageError, match="there is no record format 'punchd'"):
        registry.record_format("punchd")
    registry.gather_all()
    assert registry.plugins.records[0].provides == ["record format punched"]


def implementations(*items: Implementation) -> object:
    return plugin_with("bertcore_register_implementations", lambda: list(items))


@dataclass(frozen=True)
class Doubled(Regression):
    """A head of a third party."""

    name: ClassVar[str] = "doubled"


@dataclass(frozen=True)
class Strict(Regression):
    """What a backend computes as it does its parent, for it keeps the name."""


def test_code_is_found_by_backend_and_kind_of_description_and_is_imported_then():
    registry = registry_of(
        backend=implementations(
            Implementation(Regression, "torch", "json:dumps"),
            Implementation(Regression, "mindspore", "json:loads"),
            Implementation(BertConfig, "torch", "math:sqrt"),
            Implementation(HeadLoss, "torch", "a_module_that_nobody_has:x"),
        ),
        third_party=implementations(Implementation(Doubled, "torch", "math:exp")),
    )
    assert registry.code_of("torch", Regression()) is json.dumps
    assert registry.code_of("mindspore", Regression()) is json.loads
    assert registry.code_of("torch", Doubled()) is math.exp
    assert registry.code_of("torch", Strict()) is json.dumps
    assert registry.code_of("torch", BertConfig(9, 8, 1, 2, 4)) is math.sqrt
    assert list(registry.implementations)[-1] == "head doubled on torch"
    assert registry.plugins.records[0].provides[:2] == ["head regression on torch", "head regression on mindspore"]
    with pytest.raises(PluginError, match="a_module_that_nobody_has:x cannot be imported, the code of the objective"):
        registry.code_of("torch", HeadLoss())


def test_a_backend_without_code_for_a_head_says_what_to_register_and_who_has_it():
    registry = registry_of(first=implementations(Implementation(Doubled, "torch", "math:exp")))
    with pytest.raises(UsageError) as caught:
        registry.code_of("mindspore", Doubled())
    assert caught.value.cause == "the backend mindspore has no code for the head 'doubled'"
    assert caught.value.remedy.startswith("use --backend torch, or let a plugin register ")
    assert 'Implementation(Doubled, "mindspore", "MODULE:CLASS")' in caught.value.remedy
    assert "bertcore_register_implementations" in caught.value.remedy
    assert caught.value.code == "implementation-missing"
    with pytest.raises(UsageError) as caught:
        registry.code_of("torch", Regression())
    assert "--backend" not in caught.value.remedy


def test_code_that_is_registered_twice_keeps_the_first_and_names_both():
    twice = Implementation(Regression, "torch", "json:dumps"), Implementation(Regression, "torch", "json:loads")
    registry = registry_of(first=implementations(twice[0]), second=implementations(twice[1]))
    assert registry.code_of("torch", Regression()) is json.dumps
    (failure,) = registry.plugins.failures()
    assert failure.name == "second"
    assert "'head regression on torch' is registered by first" in failure.error


def test_objectives_are_found_by_name_among_those_of_a_backend():
    registry = registry_of(
        first=implementations(
            Implementation(HeadLoss, "torch", "e:F"),
            Implementation(Weighted, "torch", "g:H"),
            Implementation(Regression, "mindspore", "i:J"),
        )
    )
    assert registry.objective("head_loss", {}, "torch") == HeadLoss()
    assert registry.objective("weighted", {"weight": 2.5}, "torch") == Weighted(2.5)
    with pytest.raises(UsageError, match="there is no objective 'weighted' on mindspore"):
        registry.objective("weighted", {}, "mindspore")
    with pytest.raises(UsageError, match="there is no objective 'regression' on mindspore"):
        registry.objective("regression", {}, "mindspore")
    with pytest.raises(UsageError, match="wieght"):
        registry.objective("weighted", {"wieght": 2.5}, "torch")


def test_a_misspelt_name_is_answered_with_the_nearest():
    registry = registry_of(first=trackers("console", "curve"))
    with pytest.raises(UsageError, match="there is no tracker 'consol'") as caught:
        registry.tracker("consol")
    assert "did you mean 'console'?" in caught.value.remedy


def test_a_name_like_no_other_is_answered_with_all():
    registry = registry_of(first=trackers("console", "curve"))
    with pytest.raises(UsageError) as caught:
        registry.tracker("xyz")
    assert "console, curve" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        registry.backend("xyz")
    assert "none" in caught.value.remedy


def test_a_name_registered_twice_keeps_the_first_and_names_both():
    registry = registry_of(first=trackers("log"), second=trackers("curve", "log"))
    assert registry.trackers["log"].record.name == "first"
    assert "curve" in registry.trackers, "what the second plugin brought before stays"
    (failure,) = registry.plugins.failures()
    assert failure.name == "second"
    assert failure.status == "failed"
    assert "'log'" in failure.error
    assert "first" in failure.error


def test_something_of_a_wrong_type_fails_its_plugin_alone():
    registry = registry_of(
        first=plugin_with("bertcore_register_trackers", lambda: ["console"]), second=trackers("curve")
    )
    assert list(registry.trackers) == ["curve"]
    (failure,) = registry.plugins.failures()
    assert failure.name == "first"
    assert "TrackerFactory" in failure.error


def test_what_a_broken_plugin_provides_is_answered_with_its_error_in_full():
    def fails() -> list[Any]:
        raise RuntimeError("the moon\nis in the wrong phase")

    registry = registry_of(curve=plugin_with("bertcore_register_trackers", fails), other=trackers("console"))
    with pytest.raises(PluginError) as caught:
        registry.tracker("curve")
    assert "Traceback" in caught.value.cause
    assert "is in the wrong phase" in caught.value.cause
    assert "curve" in caught.value.cause
    with pytest.raises(UsageError) as usage:
        registry.tracker("consoel")
    assert "1 broken plugin(s)" in usage.value.remedy


def test_what_a_switched_off_plugin_provides_is_answered_with_the_option():
    registry = Registry(blocked=["bert"])
    with pytest.raises(UsageError, match="-p no:bert"):
        registry.family("bert")


def test_the_plugins_of_this_environment_are_all_well():
    registry = Registry()
    registry.gather_all()
    assert {record.name: record.details for record in registry.plugins.failures()} == {}
    names = {point.name for point in metadata.entry_points(group="bertcore")}
    assert {record.name for record in registry.plugins.records} == names
    assert [record.name for record in registry.plugins.records if not record.provides] == []


def test_code_that_cannot_be_imported_is_named():
    for code in ("a_module_that_nobody_has:x", "json:no_such_attribute"):
        with pytest.raises(PluginError, match=code):
            Implementation(Regression, "torch", code).load()
