"""``bertcore run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bertcore.cli.completion import registered
from bertcore.cli.launching import GivenLaunch, files_of, launch_options
from bertcore.cli.options import (
    GivenSettings,
    data_options,
    json_result,
    model_option,
    place_options,
    setting_option,
    settings_options,
    shown_work,
    task_option,
    training_options,
)
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.commands.run_folds import FoldsResult
    from bertcore.commands.run_seeds import SeedsResult
    from bertcore.engine.run_result import RunResult


@click.command(
    epilog="""\b
Examples:
  bertcore run --task rte --model sample --data sample
  bertcore run --task classification --model DIR --train train.csv --dev dev.csv
  bertcore run --task rte --model DIR --data GLUE/RTE --epochs 5 --learning-rate 2e-5 --batch-size 16
  bertcore run --task ner --model DIR --data DATA --max-length 128 --set head.crf=true --seeds 1,2,3
  bertcore run --task rte --model SMALL --data GLUE/RTE --teacher runs/large --set train.distill.weight=0.8
  bertcore run --resume runs/rte-torch-20260101-120000
  bertcore run --task rte --model DIR --data GLUE/RTE --nproc 2
  bertcore run --task rte --model DIR --data GLUE/RTE --hostfile hosts --restarts 3"""
)
@task_option
@place_options
@model_option
@data_options
@training_options
@click.option("--output", type=click.Path(path_type=Path), help="Run folder. Default: runs/TASK-BACKEND-TIME.")
@setting_option(
    "--precision", "run.precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Precision of training."
)
@setting_option("--metric", "train.metric", help="What chooses the best checkpoint: a metric of the task, or loss.")
@setting_option(
    "--teacher",
    "train.distill.teacher",
    type=click.Path(),
    help="Learn from a finished run or a fine-tuned model, too (distillation).",
)
@setting_option("--seed", "run.seed", type=int, help="Seed of data order, dropout and new parameters.")
@click.option("--seeds", metavar="N,N,...", help="Train once for each seed; report mean and standard deviation.")
@click.option("--folds", type=int, help="Train once for each of N folds of the training examples.")
@click.option(
    "--tracker",
    "trackers",
    metavar="NAME",
    multiple=True,
    shell_complete=registered("trackers"),
    help="Add a tracker, as tensorboard.",
)
@click.option("--resume", "resumed", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@launch_options
@settings_options
@json_result
@click.pass_context
def run(
    context: click.Context,
    given: GivenSettings,
    launch: GivenLaunch,
    output: Path | None,
    seeds: str | None,
    folds: int | None,
    trackers: tuple[str, ...],
    resumed: Path | None,
) -> RunResult | SeedsResult | FoldsResult | None:
    """Fine-tune a model on a task.

    The last line is the score of the best checkpoint, which lies in best/ of the run folder.
    """
    from contextlib import nullcontext
    from dataclasses import replace

    from bertcore.cli import ARGUMENTS
    from bertcore.commands import run as training
    from bertcore.commands import run_folds as cross_validation
    from bertcore.commands import run_seeds as repeats
    from bertcore.engine.ranks import this_rank
    from bertcore.engine.run_folder import RunFolder, require_free
    from bertcore.engine.settings import resolve_run
    from bertcore.engine.tracking import with_trackers
    from bertcore.errors import UsageError
    from bertcore.plugins.registry import Registry

    if output is not None:
        given = replace(given, options={**given.options, "run.output": str(output)})
    registry = Registry(blocked=context.obj)
    arguments = list(context.meta[ARGUMENTS])
    # Of several ranks the first one speaks to the user.
    speaks = this_rank().is_first
    shown = shown_work() if speaks else nullcontext()
    if resumed is not None:
        if seeds is not None or folds is not None or output is not None or given.options["model.path"] is not None:
            raise UsageError(
                "--resume goes on with one run in its own folder",
                "leave out --seeds, --folds, --output and --model",
                code="arguments-conflict",
            )
        changes = given.gather({})
        if launch.is_wanted:
            folder = RunFolder.open(resumed)
            with folder.go_on():  # what a killed process left half-done is put right before several processes look
                pass
            launch.launch(registry, arguments, resumed, [str(folder.config), str(folder.checkpoint)])
            return None
        with shown:
            resumed_run = training.resume(resumed, registry, changes, trackers)
        return resumed_run if speaks else None
    if seeds is not None and folds is not None:
        raise UsageError(
            "--seeds and --folds each make several runs",
            "give one of them; --seed sets that of all folds",
            code="arguments-conflict",
        )
    config = resolve_run(with_trackers(given.gather(), trackers, registry), registry).config
    if launch.is_wanted:
        planned = RunFolder.planned(config)
        if config.run.output is None:
            arguments += ["--output", str(planned)]
        require_free(planned)
        launch.launch(registry, arguments, planned, files_of(config))
        return None
    result: RunResult | SeedsResult | FoldsResult
    with shown:
        if folds is not None:
            result = cross_validation.run_folds(config, registry, folds)
        elif seeds is not None:
            result = repeats.run_seeds(config, registry, _parse_seeds(seeds))
        else:
            result = training.run(config, registry)
        if speaks and (folds, seeds) != (None, None):
            say(result.summary)
    return result if speaks else None


def _parse_seeds(text: str) -> list[int]:
    from bertcore.errors import UsageError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--seeds {text!r} is no list of whole numbers", "write --seeds 1,2,3", code="argument-wrong"
        ) from None
