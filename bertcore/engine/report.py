"""``report.json``, ``report.md`` and the curves of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bertcore
from bertcore.files import atomic_write, json_text
from bertcore.task import Evaluation

SHOWN_ERRORS = 10
SHOWN_METRICS = 6


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        title: first line.
        header: what the run did.
        evaluation: of the best checkpoint.
        best_step: its step.
        seconds: wall-clock time of the run.
        examples_per_second: of training, or of an evaluation; without compilation.
        history: logged steps and evaluations, as in ``metrics.jsonl``.
        options: the resolved configuration.
        environment: versions and machine.
    """

    title: str
    header: Mapping[str, str]
    evaluation: Evaluation
    best_step: int
    seconds: float
    examples_per_second: float
    history: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]
    environment: Mapping[str, str]


def environment(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions and machine, without anything that names a user or a host."""
    return {
        "bertcore": bertcore.__version__,
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }


def write_report(folder: Path, report: Report) -> None:
    """Writes ``report.json``, ``report.md`` and, after a training, ``curves.png``.

    Raises:
        OutputError: one of them could not be written.
    """
    evaluation = report.evaluation
    content = {
        "metrics": dict(evaluation.metrics),
        "baseline": dict(evaluation.baseline),
        "total": evaluation.total,
        "summary": evaluation.summary,
        "best_step": report.best_step,
        "seconds": round(report.seconds, 3),
        "examples_per_second": round(report.examples_per_second, 3),
        "header": dict(report.header),
        "confusion": None
        if evaluation.confusion is None
        else {"labels": list(evaluation.confusion[0]), "counts": evaluation.confusion[1].tolist()},
        "errors": list(evaluation.errors),
        "history": list(report.history),
        "options": dict(report.options),
        "environment": dict(report.environment),
    }
    write_json(folder / "report.json", content)
    has_curves = _write_curves(folder / "curves.png", report.history)
    with atomic_write(folder / "report.md") as file:
        file.write(_markdown(report, has_curves).encode())


def write_json(file: Path, content: Any) -> None:
    """Writes readable JSON."""
    with atomic_write(file) as output:
        output.write(json_text(content, indent=2).encode() + b"\n")


def write_json_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one JSON object a line."""
    with atomic_write(file) as output:
        for row in rows:
            output.write(json_text(row).encode() + b"\n")


def _markdown(report: Report, has_curves: bool) -> str:
    evaluation = report.evaluation
    lines = [
        f"# {report.title}",
        "",
        f"`{evaluation.summary}`",
        "",
        "| score | value | baseline |",
        "|---|---|---|",
    ]
    for name, value in evaluation.metrics.items():
        baseline = evaluation.baseline.get(name)
        lines.append(f"| {name} | {value:.6f} | {'' if baseline is None else f'{baseline:.6f}'} |")
    evaluations = sum(1 for entry in report.history if entry.get("kind") == "evaluation")
    if evaluations:
        lines += ["", f"Best of {evaluations} evaluations on the same split, at step {report.best_step}."]
    if has_curves:
        lines += ["", "![loss and scores](curves.png)"]
    if evaluation.confusion is not None:
        labels, counts = evaluation.confusion
        lines += ["", "## Confusion matrix", "", "| gold \\ predicted | " + " | ".join(map(_cell, labels)) + " |"]
        lines.append("|---" * (len(labels) + 1) + "|")
        lines += [
            f"| {_cell(label)} | " + " | ".join(map(str, row)) + " |" for label, row in zip(labels, counts, strict=True)
        ]
    if evaluation.errors:
        lines += ["", "## Worst errors", ""]
        for error in evaluation.errors[:SHOWN_ERRORS]:
            lines.append("- " + ", ".join(f"{name}: {_cell(value)}" for name, value in error.items()))
    for title, table in (
        ("Run", report.header),
        ("Environment", report.environment),
        ("Configuration", report.options),
    ):
        lines += ["", f"## {title}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\0", "\\0")


def _write_curves(file: Path, history: Sequence[Mapping[str, Any]]) -> bool:
    steps = [entry for entry in history if entry.get("kind") == "train"]
    evaluations = [entry for entry in history if entry.get("kind") == "evaluation"]
    if not steps:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    loss_axes.plot([entry["step"] for entry in steps], [entry["loss"] for entry in steps])
    loss_axes.set(xlabel="step", ylabel="training loss")
    # Tasks with many types have dozens of metrics, the chief ones first.
    for name in list(evaluations[0]["metrics"])[:SHOWN_METRICS] if evaluations else ():
        values = [entry["metrics"][name] for entry in evaluations]
        (line,) = score_axes.plot([entry["step"] for entry in evaluations], values, marker="o", label=name)
        if name in evaluations[0]["baseline"]:
            score_axes.axhline(
                evaluations[0]["baseline"][name], linestyle=":", color=line.get_color(), label=f"{name}, baseline"
            )
    score_axes.set(xlabel="step", ylabel="score")
    if evaluations:
        score_axes.legend()
    with atomic_write(file) as output:
        figure.savefig(output, format="png", dpi=110)
    return True
