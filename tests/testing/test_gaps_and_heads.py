"""A declared gap is a strict expected failure, and what the suites know of heads is looked up."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from bertcore.errors import ModelError, PluginError
from bertcore.heads import Regression, SequenceClassification
from bertcore.testing.backend_suite.facts import Facts
from bertcore.testing.heads import HeadReference, reference_of, register

EXAMPLE = Path(__file__).parents[1] / "plugin_example"

MODULE = """
from bertcore.testing import BackendConformance, ConverterConformance, never, notimpl


class TestClosed(BackendConformance):
    plugin = "bertcore_example.plugins:ReferenceNumpy"
    gaps = {"regression": notimpl("it was so once"), "test_static_facts": never("nor was this")}


class TestMisspelt(ConverterConformance):
    plugin = "bertcore_example.plugins:npz"
    file_name = "weights.npz"
    gaps = {"test_round_tripp": notimpl("nothing")}


class TestUndeclared(BackendConformance):
    plugin = "bertcore_example.plugins:ReferenceNumpy"
"""

OWN_HEAD = """
from dataclasses import dataclass

from bertcore import Implementation, Regression, hookimpl
from bertcore.testing import BackendConformance
from bertcore.testing.heads import register
from bertcore.testing.heads.regression import RegressionReference
from bertcore_example.plugins import ReferenceNumpy
from bertcore_example.reference_heads import RegressionLoss


@dataclass(frozen=True)
class Halved(Regression):
    name = "halved"


class HalvedLoss(RegressionLoss):
    def loss(self, logits, label):
        return super().loss(logits, label) / 2

    def gradient(self, logits, label):
        return super().gradient(logits, label) / 2


class HalvedReference(RegressionReference):
    head = Halved
    descriptions = {"halved": Halved()}

    def loss(self, head, model, batch, row, logits):
        loss, gradient = super().loss(head, model, batch, row, logits)
        return loss / 2, gradient / 2


register(HalvedReference())


class Right(ReferenceNumpy):
    @staticmethod
    @hookimpl
    def bertcore_register_implementations():
        right = Implementation(Halved, "reference-numpy", "test_module:HalvedLoss")
        return [*ReferenceNumpy.bertcore_register_implementations(), right]


class Wrong(ReferenceNumpy):
    @staticmethod
    @hookimpl
    def bertcore_register_implementations():
        wrong = Implementation(Halved, "reference-numpy", "bertcore_example.reference_heads:RegressionLoss")
        return [*ReferenceNumpy.bertcore_register_implementations(), wrong]


class TestRight(BackendConformance):
    plugin = "test_module:Right"


class TestWrong(BackendConformance):
    plugin = "test_module:Wrong"


class TestWithout(BackendConformance):
    plugin = "bertcore_example.plugins:ReferenceNumpy"
"""


def outcome_of(module: str, folder: Path, chosen: str) -> str:
    file = folder / "test_module.py"
    file.write_text(module, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider", "-k", chosen, file]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLE), *filter(None, sys.path)])}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder).stdout


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the module with declared gaps."""
    chosen = "facts or gaps or test_predictions_need_no_labels or test_predictions_have_no_dropout"
    return outcome_of(MODULE, tmp_path_factory.mktemp("gaps"), chosen)


def assert_reported(outcome: str, *parts: str) -> None:
    assert any(all(part in line for part in parts) for line in outcome.splitlines()), outcome


def test_a_gap_that_has_closed_is_noticed(outcome: str) -> None:
    assert_reported(outcome, "FAILED", "TestClosed::test_predictions_need_no_labels[regression]")
    assert_reported(outcome, "FAILED", "TestClosed::test_static_facts")
    assert "[XPASS(strict)] not implemented: it was so once" in outcome
    assert "[XPASS(strict)] never: nor was this" in outcome
    assert_reported(outcome, "PASSED", "TestClosed::test_predictions_need_no_labels[classification]")


def test_a_gap_that_names_no_test_is_noticed(outcome: str) -> None:
    assert_reported(outcome, "FAILED", "TestMisspelt::test_declared_gaps_are_of_this_suite")
    assert "the suite has no test_round_tripp" in outcome


def test_what_a_backend_lacks_fails_where_no_gap_is_declared(outcome: str) -> None:
    for lacking in ("need_no_labels[token]", "need_no_labels[crf]", "need_no_labels[span]", "have_no_dropout"):
        assert_reported(outcome, "FAILED", f"TestUndeclared::test_predictions_{lacking}")


def test_a_head_of_a_third_party_goes_through_the_suite(tmp_path: Path) -> None:
    outcome = outcome_of(OWN_HEAD, tmp_path, "halved")
    for test in ("loss_and_gradients_equal_the_reference", "predictions_equal_the_reference", "parameters_round_trip"):
        assert_reported(outcome, "PASSED", f"TestRight::test_{test}[halved]")
    assert_reported(outcome, "FAILED", "TestWrong::test_loss_and_gradients_equal_the_reference[halved]")
    assert_reported(outcome, "FAILED", "TestWrong::test_predictions_equal_the_reference[halved]")
    assert "TestWithout" not in outcome, "the head belongs to another plugin"


@dataclass(frozen=True)
class Unknown(Regression):
    name = "unknown"


def test_a_head_without_a_reference_is_named() -> None:
    with pytest.raises(LookupError, match=r"'unknown' has no reference: bertcore\.testing\.heads\.register one"):
        reference_of(Unknown())


def test_a_head_has_one_reference() -> None:
    known: HeadReference = reference_of(Regression())
    with pytest.raises(ValueError, match="'regression' has a reference already"):
        register(known)


LABELS = ("red", "green")


@dataclass(frozen=True)
class Forgetful(SequenceClassification):
    """Does not say what it cannot do without."""

    def config_entries(self):
        return {**super().config_entries(), "id2label": {}}


@dataclass(frozen=True)
class Silent(SequenceClassification):
    """Writes an entry that it does not own up to."""

    def config_entries(self):
        return {**super().config_entries(), "mood": "bad"}


@dataclass(frozen=True)
class Nameless(SequenceClassification):
    """Has a parameter that its pattern does not know."""

    def parameter_table(self, hidden_size):
        table = super().parameter_table(hidden_size)
        return {**table, "temperature": table["classifier.bias"]}


@dataclass(frozen=True)
class Lost(SequenceClassification):
    """Does not know its own file again."""

    @classmethod
    def from_config(cls, config, origin):
        return None


@pytest.mark.parametrize(
    ("head", "error"),
    [(Forgetful, AssertionError), (Silent, AssertionError), (Nameless, AssertionError), (Lost, ModelError)],
)
def test_a_head_that_does_not_come_back_from_its_config_is_found(head: type, error: type) -> None:
    def check(kind: type, *others: type) -> None:
        bench = SimpleNamespace(registry=SimpleNamespace(heads=(kind, *others)))
        Facts().test_a_head_comes_back_from_its_config(bench, kind(LABELS))

    check(SequenceClassification)
    with pytest.raises(error):
        check(head)
    with pytest.raises(PluginError, match="both take"):
        check(SequenceClassification, Silent)
