"""Training: :func:`run`, :func:`run_seeds` and :func:`resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.engine import run as training
from bertcore.engine.run import RunResult, SeedsResult
from bertcore.registry import Registry


@checked
def run(
    *,
    task: str,
    model: PathOrText,
    backend: str | None = None,
    data: PathOrText | None = None,
    output: PathOrText | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> RunResult:
    """Fine-tunes a model.

    Args:
        task: name of a task, as ``rte``.
        model: Hugging Face folder, hub name or ``sample``.
        backend: name of a backend, as ``torch``; needed where several are installed.
        data: folder of the task's files or ``sample``; left out where ``settings`` name single files, as
            ``{"data.train": "train.csv", "data.dev": "dev.csv"}``.
        output: run folder; by default one below ``runs/``.
        seed: of data order, dropout and new parameters.
        settings: dotted keys, as ``{"train.epochs": 2}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy; one subclass for each kind.
    """
    known = registry or Registry()
    given = gather(settings, task=task, backend=backend, model=model, data=data, output=output, seed=seed)
    return training.run(training.resolve_run(given, known).config, known)


@checked
def run_seeds(
    seeds: Sequence[int],
    *,
    task: str,
    model: PathOrText,
    backend: str | None = None,
    data: PathOrText | None = None,
    output: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> SeedsResult:
    """Fine-tunes a model once for each seed; arguments and errors as in :func:`run`."""
    known = registry or Registry()
    given = gather(settings, task=task, backend=backend, model=model, data=data, output=output)
    return training.run_seeds(training.resolve_run(given, known).config, known, seeds)


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
