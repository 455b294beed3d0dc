"""Data without training: :func:`score`, :func:`check_data` and :func:`convert_data`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.api.data_arguments import Data, sort_data
from bertcore.commands import convert_data as data_convert
from bertcore.commands import score as scoring
from bertcore.commands.check_data import check as data_check
from bertcore.commands.check_data.findings import DataReport
from bertcore.commands.convert_data import DataConversion
from bertcore.commands.score import ScoreResult
from bertcore.engine.given_rows import in_temporary_folder
from bertcore.engine.settings import resolve_run
from bertcore.plugins.registry import Registry


@checked
def score(
    *,
    task: str,
    predictions: PathOrText,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    split: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> ScoreResult:
    """Scores a file of predictions without a model.

    Args:
        task: name of a task, as ``rte``.
        predictions: file in the task's official form, or a ``predictions.jsonl`` of bertcore.
        data: folder, file or rows that hold the labels; rows as in :func:`bertcore.run`.
        train: file or rows to score as the split ``train``.
        dev: likewise.
        test: likewise.
        split: by default the task's evaluation split.
        settings: dotted keys, as ``{"data.multi_label": True}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    files, rows = sort_data(one_split=True, data=data, train=train, dev=dev, test=test)
    with in_temporary_folder(rows) as kept:
        given = [*gather(settings, task=task, **files), *kept.settings()]
        return scoring.score(given, Path(predictions), registry or Registry(), split=split)


@checked
def check_data(
    *,
    task: str,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    model: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> DataReport:
    """Looks at all splits of a task before training on them: sizes, labels, lengths, duplicates, bad lines.

    Args:
        task: name of a task, as ``rte``.
        data: folder of the task's files or ``sample``, or a dictionary of splits; left out where they are given one
            by one.
        train: training file of your own, or its rows; as in :func:`bertcore.run`.
        dev: likewise.
        test: likewise.
        model: Hugging Face folder, hub name or ``sample``; with it also tokens and what is cut are counted.
        settings: dotted keys, as ``{"data.max_length": 128}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy. A split that cannot be read is part of the
            report.
    """
    known = registry or Registry()
    files, rows = sort_data(one_split=True, data=data, train=train, dev=dev, test=test)
    with in_temporary_folder(rows) as kept:
        given = [*gather(settings, task=task, model=model, **files), *kept.settings()]
        report = data_check.check_data(resolve_run(given, known).config, known)
    return replace(report, notes=(*kept.notes, *report.notes))


@checked
def convert_data(
    *,
    task: str,
    model: PathOrText,
    to_name: str,
    output: PathOrText,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> DataConversion:
    """Writes all splits of a task as encoded rows, which ``data`` of :func:`run` reads; all of them or none.

    Args:
        task: name of a task, as ``rte``.
        model: Hugging Face folder, hub name or ``sample``, whose tokenizer is used.
        to_name: name of a record format, as ``tfrecord``.
        output: folder to write, which must be empty or absent.
        data: folder of the task's files or ``sample``, or a dictionary of splits; left out where they are given one
            by one.
        train: training file of your own, or its rows; as in :func:`bertcore.run`.
        dev: likewise.
        test: likewise.
        settings: dotted keys, as ``{"data.max_length": 128}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    known = registry or Registry()
    files, rows = sort_data(data=data, train=train, dev=dev, test=test)
    with in_temporary_folder(rows) as kept:
        given = [*gather(settings, task=task, model=model, **files), *kept.settings()]
        config = resolve_run(given, known).config
        made = data_convert.convert_data(config, known, to_name, Path(output))
    return replace(made, notes=(*kept.notes, *made.notes))
