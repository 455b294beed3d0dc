"""Using what was trained: :func:`evaluate`, :func:`predict` and :func:`submit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.engine import inference, submission
from bertcore.engine.inference import EvaluationResult
from bertcore.engine.submission import SubmissionResult
from bertcore.registry import Registry


@checked
def evaluate(
    folder: PathOrText,
    *,
    backend: str | None = None,
    data: PathOrText | None = None,
    split: str | None = None,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> EvaluationResult:
    """Evaluates what a run trained, on any backend.

    Args:
        folder: a run folder, or a fine-tuned Hugging Face folder (then with ``task``, ``backend`` and ``data``).
        backend: by default that of the run.
        data: by default that of the run.
        split: by default the task's evaluation split.
        task: by default that of the run.
        settings: dotted keys, as ``{"evaluate.batch_size": 16}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, task=task, backend=backend, data=data)
    trained = inference.TrainedModel(Path(folder), registry or Registry(), given)
    return trained.evaluate(split)


@checked
def predict(
    folder: PathOrText,
    inputs: Iterable[Mapping[str, Any]],
    *,
    backend: str | None = None,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[dict[str, Any]]:
    """Predicts texts with what a run trained.

    Args:
        folder: a run folder, or a fine-tuned Hugging Face folder (then with ``task`` and ``backend``).
        inputs: one object per example, as ``{"sentence1": ..., "sentence2": ...}``.
        backend: by default that of the run.
        task: by default that of the run.
        settings: dotted keys.
        registry: plugins; by default those installed.

    Returns:
        One object per input, in the same order, with the prediction and its probabilities.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, task=task, backend=backend)
    trained = inference.TrainedModel(Path(folder), registry or Registry(), given)
    return trained.predict((record, f"input {number}") for number, record in enumerate(inputs))


@checked
def submit(
    runs: Sequence[PathOrText],
    output: PathOrText,
    *,
    backend: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> SubmissionResult:
    """Writes the files that a leaderboard takes, all or none.

    Args:
        runs: folders of finished runs; the best checkpoint of each predicts the test files of its data.
        output: folder to write, which must be empty or absent.
        backend: by default that of each run.
        settings: dotted keys, as ``{"evaluate.batch_size": 16}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, backend=backend)
    folders = [Path(run) for run in runs]
    return submission.submit(folders, Path(output), registry or Registry(), given)
