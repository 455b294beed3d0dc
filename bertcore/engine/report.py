"""``report.json``, ``report.md`` and the curves of a run."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import bertcore
from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.events import SHOWN_METRICS
from bertcore.engine.report_text import markdown
from bertcore.files.writing import atomic_write, json_text


@dataclass(frozen=True)
class ReportedTest:
    """What the best checkpoint made of the test file.

    Attributes:
        examples: of the file.
        labeled: how many of them have a label; it is scored where all have one.
        predictions: name of the file that holds the predictions.
        evaluation: its scores, or None.
    """

    examples: int
    labeled: int
    predictions: str
    evaluation: Evaluation | None


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        title: first line.
        split: name of the split that was evaluated.
        header: what the run did.
        evaluation: of the best checkpoint.
        best_step: its step.
        seconds: wall-clock time of the run.
        examples_per_second: of training, or of an evaluation; without compilation.
        history: logged steps and evaluations, as in ``metrics.jsonl``, but without the scores of single classes.
        options: the resolved configuration.
        environment: versions and machine.
        test: of the run's test file, where there is one.
        identity: what tells one evaluation of a run from another; see :mod:`bertcore.engine.evaluations`.
    """

    title: str
    split: str
    header: Mapping[str, str]
    evaluation: Evaluation
    best_step: int
    seconds: float
    examples_per_second: float
    history: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    test: ReportedTest | None = None
    identity: Mapping[str, Any] | None = None


def environment(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions and machine, without anything that names a user or a host."""
    return {
        "bertcore": bertcore.__version__,
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }


def peak_memory(of_device: int | None) -> str:
    """The most memory that was in use, of a device or else of this process, as ``1.25 GiB``."""
    if of_device is not None:
        return f"{of_device / 2**30:.2f} GiB of the device"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB of the process"


def write_report(folder: Path, report: Report) -> None:
    """Writes ``report.json``, ``report.md`` and, after a training, ``curves.png``.

    Raises:
        OutputError: one of them could not be written.
    """
    content = {
        "split": report.split,
        **evaluation_content(report.evaluation),
        "test": None if report.test is None else _test_content(report.test),
        "best_step": report.best_step,
        "seconds": round(report.seconds, 3),
        "examples_per_second": round(report.examples_per_second, 3),
        "header": dict(report.header),
        "history": list(report.history),
        "options": dict(report.options),
        "environment": dict(report.environment),
    }
    if report.identity is not None:
        content["identity"] = report.identity
    write_json(folder / "report.json", content)
    has_curves = _write_curves(folder / "curves.png", report.history)
    with atomic_write(folder / "report.md") as file:
        file.write(markdown(report, has_curves).encode())


def evaluation_content(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON holds it, without its predictions."""
    return {
        "metrics": dict(evaluation.metrics),
        "baseline": dict(evaluation.baseline),
        "notes": list(evaluation.notes),
        "thresholds": dict(evaluation.thresholds),
        "total": evaluation.total,
        "summary": evaluation.summary,
        "per_class": {name: score.as_dict() for name, score in evaluation.per_class.items()},
        "confusion": None
        if evaluation.confusion is None
        else {"labels": list(evaluation.confusion.labels), "counts": evaluation.confusion.counts.tolist()},
        "errors": list(evaluation.errors),
    }


def result_content(result: Any) -> Any:
    """The result of a command as JSON holds it: the fields of a dataclass by name, an evaluation as in a report."""
    if isinstance(result, Evaluation):
        return evaluation_content(result)
    if isinstance(result, ClassScore):
        return result.as_dict()
    if is_dataclass(result) and not isinstance(result, type):
        return {part.name: result_content(getattr(result, part.name)) for part in fields(result)}
    if isinstance(result, Mapping):
        return {key: result_content(value) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [result_content(value) for value in result]
    return str(result) if isinstance(result, Path) else result


def write_json(file: Path, content: Any) -> None:
    """Writes readable JSON."""
    with atomic_write(file) as output:
        output.write(json_text(content, indent=2).encode() + b"\n")


def write_json_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one JSON object a line."""
    with atomic_write(file) as output:
        for row in rows:
            output.write(json_text(row).encode() + b"\n")


def _test_content(test: ReportedTest) -> dict[str, Any]:
    scores = {} if test.evaluation is None else evaluation_content(test.evaluation)
    return {"examples": test.examples, "labeled": test.labeled, "predictions": test.predictions, **scores}


def _write_curves(file: Path, history: Sequence[Mapping[str, Any]]) -> bool:
    steps = [entry for entry in history if entry.get("kind") == "train"]
    evaluations = [entry for entry in history if entry.get("kind") == "evaluation"]
    if not steps:
        return False
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    loss_axes, score_axes = figure.subplots(1, 2)
    loss_axes.plot([entry["step"] for entry in steps], [entry["loss"] for entry in steps])
    loss_axes.set(xlabel="step", ylabel="training loss")
    for name in list(evaluations[0]["metrics"])[:SHOWN_METRICS] if evaluations else ():
        values = [entry["metrics"][name] for entry in evaluations]
        (line,) = score_axes.plot([entry["step"] for entry in evaluations], values, marker="o", label=name)
        if name in evaluations[-1]["baseline"]:
            score_axes.axhline(evaluations[-1]["baseline"][name], linestyle=":", color=line.get_color())
    score_axes.set(xlabel="step", ylabel="score")
    if evaluations:
        score_axes.legend(title="dotted: baseline" if evaluations[-1]["baseline"] else None)
    for axes in (loss_axes, score_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    with atomic_write(file) as output:
        figure.savefig(output, format="png", dpi=110)
    return True
