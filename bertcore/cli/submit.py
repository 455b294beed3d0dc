"""``bertcore submit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bertcore.cli.options import place_options, prediction_size_option, settings_options, shown_work


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="New folder for the files.")
@place_options
@prediction_size_option
@settings_options
@click.pass_obj
def submit(
    blocked: tuple[str, ...],
    runs: tuple[Path, ...],
    output: Path,
    settings: dict[str, Any],
    file: Path | None,
    assignments: tuple[str, ...],
) -> None:
    """Write the files that a leaderboard takes.

    The best checkpoint of each RUN predicts the test files of its data. All files are written, or none.
    """
    from bertcore.config import gather_settings
    from bertcore.engine import submission
    from bertcore.registry import Registry

    given = gather_settings(file, {}, assignments, settings)
    with shown_work():
        result = submission.submit(runs, output, Registry(blocked=blocked), given, note=click.echo)
    for one in result.files:
        click.echo(f"{one.path}: {one.predictions} predictions of {one.split} by {one.run}")
