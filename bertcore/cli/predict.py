"""``bertcore predict``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertcore.cli.options import (
    GivenSettings,
    json_option,
    length_option,
    place_options,
    prediction_size_option,
    settings_options,
    shown_work,
    task_option_of,
)
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.data.tables import Record
    from bertcore.engine.prediction_input import Inputs
    from bertcore.engine.trained_model import TrainedModel


@click.command(
    epilog="""\b
Examples:
  bertcore predict runs/own --text "The meal was wonderful."
  bertcore predict runs/rte --text "A cat sleeps." --text "An animal sleeps."
  bertcore predict runs/own --input reviews.csv --output predicted.csv
  bertcore predict runs/own --input lines.txt --output predicted.jsonl
  echo "The meal was wonderful." | bertcore predict runs/own"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--text", "texts", metavar="TEXT", multiple=True, help="A text; twice for a pair.")
@click.option(
    "--input",
    "source",
    metavar="FILE",
    help="Table, JSON lines, plain lines (.txt), columns of units, or - for standard input, the default.",
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write, .jsonl, .csv or .tsv. Default: print.")
@click.option("--force", is_flag=True, help="Replace an output that exists.")
@place_options
@task_option_of(help="Name of the task, for a model folder that is no run.")
@length_option
@prediction_size_option
@settings_options
@json_option
@click.pass_obj
def predict(
    blocked: tuple[str, ...],
    run: Path,
    texts: tuple[str, ...],
    source: str | None,
    output: Path | None,
    force: bool,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Predict texts: one JSON object a line, or a table with the columns of the input.

    RUN is a run folder, or a fine-tuned Hugging Face folder. Lines of standard input are answered as they come; a pair
    of texts is parted by a tab.
    """
    from bertcore.cli import standard_input
    from bertcore.commands import predict as prediction
    from bertcore.engine.prediction_output import PredictionFile
    from bertcore.engine.trained_model import open_trained
    from bertcore.errors import UsageError
    from bertcore.files.writing import json_text
    from bertcore.plugins.registry import Registry
    from bertcore.progress import describe

    if texts and source is not None:
        raise UsageError(
            "--text and --input exclude each other", "give the texts by one of them", code="arguments-conflict"
        )
    file_of_predictions = None if output is None else PredictionFile(output, force)
    trained = open_trained(run, Registry(blocked=blocked), given.gather({}))
    for note in trained.tokenizer.notes:
        say(f"note: {note}", err=True)
    from_standard_input = not texts and source in (None, "-")
    if from_standard_input and output is None and standard_input.is_conversation():
        _answer(trained)
        return
    inputs = _inputs(trained, texts, None if from_standard_input else source)
    if file_of_predictions is not None:
        file_of_predictions.check(inputs, has_tags="tags" in trained.source.head().outputs)
    with shown_work(stdout_is_data=output is None or as_json):
        if not texts:
            describe(**trained.header, input=source or standard_input.NAME, output=str(output or ""))
        predictions = prediction.predict(trained, inputs.records)
    if file_of_predictions is None:
        _print(predictions)
        return
    file_of_predictions.write(predictions, inputs, trained.input_fields)
    if as_json:
        click.echo(json_text({"output": str(output), "predictions": len(predictions)}))
        return
    say(f"{len(predictions)} prediction{'s' * (len(predictions) != 1)} written to {output}")


def _inputs(trained: TrainedModel, texts: Sequence[str], source: str | None) -> Inputs:
    """What is to be predicted: the texts, a file, or all of standard input."""
    from bertcore.cli.standard_input import LineParser, whole_input
    from bertcore.engine.prediction_input import Inputs, read_input, record_of_texts
    from bertcore.errors import Origin

    fields = trained.input_fields
    if texts:
        origin = Origin("--text")
        return Inputs.of([(record_of_texts(texts, fields, origin), origin)])
    if source is not None:
        inputs = read_input(Path(source), trained.task, trained.config.data)
        for note in inputs.notes:
            say(f"note: {note}", err=True)
        return inputs
    return Inputs.of(LineParser(fields).parse(whole_input()))


def _answer(trained: TrainedModel) -> None:
    """Answers standard input line by line, with the model loaded once."""
    from bertcore.cli.standard_input import LineParser, waiting_lines
    from bertcore.commands.predict import open_model
    from bertcore.errors import DataError, UsageError

    fields = trained.input_fields
    is_person = sys.stdin.isatty()
    if is_person:
        what = "a text" if len(fields) == 1 else f"{' and '.join(fields)} with a tab between them"
        say(f"type {what} and press Enter; Ctrl-D ends", err=True)
    parser, numbers = LineParser(fields), itertools.count()
    with open_model(trained) as model:

        def answer(lines: Sequence[bytes]) -> None:
            _print(model.predict_records(_numbered(parser.parse(lines), trained.task.identifier_field, numbers)))

        for lines in waiting_lines():
            if not is_person:
                answer(lines)
                continue
            for line in filter(bytes.strip, lines):
                try:
                    answer([line])
                except (DataError, UsageError) as error:
                    say(f"error: {error.cause}\nremedy: {error.remedy}", err=True)


def _numbered(records: Iterable[Record], name: str, numbers: Iterator[int]) -> Iterator[Record]:
    """Numbers what has no name of its own through the whole conversation."""
    for (record, origin), number in zip(records, numbers, strict=False):
        yield (record if record.get(name) not in (None, "") else {**record, name: str(number)}), origin


def _print(predictions: Sequence[dict[str, Any]]) -> None:
    from bertcore.files.writing import json_text

    for prediction in predictions:
        click.echo(json_text(prediction))
    sys.stdout.flush()
