"""Training: :func:`run`, :func:`run_seeds` and :func:`resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.api.data_arguments import Data, placeholders, sort_data
from bertcore.commands import run as training
from bertcore.commands import run_folds as cross_validation
from bertcore.commands import run_seeds as repeats
from bertcore.commands.run_folds import FoldsResult
from bertcore.commands.run_seeds import SeedsResult
from bertcore.engine.run_result import RunResult
from bertcore.engine.settings import resolve_run
from bertcore.plugins.registry import Registry


@checked
def run(
    *,
    task: str,
    model: PathOrText,
    backend: str | None = None,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    output: PathOrText | None = None,
    teacher: PathOrText | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> RunResult:
    """Fine-tunes a model.

    Args:
        task: name of a task, as ``rte``.
        model: Hugging Face folder, hub name or ``sample``.
        backend: name of a backend, as ``torch``; needed where several are installed.
        data: folder of the task's files or ``sample``, or a dictionary of splits; left out where they are given one
            by one.
        train: training file of your own, or its rows: a list of dictionaries, a pandas DataFrame, columns by name, or
            a data set of Hugging Face. Rows are kept in the run folder, so that the run can go on.
        dev: file or rows to evaluate on.
        test: file or rows to predict, and to score where they have labels.
        output: run folder; by default one below ``runs/``.
        teacher: run folder or fine-tuned model folder to learn from, too (distillation).
        seed: of data order, dropout and new parameters.
        settings: dotted keys, as ``{"train.epochs": 2}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy; one subclass for each kind.
    """
    known = registry or Registry()
    files, rows = sort_data(data=data, train=train, dev=dev, test=test)
    named = {"task": task, "backend": backend, "model": model, "output": output, "teacher": teacher, "seed": seed}
    given = gather(settings, **named, **files, **placeholders(rows))
    return training.run(resolve_run(given, known).config, known, rows)


@checked
def run_seeds(
    seeds: Sequence[int],
    *,
    task: str,
    model: PathOrText,
    backend: str | None = None,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    output: PathOrText | None = None,
    teacher: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> SeedsResult:
    """Fine-tunes a model once for each seed; arguments and errors as in :func:`run`."""
    known = registry or Registry()
    files, rows = sort_data(data=data, train=train, dev=dev, test=test)
    given = gather(
        settings, task=task, backend=backend, model=model, output=output, teacher=teacher, **files, **placeholders(rows)
    )
    return repeats.run_seeds(resolve_run(given, known).config, known, seeds, rows)


@checked
def run_folds(
    folds: int,
    *,
    task: str,
    model: PathOrText,
    backend: str | None = None,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    output: PathOrText | None = None,
    teacher: PathOrText | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> FoldsResult:
    """Fine-tunes a model once for each fold of the training examples, and evaluates it on that fold.

    The folds have equal shares of each label, and examples of equal texts are in one fold. Arguments and errors are as
    in :func:`run`; ``dev`` takes no part.
    """
    known = registry or Registry()
    files, rows = sort_data(data=data, train=train, dev=dev, test=test)
    named = {"task": task, "backend": backend, "model": model, "output": output, "teacher": teacher, "seed": seed}
    given = gather(settings, **named, **files, **placeholders(rows))
    return cross_validation.run_folds(resolve_run(given, known).config, known, folds, rows)


@checked
def resume(
    folder: PathOrText, *, settings: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> RunResult:
    """Goes on with a stopped run from its last complete checkpoint.

    Args:
        folder: the run folder.
        settings: changes, as ``{"backend": "mindspore"}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: there is no checkpoint, or a change would make it another run.
    """
    return training.resume(Path(folder), registry or Registry(), gather(settings))
