"""``bertcore data``: check and convert."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertcore.cli.completion import registered
from bertcore.cli.groups import HelpfulGroup
from bertcore.cli.options import (
    GivenSettings,
    data_options,
    json_option,
    length_option,
    model_option,
    settings_options,
    shown_work,
    task_option,
)
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.config import RunConfig
    from bertcore.plugins.registry import Registry


def source_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what names a task, its data and a model."""
    return task_option(data_options(model_option(length_option(function))))


@click.group(cls=HelpfulGroup)
def data() -> None:
    """Check data, or write it in another format."""


@data.command()
@source_options
@click.option("--picture", type=click.Path(path_type=Path), help="Draw lengths and labels: FILE.png.")
@settings_options
@json_option
@click.pass_obj
def check(
    blocked: tuple[str, ...],
    given: GivenSettings,
    picture: Path | None,
    as_json: bool,
) -> int:
    """Look at all splits of a task before training on them.

    Sizes, label balance, lengths, duplicates, and what cannot be read; with --model also tokens and what is cut.
    """
    from dataclasses import replace

    from bertcore.commands.check_data.check import check_data
    from bertcore.commands.check_data.picture import draw_report
    from bertcore.commands.check_data.presentation import report_json, report_lines
    from bertcore.errors import DataError
    from bertcore.files.writing import json_text
    from bertcore.plugins.registry import Registry

    registry = Registry(blocked=blocked)
    with shown_work(stdout_is_data=True):
        report = check_data(_config(registry, given), registry)
    if picture is not None:
        report = replace(report, notes=(*report.notes, *draw_report(report, picture)))
    if as_json:
        click.echo(json_text(report_json(report), indent=2))
    else:
        say("\n".join(report_lines(report)))
    return DataError.exit_code if report.errors else 0


@data.command()
@source_options
@click.option(
    "--to",
    "format_name",
    required=True,
    metavar="FORMAT",
    shell_complete=registered("record_formats"),
    help="tfrecord, mindrecord or jsonl.",
)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@settings_options
@json_option
@click.pass_obj
def convert(
    blocked: tuple[str, ...],
    given: GivenSettings,
    format_name: str,
    output: Path,
    as_json: bool,
) -> None:
    """Write all splits of a task as encoded rows, one file each, which bertcore run --data reads.

    jsonl is for looking into: it shows tokens, offsets and labels. The length of the rows is data.max_length.
    """
    from dataclasses import asdict

    from bertcore.commands.convert_data import convert_data
    from bertcore.plugins.registry import Registry

    registry = Registry(blocked=blocked)
    config = _config(registry, given)
    with shown_work(stdout_is_data=as_json):
        result = convert_data(config, registry, format_name, output)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, default=str))
        return
    for text in result.notes:
        say(text)
    for name, split in result.splits.items():
        cut = f", {split.truncated} truncated" if split.truncated else ""
        say(f"{name}: {split.examples} examples, {split.records} records{cut}: {split.file}")
    say(f"{result.format}, rows of at most {result.max_length} tokens: {result.folder}")


def _config(registry: Registry, given: GivenSettings) -> RunConfig:
    from bertcore.engine.settings import resolve_run

    return resolve_run(given.gather(), registry).config
