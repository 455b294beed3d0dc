"""``bertcore evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bertcore.cli.completion import paths
from bertcore.cli.options import (
    GivenSettings,
    json_result,
    length_option,
    place_options,
    prediction_size_option,
    print_classes,
    setting_option,
    settings_options,
    shown_work,
    task_option_of,
)
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.commands.evaluate import EvaluationResult


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@place_options
@setting_option(
    "--data", "data.path", shell_complete=paths, help="Folder of the task's files. Default: that of the run."
)
@click.option("--split", help="Name of the split. Default: the one evaluated in training, dev for most tasks.")
@task_option_of(help="Name of the task, for a model folder that is no run.")
@length_option
@prediction_size_option
@settings_options
@json_result
@click.pass_obj
def evaluate(
    blocked: tuple[str, ...],
    run: Path,
    split: str | None,
    given: GivenSettings,
) -> EvaluationResult:
    """Score what a run trained, on any backend.

    RUN is a run folder, or a fine-tuned Hugging Face folder. The last line is the score.
    """
    from bertcore.commands import evaluate as evaluation
    from bertcore.contracts.events import SHOWN_METRICS
    from bertcore.engine.trained_model import open_trained
    from bertcore.plugins.registry import Registry

    trained = open_trained(run, Registry(blocked=blocked), given.gather({}))
    with shown_work():
        result = evaluation.evaluate(trained, split, note=say)
    shown = list(result.evaluation.baseline.items())[:SHOWN_METRICS]
    baseline = ", ".join(f"{name} {value:.4f}" for name, value in shown)
    say(f"{result.examples_per_second:.1f} examples/s{', baseline: ' + baseline if baseline else ''}")
    if result.folder is not None:
        say(f"report and predictions: {result.folder}")
    else:
        print_classes(result.evaluation.per_class)  # there is no report that holds them
    if result.evaluation.notes:
        say("; ".join(result.evaluation.notes))
    say(result.summary)
    return result
