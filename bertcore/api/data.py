"""Data without training: :func:`score`, :func:`check_data` and :func:`convert_data`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.engine import data_check, data_convert, scoring
from bertcore.engine import run as training
from bertcore.engine.data_check import DataReport
from bertcore.engine.data_convert import DataConversion
from bertcore.engine.scoring import ScoreResult
from bertcore.registry import Registry


@checked
def score(
    *,
    task: str,
    predictions: PathOrText,
    data: PathOrText | None = None,
    split: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> ScoreResult:
    """Scores a file of predictions without a model.

    Args:
        task: name of a task, as ``rte``.
        predictions: file in the task's official form, or a ``predictions.jsonl`` of bertcore.
        data: folder or file that holds the labels.
        split: by default the task's evaluation split.
        settings: dotted keys, as ``{"data.multi_label": True}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, task=task, data=data)
    return scoring.score(given, Path(predictions), registry or Registry(), split=split)


@checked
def check_data(
    *,
    task: str,
    data: PathOrText | None = None,
    model: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> DataReport:
    """Looks at all splits of a task before training on them: sizes, labels, lengths, duplicates, bad lines.

    Args:
        task: name of a task, as ``rte``.
        data: folder of the task's files or ``sample``; left out where ``settings`` name single files.
        model: Hugging Face folder, hub name or ``sample``; with it also tokens and what is cut are counted.
        settings: dotted keys, as ``{"data.max_length": 128}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy. A split that cannot be read is part of the
            report.
    """
    known = registry or Registry()
    given = gather(settings, task=task, model=model, data=data)
    return data_check.check_data(training.resolve_run(given, known).config, known)


@checked
def convert_data(
    *,
    task: str,
    model: PathOrText,
    to_name: str,
    output: PathOrText,
    data: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> DataConversion:
    """Writes all splits of a task as encoded rows, which ``data`` of :func:`run` reads; all of them or none.

    Args:
        task: name of a task, as ``rte``.
        model: Hugging Face folder, hub name or ``sample``, whose tokenizer is used.
        to_name: name of a record format, as ``tfrecord``.
        output: folder to write, which must be empty or absent.
        data: folder of the task's files or ``sample``; left out where ``settings`` name single files.
        settings: dotted keys, as ``{"data.max_length": 128}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    known = registry or Registry()
    given = gather(settings, task=task, model=model, data=data)
    config = training.resolve_run(given, known).config
    return data_convert.convert_data(config, known, to_name, Path(output))
