"""Writing the files that a leaderboard takes, for a set of runs."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.commands.predict import predict_split
from bertcore.config import RunConfig, Setting
from bertcore.contracts.benchmark import Benchmark
from bertcore.engine.preparation import data_names, find_task, open_data
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.settings import changed_settings, resolve_run
from bertcore.engine.trained_model import open_trained
from bertcore.errors import DataError, Origin, OutputError, UsageError
from bertcore.files.writing import atomic_folder
from bertcore.plugins.registry import Registry
from bertcore.progress import about, describe


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
class SubmissionArchive:
    """The files of a submission in one archive, as a leaderboard takes them.

    Attributes:
        path: the zip archive.
        benchmark: whose leaderboard it is for.
        missing: each file that the leaderboard also takes to the name of the task that makes it, or to "" where no
            task here does.
    """

    path: Path
    benchmark: Benchmark
    missing: Mapping[str, str]


@dataclass(frozen=True)
class SubmissionResult:
    """The files of a submission.

    Attributes:
        folder: holds them, and nothing else but the archive.
        files: in the order of the runs.
        archive: of the same files, where it was asked for.
    """

    folder: Path
    files: tuple[SubmissionFile, ...]
    archive: SubmissionArchive | None = None


def submit(
    runs: Sequence[Path],
    output: Path,
    registry: Registry,
    settings: Sequence[Setting] = (),
    note: Callable[[str], None] = lambda text: None,
    archive: bool = False,
) -> SubmissionResult:
    """Predicts the test splits of each run's data with its best checkpoint, and writes all files or none.

    Args:
        runs: folders of finished runs.
        output: folder to write, which must be empty or absent.
        registry: the plugins.
        settings: on top of each run's own: backend, device.
        note: told what the user should read.
        archive: write a zip archive of all files, too.

    Raises:
        UsageError: a run's task has no leaderboard, two runs would write the same file, or the leaderboard takes no
            archive, or no common one.
        DataError: a test file is missing or wrong.
        OutputError: the folder holds something already, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(
            "it holds something already", "give another --output", origin=Origin(str(output)), code="output-exists"
        )
    planned = _plan(runs, registry, settings)  # every mistake is found before anything is computed
    benchmark = _common_benchmark(planned, registry, settings) if archive else None
    contents: list[tuple[SubmissionFile, str]] = []
    for run, splits in planned.items():
        trained = open_trained(run, registry, settings)
        describe(run=str(run), **trained.header, data=f"{data_names(trained.config.data)}: {', '.join(splits)}")
        for split, name in splits.items():
            with about(str(run)):
                predictions = predict_split(trained, split, lambda text, run=run: note(f"{run}: {text}"))  # type: ignore[misc]
            file = SubmissionFile(output / name, run, split, len(predictions))
            contents.append((file, trained.task.submission(split, predictions)))
    with atomic_folder(output) as temporary:
        for file, content in contents:
            (temporary / file.path.name).write_bytes(content.encode())
        if benchmark is not None:
            _write_zip(temporary / f"{benchmark.name}.zip", {file.path.name: content for file, content in contents})
    files = tuple(file for file, _ in contents)
    if benchmark is None:
        return SubmissionResult(output, files)
    missing = _missing(benchmark, {file.path.name for file in files}, registry)
    return SubmissionResult(output, files, SubmissionArchive(output / f"{benchmark.name}.zip", benchmark, missing))


def _common_benchmark(runs: Iterable[Path], registry: Registry, settings: Sequence[Setting]) -> Benchmark:
    """The benchmark of all runs, whose leaderboard takes the archive."""
    found: dict[Benchmark, Path] = {}
    for run in runs:
        task = find_task(_config_of(run, registry, settings), registry)
        if task.benchmark is None:
            raise UsageError(
                f"the leaderboard of {task.name} takes no archive",
                "leave out --zip, or this run",
                origin=Origin(str(run)),
                code="not-offered",
            )
        found.setdefault(task.benchmark, run)
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise UsageError(
            f"{first} is of {one.name} and {second} of {other.name}: two leaderboards",
            "make one archive for each",
            code="runs-differ",
        )
    (benchmark,) = found
    return benchmark


def _missing(benchmark: Benchmark, written: set[str], registry: Registry) -> dict[str, str]:
    made_by = {
        file: name
        for name in registry.tasks
        for task in (registry.task(name),)
        if task.benchmark == benchmark
        for file in (task.leaderboard or {}).values()
    }
    return {file: made_by.get(file, "") for file in benchmark.files if file not in written}


def _write_zip(path: Path, contents: Mapping[str, str]) -> None:
    """Without folders, and with the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)  # of the year 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            file.writestr(entry, content.encode())


def _config_of(run: Path, registry: Registry, settings: Sequence[Setting]) -> RunConfig:
    return resolve_run(changed_settings(RunFolder.open(run).settings(), settings, registry), registry).config


def _plan(runs: Sequence[Path], registry: Registry, settings: Sequence[Setting]) -> dict[Path, dict[str, str]]:
    """The splits to predict for each run, with the names of their files."""
    if not runs:
        raise UsageError("no run", "name the folders of the runs to submit", code="argument-missing")
    planned: dict[Path, dict[str, str]] = {}
    writers: dict[str, Path] = {}
    for run in runs:
        config = _config_of(run, registry, settings)
        task = find_task(config, registry)
        wanted = task.leaderboard
        if not wanted:
            raise UsageError(
                f"the task {task.name} has no leaderboard",
                "leave this run out",
                origin=Origin(str(run)),
                code="not-offered",
            )
        dataset = open_data(task, config, registry)
        missing = [split for split in wanted if split not in dataset.files and split not in task.optional_submissions]
        if missing:
            raise DataError(
                f"{wanted[missing[0]]} needs the split {missing[0]}, and {data_names(config.data)} has only "
                f"{', '.join(dataset.files)}",
                "put the official test file there",
                origin=Origin(str(run)),
                code="split-missing",
            )
        planned[run] = {split: name for split, name in wanted.items() if split in dataset.files}
        for name in planned[run].values():
            if name in writers:
                raise UsageError(
                    f"{name} would come from {writers[name]} and from {run}",
                    "leave one of them out",
                    code="runs-differ",
                )
            writers[name] = run
    return planned
