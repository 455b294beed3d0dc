"""Using what was trained: :func:`evaluate`, :func:`open`, :func:`predict` and :func:`submit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.api.arguments import PathOrText, checked, gather
from bertcore.api.data_arguments import Data, sort_data
from bertcore.commands import evaluate as evaluation
from bertcore.commands import predict as prediction
from bertcore.commands import submit as submission
from bertcore.commands.evaluate import EvaluationResult
from bertcore.commands.predict import OpenModel
from bertcore.commands.submit import SubmissionResult
from bertcore.engine.given_inputs import Inputs, records_of
from bertcore.engine.given_rows import in_temporary_folder
from bertcore.engine.trained_model import open_trained
from bertcore.plugins.registry import Registry


@checked
def evaluate(
    folder: PathOrText,
    *,
    backend: str | None = None,
    data: Data | None = None,
    train: Data | None = None,
    dev: Data | None = None,
    test: Data | None = None,
    split: str | None = None,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> EvaluationResult:
    """Evaluates what a run trained, on any backend.

    Args:
        folder: a run folder, or a fine-tuned Hugging Face folder (then with ``task``, ``backend`` and ``data``).
        backend: by default that of the run.
        data: folder, file or rows; by default the data of the run.
        train: file or rows to evaluate on as the split ``train``; rows as in :func:`bertcore.run`.
        dev: likewise.
        test: likewise.
        split: by default the one that is given, or the task's evaluation split.
        task: by default that of the run.
        settings: dotted keys, as ``{"evaluate.batch_size": 16}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    files, rows = sort_data(one_split=True, data=data, train=train, dev=dev, test=test)
    named = [name for name, value in (("train", train), ("dev", dev), ("test", test)) if value is not None]
    with in_temporary_folder(rows) as kept:
        given = [*gather(settings, task=task, backend=backend, **files), *kept.settings()]
        trained = open_trained(Path(folder), registry or Registry(), given)
        return evaluation.evaluate(trained, split or (named[0] if len(named) == 1 else None), rows=kept)


@checked
def open(  # in this module nothing else is opened
    folder: PathOrText,
    *,
    backend: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> OpenModel:
    """Opens what a run trained, and keeps it loaded, to predict again and again.

    Use it in a ``with`` block, or close it by its :meth:`OpenModel.close`.

    Args:
        folder: a run folder, or a fine-tuned Hugging Face folder (then with ``task`` and ``backend``).
        backend: by default that of the run.
        device: as ``cuda:0``; by default that of the run, or the best one where the backend is another.
        precision: of the predictions, ``fp32``, ``bf16`` or ``fp16``; by default that of the run's evaluations.
        task: by default that of the run.
        settings: dotted keys, as ``{"evaluate.batch_size": 16}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, task=task, backend=backend, device=device, precision=precision)
    return prediction.open_model(open_trained(Path(folder), registry or Registry(), given))


@checked
def predict(
    folder: PathOrText,
    inputs: Inputs,
    *,
    backend: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    task: str | None = None,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> list[dict[str, Any]]:
    """Predicts texts with what a run trained; :func:`open` keeps it loaded for further texts.

    Args:
        folder: a run folder, or a fine-tuned Hugging Face folder (then with ``task`` and ``backend``).
        inputs: texts, pairs of texts as tuples, or dictionaries, as ``{"sentence1": ..., "sentence2": ...}``; also a
            pandas Series or DataFrame, or a single text.
        backend: by default that of the run.
        device: as ``cuda:0``; by default that of the run, or the best one where the backend is another.
        precision: of the predictions, ``fp32``, ``bf16`` or ``fp16``; by default that of the run's evaluations.
        task: by default that of the run.
        settings: dotted keys.
        registry: plugins; by default those installed.

    Returns:
        One object per input, in the same order, with the prediction and its probabilities.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, task=task, backend=backend, device=device, precision=precision)
    trained = open_trained(Path(folder), registry or Registry(), given)
    return prediction.predict(trained, records_of(inputs, trained.input_fields))


@checked
def submit(
    runs: Sequence[PathOrText],
    output: PathOrText,
    *,
    backend: str | None = None,
    archive: bool = False,
    settings: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> SubmissionResult:
    """Writes the files that a leaderboard takes, all or none.

    Args:
        runs: folders of finished runs; the best checkpoint of each predicts the test files of its data.
        output: folder to write, which must be empty or absent.
        backend: by default that of each run.
        archive: write the one zip archive that GLUE and CLUE take, too.
        settings: dotted keys, as ``{"evaluate.batch_size": 16}``.
        registry: plugins; by default those installed.

    Raises:
        BertcoreError: a mistake of the caller, with its cause and remedy.
    """
    given = gather(settings, backend=backend)
    folders = [Path(run) for run in runs]
    return submission.submit(folders, Path(output), registry or Registry(), given, archive=archive)
