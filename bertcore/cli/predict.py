"""``bertcore predict``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertcore.cli.options import place_options, settings_options

if TYPE_CHECKING:
    from bertcore.data.table_files import TableForm


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--input", "source", required=True, help="FILE.jsonl, FILE.tsv or FILE.csv, or - for JSON lines.")
@click.option("--output", type=click.Path(path_type=Path), help="File to write. Default: standard output.")
@place_options
@click.option("--task", help="Name of the task, for a model folder that is no run.")
@settings_options
@click.pass_obj
def predict(
    blocked: tuple[str, ...],
    run: Path,
    source: str,
    output: Path | None,
    backend: str | None,
    device: str | None,
    task: str | None,
    file: Path | None,
    assignments: tuple[str, ...],
) -> None:
    """Write one JSON object a line for each text: the prediction and its probabilities."""
    from bertcore.config import gather_settings
    from bertcore.data.table_files import TableForm
    from bertcore.engine.inference import TrainedModel
    from bertcore.engine.report import write_json_lines
    from bertcore.files import json_text
    from bertcore.registry import Registry

    options = {"task": task, "backend": backend, "run.device": device}
    trained = TrainedModel(run, Registry(blocked=blocked), gather_settings(file, {}, assignments, options))
    data = trained.config.data
    # A task on the user's own tables may have been trained on files without a header, or in another encoding.
    form = TableForm(
        separator=getattr(data, "separator", None),
        encoding=getattr(data, "encoding", None),
        header=getattr(data, "header", None) is not False,
    )
    predictions = trained.predict(_read(source, form))
    if output is not None:
        write_json_lines(output, predictions)
    else:
        for prediction in predictions:
            click.echo(json_text(prediction))


def _read(source: str, form: TableForm) -> Sequence[tuple[Mapping[str, Any], str]]:
    from bertcore.data.table_files import read_table
    from bertcore.data.tables import decode_lines, parse_json_lines

    if source == "-":
        return [*parse_json_lines(decode_lines(sys.stdin.buffer.read(), "standard input"), "standard input")]
    file = Path(source)
    return read_table(file, form).records
