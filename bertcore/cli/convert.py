"""``bertcore convert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bertcore.cli.completion import registered
from bertcore.cli.options import json_option, shown_work
from bertcore.cli.output import say


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "from_name",
    metavar="NAME",
    shell_complete=registered("converters"),
    help="Converter that reads. Default: the one that fits.",
)
@click.option(
    "--to",
    "to_name",
    metavar="NAME",
    shell_complete=registered("converters"),
    help="Converter that writes. Default: the one that fits.",
)
@click.option("--config", "config", type=click.Path(path_type=Path), help="The model's config.json.")
@click.option("--force", is_flag=True, help="Replace a destination that exists.")
@click.option("--verify", is_flag=True, help="Compute both models and compare; keep nothing that differs.")
@click.option("--keep-unknown", is_flag=True, help="Write also what no model has: moments, a script's own layers.")
@json_option
@click.pass_obj
def convert(blocked: tuple[str, ...], /, as_json: bool, **wanted: Any) -> None:
    """Convert weights from SOURCE to DESTINATION, files or folders, and report what became of every key.

    A destination without a suffix is a Hugging Face folder; .safetensors, .bin, .pt and .ckpt are single files.
    Other layouts are chosen with --to: bert4torch (.pt), mindformers and mindspore_zoo (.ckpt, .safetensors).
    """
    from dataclasses import asdict

    from bertcore.commands.conversion import Conversion
    from bertcore.commands.convert_weights import convert as convert_weights
    from bertcore.plugins.registry import Registry

    with shown_work(stdout_is_data=True):
        report = convert_weights(Conversion(**wanted), Registry(blocked=blocked))
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, default=str))
        return
    say(report.table())
    for note in report.notes:
        say(note)
    say(report.summary)
    if report.verification is not None:
        say(report.verification.summary)
