"""A report of a check in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from bertcore.commands.check_data.findings import DataReport, Errors, Lengths, Repetition, SplitReport
from bertcore.contracts.dataset import TRAINING_SPLIT
from bertcore.error_codes import error_json

SHOWN_ERRORS = 5
"""How many errors of a split are named."""


def report_json(report: DataReport) -> dict[str, Any]:
    """The report for other programs to read."""
    return {
        "task": report.task,
        "data": report.data,
        "model": report.model,
        "max_length": report.max_length,
        "labels": list(report.labels),
        "splits": {name: _split_json(split) for name, split in report.splits.items()},
        "across": [
            {"splits": [first, second], **_repetition_json(found)} for (first, second), found in report.across.items()
        ],
        "label_differences": {
            name: {"not_in_train": list(found.not_in_train), "only_in_train": list(found.only_in_train)}
            for name, found in report.label_differences.items()
        },
        "notes": list(report.notes),
        "errors": {name: _errors_json(errors) for name, errors in report.errors.items()},
    }


def _errors_json(errors: Errors) -> dict[str, Any]:
    first = [{"cause": error.cause, **error_json(error)} for error in errors[:SHOWN_ERRORS]]
    return {"count": len(errors), "first": first}


def _split_json(split: SplitReport) -> dict[str, Any]:
    return {
        "files": [str(file) for file in split.files],
        "examples": split.examples,
        "is_stream": split.is_stream,
        "unlabeled": split.unlabeled,
        "labels": dict(split.labels),
        "numbers": None if split.numbers is None else asdict(split.numbers),
        "characters": _lengths_json(split.characters),
        "empty": {"count": split.empty.count, "first": list(split.empty.first)},
        "tokens": _lengths_json(split.tokens),
        "rows": split.rows,
        "truncated": split.truncated,
        "windowed": split.windowed,
        "repeated": _repetition_json(split.repeated),
        "notes": list(split.notes),
        "left_out": [
            {"id": one.identifier, "place": str(one.origin or ""), "reason": one.reason} for one in split.left_out
        ],
    }


def _lengths_json(lengths: Lengths | None) -> dict[str, Any] | None:
    if lengths is None:
        return None
    percentiles = {f"percentile_{key}": value for key, value in lengths.percentiles.items()}
    return {**percentiles, "longest": lengths.longest, "mean": lengths.mean}


def _repetition_json(found: Repetition) -> dict[str, Any]:
    return {
        "count": found.count,
        "conflicting": found.conflicting,
        "first": [asdict(repeated) for repeated in found.first],
    }


def report_lines(report: DataReport) -> list[str]:
    """The report for people, the outcome last."""
    head = {"task": report.task, "data": report.data}
    if report.model is not None:
        head["model"] = f"{report.model}, rows of at most {report.max_length} tokens"
    lines = [f"{name:<6} {value}" for name, value in head.items()]
    lines += report.notes
    for split in report.splits.values():
        lines += ["", *_split_lines(split, report.max_length)]
    between = [
        f"  in {first} and {second}: {_repetition_words(found)}" for (first, second), found in report.across.items()
    ]
    for name, difference in report.label_differences.items():
        new, missing = difference.not_in_train, difference.only_in_train
        between += [f"  labels of {name} that {TRAINING_SPLIT} has not: {listed(new)}"] if new else []
        between += [f"  labels of {TRAINING_SPLIT} that {name} has not: {listed(missing)}"] if missing else []
    if between:
        lines += ["", "between the splits", *between]
    for name, errors in report.errors.items():
        lines += ["", *_error_lines(name, errors)]
    readable = len(report.splits) - len(report.errors)
    total = sum(split.examples for split in report.splits.values() if not split.errors)
    lines += ["", f"{readable} of {len(report.splits)} splits can be used, {total} examples"]
    return lines


def _error_lines(name: str, errors: Errors) -> list[str]:
    """The first errors, those of one remedy together."""
    lines: list[str] = []
    for remedy, group in groupby(errors[:SHOWN_ERRORS], key=lambda error: error.remedy):
        lines += [f"error in {name}: {error.cause}" for error in group]
        lines.append(f"remedy: {remedy}")
    if len(errors) > SHOWN_ERRORS:
        lines.append(f"{len(errors) - SHOWN_ERRORS} more errors in {name}")
    return lines


def _split_lines(split: SplitReport, max_length: int | None) -> list[str]:
    files = ", ".join(file.name for file in split.files)
    lines = [f"{split.name}: {split.examples} examples{' and more (a stream)' if split.is_stream else ''} ({files})"]
    if split.unlabeled:
        lines.append(f"  no label    {_part(split.unlabeled, split.examples)}")
    if split.labels:
        whole = sum(split.labels.values())
        lines.append(f"  labels      {listed([f'{name} {_part(n, whole)}' for name, n in split.labels.items()])}")
    if split.numbers is not None:
        numbers = split.numbers
        lines.append(f"  labels      {numbers.smallest:g} to {numbers.largest:g}, mean {numbers.mean:.4g}")
    if split.characters is not None:
        lines.append(f"  characters  {_lengths_words(split.characters)}")
    if split.empty.count:
        first = _first(split.empty.first, split.empty.count)
        lines.append(f"  empty       {_part(split.empty.count, split.examples)}: {first}")
    if split.tokens is not None:
        lines.append(f"  tokens      {_lengths_words(split.tokens)}")
    if split.rows is not None and max_length is not None:
        cut = f"{_part(split.truncated, split.examples)} truncated at {max_length} tokens"
        windows = f", {_part(split.windowed, split.examples)} in several windows" if split.windowed else ""
        lines.append(f"  rows        {split.rows}, {cut}{windows}")
    if split.repeated.count:
        lines.append(f"  duplicates  {_repetition_words(split.repeated)}")
    return lines + [f"  note        {text}" for text in split.notes]


def _lengths_words(lengths: Lengths) -> str:
    percentiles = ", ".join(f"{percent} % up to {value}" for percent, value in lengths.percentiles.items())
    return f"{percentiles}, longest {lengths.longest}, mean {lengths.mean:.1f}"


def _repetition_words(found: Repetition) -> str:
    conflicts = f", {found.conflicting} with another label" if found.conflicting else ""
    places = [f"{one.example} repeats {one.repeats}" for one in found.first]
    return f"{found.count} example{'s' * (found.count != 1)}{conflicts}: {_first(places, found.count)}"


def _part(count: int, whole: int) -> str:
    return f"{count} ({100 * count / whole:.1f} %)" if whole else str(count)


def _first(places: Sequence[str], count: int) -> str:
    return ", ".join(places) + (", ..." if count > len(places) else "")


def listed(names: Sequence[str], most: int = 20) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
