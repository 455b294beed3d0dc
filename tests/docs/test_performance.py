"""The pages on performance and their plots are what the benchmarks' script writes from the stored results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import performance
from benchmarks.harness import results

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_are_what_is_written_from_the_stored_results() -> None:
    stale = [str(file) for file in performance.stale(performance.written())]
    assert not stale, "run python -m benchmarks.performance"


@pytest.mark.parametrize("page", ["docs/performance.md", "docs/zh/performance.md"])
def test_each_speed_of_training_stands_beside_its_contender(page: str) -> None:
    rows = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for line in (results.RESULTS / "training.jsonl").read_text(encoding="utf-8").splitlines():
        for contender in json.loads(line)["contenders"]:
            median = contender["speed"][0]
            shown = f"{median:.0f}" if median >= 100 else f"{median:.1f}" if median >= 10 else f"{median:.2f}"
            name = contender["name"] if page == "docs/performance.md" else performance.translate(contender["name"])
            assert any(row.startswith(f"| {name} | {shown} (") for row in rows), (name, shown)


def test_a_figure_that_was_measured_anew_makes_the_pages_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    read = results.read

    def faster(benchmark: str, folder: Path = results.RESULTS) -> list[results.Case]:
        cases = read(benchmark, folder)
        for contender in cases[0]["contenders"] if benchmark == "training" else []:
            contender["speed"] = [2 * value for value in contender["speed"]]
        return cases

    monkeypatch.setattr(results, "read", faster)
    stale = {file.name for file in performance.stale(performance.written())}
    assert {"performance.md"} < stale
    assert any(name.startswith("training-") and name.endswith(".svg") for name in stale)
