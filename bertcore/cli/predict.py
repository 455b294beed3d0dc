"""``bertcore predict``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bertcore.cli.options import place_options, settings_options


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
    from bertcore.engine.inference import TrainedModel
    from bertcore.engine.report import write_json_lines
    from bertcore.files import json_text
    from bertcore.registry import Registry

    options = {"task": task, "backend": backend, "run.device": device}
    trained = TrainedModel(run, Registry(blocked=blocked), gather_settings(file, {}, assignments, options))
    # A task on the user's own tables may have been trained on files without one.
    header = getattr(trained.config.data, "header", True)
    predictions = trained.predict(list(_read(source, header=header)))
    if output is not None:
        write_json_lines(output, predictions)
    else:
        for prediction in predictions:
            click.echo(json_text(prediction))


def _read(source: str, *, header: bool) -> Iterator[tuple[Mapping[str, Any], str]]:
    from bertcore.data.tables import decode_lines, parse_json_lines, read_csv, read_json_lines, read_tsv
    from bertcore.errors import UsageError

    if source == "-":
        yield from parse_json_lines(decode_lines(sys.stdin.buffer.read(), "standard input"), "standard input")
    elif source.endswith((".jsonl", ".json")):
        yield from read_json_lines(Path(source))
    elif source.endswith(".tsv"):
        for row in read_tsv(Path(source), header=header):
            yield row.fields, row.origin
    elif source.endswith(".csv"):
        for row in read_csv(Path(source), header=header):
            yield row.fields, row.origin
    else:
        raise UsageError(
            f"--input {source}: neither .jsonl nor .json nor .tsv nor .csv nor -", "rename or convert the file"
        )
