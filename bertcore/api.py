"""The Python interface: what the command line does, with typed results.

import bertcore
result = bertcore.run(task="rte", backend="torch", model="bert-base-uncased", data="GLUE/RTE")
print(result.metrics["accuracy"], result.folder)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bertcore import conversion
from bertcore.config import Setting, gather_settings
from bertcore.conversion import ConversionReport
from bertcore.engine import data_check, data_convert, inference, scoring, submission
from bertcore.engine import run as training
from bertcore.engine.data_check import DataReport
from bertcore.engine.data_convert import DataConversion
from bertcore.engine.inference import EvaluationResult, TrainedModel
from bertcore.engine.run import RunResult, SeedsResult
from bertcore.engine.scoring import ScoreResult
from bertcore.engine.submission import SubmissionFile, SubmissionResult
from bertcore.registry import Registry

__all__ = [
    "ConversionReport",
    "DataConversion",
    "DataReport",
    "EvaluationResult",
    "RunResult",
    "ScoreResult",
    "SeedsResult",
    "SubmissionFile",
    "SubmissionResult",
    "TrainedModel",
    "check_data",
    "convert",
    "convert_data",
    "evaluate",
    "predict",
    "resume",
    "run",
    "run_seeds",
    "score",
    "submit",
]

PathOrText = str | PathLike[str]


def run(
    *,
    task: str,
    backend: str,
    model: PathOrText,
    data: PathOrText | None = None,
    output: PathOrText | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> RunResult:
    """Fine-tunes a model.

    Args:
        task: name of a task, as ``rte``.
        backend: name of a backend, as ``torch``.
        model: Hugging Face folder, hub name or ``sample``.
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
    options = _options(task=task, backend=backend, model=model, data=data, output=output, seed=seed)
    return training.run(training.resolve_run([*options, *_settings(settings)], known).config, known)


def run_seeds(
    seeds: Sequence[int],
    *,
    task: str,
    backend: str,
    model: PathOrText,
    data: PathOrText | None = None,
    output: PathOrText | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> SeedsResult:
    """Fine-tunes a model once for each seed; arguments and errors as in :func:`run`."""
    known = registry or Registry()
    options = _options(task=task, backend=backend, model=model, data=data, output=output, seed=None)
    return training.run_seeds(training.resolve_run([*options, *_settings(settings)], known).config, known, seeds)


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
    return training.resume(Path(folder), registry or Registry(), _settings(settings))


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
    options = _options(task=task, backend=backend, model=None, data=data, output=None, seed=None)
    trained = inference.TrainedModel(Path(folder), registry or Registry(), [*options, *_settings(settings)])
    return trained.evaluate(split)


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
    options = _options(task=task, backend=backend, model=None, data=None, output=None, seed=None)
    trained = inference.TrainedModel(Path(folder), registry or Registry(), [*options, *_settings(settings)])
    return trained.predict((record, f"input {number}") for number, record in enumerate(inputs))


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
    options = _options(task=None, backend=backend, model=None, data=None, output=None, seed=None)
    folders = [Path(run) for run in runs]
    return submission.submit(folders, Path(output), registry or Registry(), [*options, *_settings(settings)])


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
    options = _options(task=task, backend=None, model=None, data=data, output=None, seed=None)
    return scoring.score([*options, *_settings(settings)], Path(predictions), registry or Registry(), split=split)


def convert(
    source: PathOrText,
    destination: PathOrText,
    *,
    from_name: str | None = None,
    to_name: str | None = None,
    config: PathOrText | None = None,
    force: bool = False,
    verify: bool = False,
    registry: Registry | None = None,
) -> ConversionReport:
    """Converts weights from one layout to another.

    Args:
        source: file or folder to read.
        destination: file or folder to write.
        from_name: converter to read with; by default the one that recognizes the source.
        to_name: converter to write with; by default the one that the destination's ending names.
        config: the model's ``config.json``; by default the one beside the source.
        force: replace a destination that exists.
        verify: compute the model from both files and compare; nothing that differs is kept.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    return conversion.convert(
        Path(source),
        Path(destination),
        registry or Registry(),
        from_name=from_name,
        to_name=to_name,
        config=None if config is None else Path(config),
        force=force,
        verify=verify,
    )


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
    options = _options(task=task, backend=None, model=model, data=data, output=None, seed=None)
    return data_check.check_data(training.resolve_run([*options, *_settings(settings)], known).config, known)


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
    options = _options(task=task, backend=None, model=model, data=data, output=None, seed=None)
    config = training.resolve_run([*options, *_settings(settings)], known).config
    return data_convert.convert_data(config, known, to_name, Path(output))


def _options(
    *,
    task: str | None,
    backend: str | None,
    model: PathOrText | None,
    data: PathOrText | None,
    output: PathOrText | None,
    seed: int | None,
) -> list[Setting]:
    values = {
        "task": task,
        "backend": backend,
        "model.path": None if model is None else str(model),
        "data.path": None if data is None else str(data),
        "run.output": None if output is None else str(output),
        "run.seed": seed,
    }
    return gather_settings(environment={}, options=values)


def _settings(settings: Mapping[str, Any] | None) -> list[Setting]:
    return [Setting(key, value, "settings") for key, value in (settings or {}).items()]
