"""``bertcore score``."""

from __future__ import annotations

from pathlib import Path

import click

from bertcore.cli.completion import paths
from bertcore.cli.options import (
    GivenSettings,
    json_option,
    print_classes,
    setting_option,
    settings_options,
    shown_work,
    task_option_of,
)
from bertcore.cli.output import say


@click.command()
@task_option_of(required=True, help="Name of the task, as rte.")
@setting_option("--data", "data.path", shell_complete=paths, help="Folder or file that holds the labels.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    required=True,
    help="File in the task's official form, or a predictions.jsonl of bertcore.",
)
@click.option("--split", help="Name of the split. Default: the one evaluated in training, dev for most tasks.")
@json_option
@settings_options
@click.pass_obj
def score(
    blocked: tuple[str, ...],
    given: GivenSettings,
    predictions: Path,
    split: str | None,
    as_json: bool,
) -> None:
    """Score a file of predictions without a model.

    The last line is the score, as that of an evaluation.
    """
    from bertcore.commands import score as scoring
    from bertcore.engine.report import evaluation_content
    from bertcore.files.writing import json_text
    from bertcore.plugins.registry import Registry

    notes: list[str] = []
    with shown_work(stdout_is_data=True):
        result = scoring.score(given.gather({}), predictions, Registry(blocked=blocked), split=split, note=notes.append)
    evaluation = result.evaluation
    if as_json:
        content = {
            "task": result.task,
            "split": result.split,
            **evaluation_content(evaluation),
            "notes": [*notes, *evaluation.notes],
        }
        click.echo(json_text(content, indent=2))
        return
    for text in notes:
        say(text)
    width = max(map(len, evaluation.metrics), default=0)
    for name, value in evaluation.metrics.items():
        baseline = evaluation.baseline.get(name)
        say(f"{name:<{width}}  {value:.6f}{'' if baseline is None else f'  (baseline {baseline:.6f})'}")
    print_classes(evaluation.per_class)
    if evaluation.notes:
        say("; ".join(evaluation.notes))
    say(evaluation.summary)
