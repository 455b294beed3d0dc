"""Every task of GLUE against the conformance suite: on real files, the sample, or small ones in the official layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.testing import TaskConformance

GLUE = Path(__file__).resolve().parents[4] / "shared" / "data" / "glue"
real = pytest.mark.skipif(not GLUE.is_dir(), reason="needs ../shared/data/glue beside the repository's root")


class OnRealFiles(TaskConformance):
    examples = 60
    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # tests/tasks/test_frameworks.py


class OnSmallFiles(OnRealFiles):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, official: Callable[[str], Path]) -> None:
        cls.data = official(cls.plugin.rpartition(":")[2])


class TestRteSample(OnRealFiles):
    plugin = "bertcore_tasks.plugins:rte"


@real
class TestRte(OnRealFiles):
    plugin = "bertcore_tasks.plugins:rte"
    data = GLUE / "RTE"
    examples = 277


@real
class TestCola(OnRealFiles):
    plugin = "bertcore_tasks.plugins:cola"
    data = GLUE / "CoLA"


@real
class TestSst2(OnRealFiles):
    plugin = "bertcore_tasks.plugins:sst2"
    data = GLUE / "SST-2"


@real
class TestMrpc(OnRealFiles):
    plugin = "bertcore_tasks.plugins:mrpc"
    data = GLUE / "MRPC"


@real
class TestStsb(OnRealFiles):
    plugin = "bertcore_tasks.plugins:stsb"
    data = GLUE / "STS-B"


class TestQqp(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:qqp"


class TestQnli(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:qnli"


class TestWnli(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:wnli"


class TestMnli(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:mnli"


class TestAx(OnSmallFiles):
    plugin = "bertcore_tasks.plugins:ax"
