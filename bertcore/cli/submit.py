"""``bertcore submit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bertcore.cli.options import (
    GivenSettings,
    json_result,
    place_options,
    prediction_size_option,
    settings_options,
    shown_work,
)
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.commands.submit import SubmissionArchive, SubmissionResult


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="New folder for the files.")
@click.option("--zip", "archive", is_flag=True, help="Also write the one archive that GLUE and CLUE take.")
@place_options
@prediction_size_option
@settings_options
@json_result
@click.pass_obj
def submit(
    blocked: tuple[str, ...],
    runs: tuple[Path, ...],
    output: Path,
    archive: bool,
    given: GivenSettings,
) -> SubmissionResult:
    """Write the files that a leaderboard takes.

    The best checkpoint of each RUN predicts the test files of its data. All files are written, or none.
    """
    from bertcore.commands import submit as submission
    from bertcore.plugins.registry import Registry

    with shown_work():
        result = submission.submit(runs, output, Registry(blocked=blocked), given.gather({}), note=say, archive=archive)
    for one in result.files:
        say(f"{one.path}: {one.predictions} predictions of {one.split} by {one.run}")
    if result.archive is not None:
        _print_archive(result.archive, len(result.files))
    return result


def _print_archive(archive: SubmissionArchive, files: int) -> None:
    missing, wanted = archive.missing, len(archive.benchmark.files)
    say(f"{archive.path}: {files} files, {wanted - len(missing)} of the {wanted} of {archive.benchmark.name}")
    from_runs = [f"{file} ({task})" for file, task in missing.items() if task]
    from_elsewhere = [file for file, task in missing.items() if not task]
    if from_runs:
        say(f"missing, from a run of the task: {', '.join(from_runs)}")
    if from_elsewhere:
        say(f"missing, and made by no task here: {', '.join(from_elsewhere)}")
