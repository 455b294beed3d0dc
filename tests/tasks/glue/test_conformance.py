"""Every task of GLUE against the conformance suite: on real files, or on small ones in the official layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.testing import TaskConformance
from bertcore.testing.plugin_under_test import FRAMEWORKS, imported_modules

GLUE = Path(__file__).resolve().parents[4] / "shared" / "data" / "glue"
real = pytest.mark.skipif(not GLUE.is_dir(), reason="needs ../shared/data/glue beside the repository's root")


class OnRealFiles(TaskConformance):
    examples = 60

    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # one process for all of them, below


class OnSmallFiles(OnRealFiles):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, official: Callable[[str], Path]) -> None:
        cls.data = official(cls.plugin.rpartition(".")[2])


@real
class TestCola(OnRealFiles):
    plugin = "bertcore_tasks.glue.cola"
    data = GLUE / "CoLA"


@real
class TestSst2(OnRealFiles):
    plugin = "bertcore_tasks.glue.sst2"
    data = GLUE / "SST-2"


@real
class TestMrpc(OnRealFiles):
    plugin = "bertcore_tasks.glue.mrpc"
    data = GLUE / "MRPC"


@real
class TestStsb(OnRealFiles):
    plugin = "bertcore_tasks.glue.stsb"
    data = GLUE / "STS-B"


class TestQqp(OnSmallFiles):
    plugin = "bertcore_tasks.glue.qqp"


class TestQnli(OnSmallFiles):
    plugin = "bertcore_tasks.glue.qnli"


class TestWnli(OnSmallFiles):
    plugin = "bertcore_tasks.glue.wnli"


class TestMnli(OnSmallFiles):
    plugin = "bertcore_tasks.glue.mnli"


class TestAx(OnSmallFiles):
    plugin = "bertcore_tasks.glue.ax"


def test_no_task_needs_a_framework() -> None:
    names = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli", "ax"]
    code = "from bertcore.testing.plugin_under_test import load_plugin\n"
    code += "".join(f"assert load_plugin('bertcore_tasks.glue.{name}').tasks\n" for name in names)
    assert imported_modules(code, FRAMEWORKS) == []
