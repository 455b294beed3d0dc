"""``report.json`` and ``report.md`` of several runs: what their scores come to, and where each one stands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.contracts.evaluation import Evaluation
from bertcore.engine.report import evaluation_content, write_json
from bertcore.engine.report_text import cell, code, details, notes_of, score_table, text
from bertcore.files.writing import atomic_write


@dataclass(frozen=True)
class RepeatsReport:
    """All that a report of several runs shows.

    Attributes:
        title: first line.
        kind: what tells the runs apart: ``seed`` or ``fold``.
        summary: the last line of the terminal.
        content: mean and standard deviation, baseline, those of the test file, and each run, as ``report.json`` has it.
        together: scores of the predictions of all runs at once, where that means something.
    """

    title: str
    kind: str
    summary: str
    content: Mapping[str, Any]
    together: Evaluation | None = None


def write_repeats_report(folder: Path, report: RepeatsReport) -> None:
    """Writes ``report.json`` and ``report.md``.

    Raises:
        OutputError: one of them could not be written.
    """
    content = {**report.content, "summary": report.summary}
    if report.kind == "fold":
        content["all_folds"] = None if report.together is None else evaluation_content(report.together)
    write_json(folder / "report.json", content)
    with atomic_write(folder / "report.md") as file:
        file.write(("\n".join(_lines(report)) + "\n").encode())


def _lines(report: RepeatsReport) -> Iterator[str]:
    runs = report.content["runs"]
    yield from (f"# {text(report.title)}", "", code(report.summary))
    for run in runs:
        if run["notes"]:
            yield from ("", f"**Note** on {text(run['folder'])}: {text('; '.join(run['notes']))}.")
    yield from _table(report.content, [run["metrics"] for run in runs], runs)
    if report.content["test"] is not None:
        scored = [run for run in runs if run["test"] is not None]
        yield from ("", "## Test")
        yield from _table(report.content["test"], [run["test"] for run in scored], scored)
    if report.together is not None:
        yield from ("", "## All folds together", "", code(report.together.summary))
        yield from notes_of(report.together)
        yield from score_table(report.together, "all examples")
        yield from details(report.together, "###")


def _table(
    outcome: Mapping[str, Any], metrics: Sequence[Mapping[str, float]], runs: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Mean, standard deviation and each run, which is a link to its own report."""
    baseline = outcome.get("baseline") or {}
    links = [f"[{run['folder']}]({run['folder']}/report.md)" for run in runs]
    columns = ["score", "mean", "standard deviation", *(["baseline"] if baseline else []), *links]
    yield from ("", f"| {' | '.join(columns)} |", "|---" + "|---:" * (len(columns) - 1) + "|")
    for name, mean in outcome["mean"].items():
        values = [mean, outcome["standard_deviation"][name], *([baseline.get(name, math.nan)] if baseline else [])]
        values += [of_run[name] for of_run in metrics]
        cells = ("" if math.isnan(value) else f"{value:.6f}" for value in values)
        yield f"| {cell(name)} | {' | '.join(cells)} |"
