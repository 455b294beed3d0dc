"""The shipped tasks against the conformance suite that every task passes, on samples and on real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcore.testing import TaskConformance

RTE = Path(__file__).resolve().parents[3] / "shared" / "data" / "glue" / "RTE"


class TestRteSample(TaskConformance):
    plugin = "bertcore_tasks.glue.rte"


@pytest.mark.skipif(not RTE.is_dir(), reason="needs the folder ../shared/data/glue/RTE beside the repository's root")
class TestRte(TaskConformance):
    plugin = "bertcore_tasks.glue.rte"
    data = RTE
    examples = 277
