"""Writing the files that a leaderboard takes, for a set of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.config import Setting
from bertcore.engine.inference import TrainedModel, changed_settings
from bertcore.engine.preparation import data_names, find_task, open_data
from bertcore.engine.run import resolve_run
from bertcore.engine.run_folder import RunFolder
from bertcore.errors import DataError, OutputError, UsageError
from bertcore.files import atomic_folder
from bertcore.progress import about, describe
from bertcore.registry import Registry


@dataclass(frozen=True)
class SubmissionFile:
    """One file of a submission.

    Attributes:
        path: the file.
        run: folder of the run whose best checkpoint made it.
        split: the split that was predicted.
        predictions: how many it holds.
    """

    path: Path
    run: Path
    split: str
    predictions: int


@dataclass(frozen=True)
class SubmissionResult:
    """The files of a submission.

    Attributes:
        folder: holds them, and nothing else.
        files: in the order of the runs.
    """

    folder: Path
    files: tuple[SubmissionFile, ...]


def submit(
    runs: Sequence[Path],
    output: Path,
    registry: Registry,
    settings: Sequence[Setting] = (),
    note: Callable[[str], None] = lambda text: None,
) -> SubmissionResult:
    """Predicts the test splits of each run's data with its best checkpoint, and writes all files or none.

    Args:
        runs: folders of finished runs.
        output: folder to write, which must be empty or absent.
        registry: the plugins.
        settings: on top of each run's own: backend, device.
        note: told what the user should read.

    Raises:
        UsageError: a run's task has no leaderboard, or two runs would write the same file.
        DataError: a test file is missing or wrong.
        OutputError: the folder holds something already, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{output} holds something already", "give another --output")
    planned = _plan(runs, registry, settings)  # every mistake is found before anything is computed
    contents: list[tuple[SubmissionFile, str]] = []
    for run, splits in planned.items():
        trained = TrainedModel(run, registry, settings)
        describe(run=str(run), **trained.header, data=f"{data_names(trained.config.data)}: {', '.join(splits)}")
        for split, name in splits.items():
            with about(str(run)):
                predictions = trained.predict_split(split, lambda text, run=run: note(f"{run}: {text}"))  # type: ignore[misc]
            file = SubmissionFile(output / name, run, split, len(predictions))
            contents.append((file, trained.task.submission(split, predictions)))
    with atomic_folder(output) as temporary:
        for file, content in contents:
            (temporary / file.path.name).write_bytes(content.encode())
    return SubmissionResult(output, tuple(file for file, _ in contents))


def _plan(runs: Sequence[Path], registry: Registry, settings: Sequence[Setting]) -> dict[Path, dict[str, str]]:
    """The splits to predict for each run, with the names of their files."""
    if not runs:
        raise UsageError("no run", "name the folders of the runs to submit")
    planned: dict[Path, dict[str, str]] = {}
    writers: dict[str, Path] = {}
    for run in runs:
        config = resolve_run(changed_settings(RunFolder.open(run).settings(), settings, registry), registry).config
        task = find_task(config, registry)
        wanted = task.submissions()
        if not wanted:
            raise UsageError(f"{run}: the task {task.name} has no leaderboard", "leave this run out")
        dataset = open_data(task, config, registry)
        missing = [split for split in wanted if split not in dataset.files and split not in task.optional_submissions]
        if missing:
            raise DataError(
                f"{run}: {wanted[missing[0]]} needs the split {missing[0]}, and {data_names(config.data)} has only "
                f"{', '.join(dataset.files)}",
                "put the official test file there",
            )
        planned[run] = {split: name for split, name in wanted.items() if split in dataset.files}
        for name in planned[run].values():
            if name in writers:
                raise UsageError(f"{name} would come from {writers[name]} and from {run}", "leave one of them out")
            writers[name] = run
    return planned
