"""The column of MindSpore on the page that follows one training step, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import one_step
import pytest

pytestmark = pytest.mark.mindspore


def test_what_is_not_compiled_is_called_in_the_order_of_the_column(
    small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    calls = one_step.traced_run("mindspore", small_rte, tiny_en, tmp_path / "run")
    column = one_step.column("mindspore")
    stations = [station for station in column if not station.compiled]
    step = one_step.last_of(calls, stations[0].file, stations[0].name)
    assert one_step.order_of(stations, step) == stations
    entered = {call.file for call in step if call.file.startswith("plugins/backend_mindspore")}
    assert entered - {station.file for station in column} == set()
