"""``report.md``: what a person reads of a run or an evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Confusion, Evaluation
from bertcore.errors import printable

if TYPE_CHECKING:
    from bertcore.engine.report import Report, ReportedTest

SHOWN_ERRORS = 10
SHOWN_CLASSES = 100
SHOWN_CHARACTERS = 400
LARGEST_MATRIX = 20
"""Labels of a confusion matrix that a page has room for; of more, the most frequent confusions are listed."""


def markdown(report: Report, has_curves: bool) -> str:
    """The whole report; ``has_curves`` says whether ``curves.png`` lies beside it."""
    evaluation = report.evaluation
    lines = [f"# {text(report.title)}", "", code(evaluation.summary), *notes_of(evaluation)]
    lines += score_table(evaluation, report.split)
    evaluations = sum(1 for entry in report.history if entry.get("kind") == "evaluation")
    if evaluations:
        lines += ["", f"Best of {evaluations} evaluations on the same split, at step {report.best_step}."]
    if has_curves:
        lines += ["", "![loss and scores](curves.png)"]
    lines += details(evaluation, "##")
    if report.test is not None:
        lines += _test(report.test)
    for title, table in (
        ("Run", report.header),
        ("Environment", report.environment),
        ("Configuration", report.options),
    ):
        lines += ["", f"## {title}", "", "| | |", "|---|---|"]
        lines += [f"| {cell(name)} | {cell(value)} |" for name, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def class_table(per_class: Mapping[str, ClassScore]) -> list[list[str]]:
    """Header and rows of the scores of single classes, as they are shown."""
    rows = [["class", "precision", "recall", "F1", "support", "predicted"]]
    for name, score in per_class.items():
        values = (f"{value:.4f}" for value in (score.precision, score.recall, score.f1))
        rows.append([name, *values, str(score.support), str(score.predicted)])
    return rows


def _test(test: ReportedTest) -> list[str]:
    lines = ["", "## Test", ""]
    where = f"Predictions: {code(test.predictions)}."
    if test.evaluation is None:
        labeled = f"{test.labeled} of {test.examples}" if test.labeled else f"None of {test.examples}"
        return [*lines, f"{labeled} examples have a label, so that nothing is scored. {where}"]
    evaluation = test.evaluation
    return [
        *(*lines, code(evaluation.summary), *notes_of(evaluation)),
        *score_table(evaluation, "test"),
        *("", f"Of the best checkpoint; nothing was chosen on this split. {where}"),
        *details(evaluation, "###"),
    ]


def notes_of(evaluation: Evaluation) -> list[str]:
    """What must be known beside the scores, where there is something."""
    return ["", f"**Note:** {text('; '.join(evaluation.notes))}."] if evaluation.notes else []


def score_table(evaluation: Evaluation, split: str) -> Iterator[str]:
    """The table of scores; a score that has no baseline has an empty cell, and without any there is no column."""
    baseline = evaluation.baseline
    yield from ("", f"| score | {cell(split)} |{' baseline |' if baseline else ''}")
    yield "|---|---:|" + "---:|" * bool(baseline)
    for name, value in evaluation.metrics.items():
        cells = [cell(name), f"{value:.6f}"]
        if baseline:
            cells.append(f"{baseline[name]:.6f}" if name in baseline else "")
        yield f"| {' | '.join(cells)} |"
    for name, value in evaluation.thresholds.items():
        yield from ("", f"Predicted with the {name.replace('_', ' ')} {value:.6g}.")


def details(evaluation: Evaluation, heading: str) -> Iterator[str]:
    """Single classes, confusions and worst errors, each under a heading of this level."""
    if evaluation.per_class:
        yield from ("", f"{heading} Per class", "")
        header, *rows = class_table(evaluation.per_class)
        yield f"| {' | '.join(header)} |"
        yield "|---" + "|---:" * (len(header) - 1) + "|"
        for row in rows[:SHOWN_CLASSES]:
            yield f"| {' | '.join(map(cell, row))} |"
        if len(rows) > SHOWN_CLASSES:
            yield from ("", f"{len(rows) - SHOWN_CLASSES} more in report.json.")
    if evaluation.confusion is not None:
        yield from _confusion(evaluation.confusion, heading)
    if evaluation.errors:
        yield from ("", f"{heading} Worst errors", "")
        for error in evaluation.errors[:SHOWN_ERRORS]:
            yield from _error(error)


def _confusion(confusion: Confusion, heading: str) -> Iterator[str]:
    labels, counts = confusion
    if len(labels) <= LARGEST_MATRIX:
        yield from ("", f"{heading} Confusion matrix", "")
        yield "| gold \\ predicted | " + " | ".join(map(cell, labels)) + " |"
        yield "|---" + "|---:" * len(labels) + "|"
        for label, row in zip(labels, counts, strict=True):
            yield f"| {cell(label)} | " + " | ".join(map(str, row)) + " |"
        return
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LARGEST_MATRIX]
    pairs = [(int(place) // len(labels), int(place) % len(labels)) for place in order]
    yield from ("", f"{heading} Most frequent confusions", "")
    yield from ("| gold | predicted | times |", "|---|---|---:|")
    for gold, predicted in pairs:
        if wrong[gold, predicted]:
            yield f"| {cell(labels[gold])} | {cell(labels[predicted])} | {wrong[gold, predicted]} |"


def _error(error: Mapping[str, Any]) -> Iterator[str]:
    """One error: where it stands and what was wrong in a line, each text in a line of its own."""
    facts = {name: value for name, value in error.items() if name in _FACTS and value not in (None, [])}
    where = PurePath(str(error.get("origin", ""))).name or error.get("id", "")
    named = ", ".join(f"{name} {text(_value(value))}" for name, value in facts.items())
    yield f"- **{text(where)}**: {named}"
    for name, value in error.items():
        if name not in _FACTS and name not in ("id", "origin"):
            yield f"    - {text(name)}: {text(value)}"


_FACTS = ("label", "prediction", "probability", "f1", "missed", "made up")
"""What the errors of a report hold beside the texts."""


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "none"


def text(value: object) -> str:
    """A text that markdown shall show as it is, cut to what a line has room for."""
    shown = " ".join(str(value).split())
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[:SHOWN_CHARACTERS] + " ..."
    return _literal(shown)


def cell(value: object) -> str:
    """A value as a cell of a table shows it."""
    return _literal(" ".join(str(value).splitlines()))


def code(text: str) -> str:
    """A line of text as code."""
    shown = printable(text).replace("`", "'")
    return f"`{shown}`"


def _literal(text: str) -> str:
    """A text of which neither Markdown nor HTML makes anything, and which hides nothing."""
    return re.sub(r"([\\`*\[\]<>|&~$])", r"\\\1", printable(text))
