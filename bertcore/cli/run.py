"""``bertcore run``."""

from __future__ import annotations

from pathlib import Path

import click

from bertcore.cli.options import data_options, place_options, settings_options, shown_work


@click.command()
@click.option("--task", help="Name of the task, as rte.")
@place_options
@click.option("--model", help="Hugging Face folder, hub name, or 'sample'.")
@data_options
@click.option("--output", type=click.Path(path_type=Path), help="Run folder. Default: runs/TASK-BACKEND-TIME.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Precision of training.")
@click.option("--metric", help="What chooses the best checkpoint: a metric of the task, or loss.")
@click.option("--seed", type=int, help="Seed of data order, dropout and new parameters.")
@click.option("--seeds", metavar="N,N,...", help="Train once for each seed; report mean and standard deviation.")
@click.option("--resume", "resumed", type=click.Path(path_type=Path), help="Go on with the run in this folder.")
@settings_options
@click.pass_obj
def run(
    blocked: tuple[str, ...],
    task: str | None,
    backend: str | None,
    device: str | None,
    model: str | None,
    files: dict[str, str | None],
    output: Path | None,
    precision: str | None,
    metric: str | None,
    seed: int | None,
    seeds: str | None,
    resumed: Path | None,
    file: Path | None,
    assignments: tuple[str, ...],
) -> None:
    """Fine-tune a model on a task.

    The last line is the score of the best checkpoint, which lies in best/ of the run folder.
    """
    from bertcore.config import gather_settings
    from bertcore.engine import run as training
    from bertcore.errors import UsageError
    from bertcore.registry import Registry

    options = {
        "task": task,
        "backend": backend,
        "run.device": device,
        "model.path": model,
        **files,
        "run.output": None if output is None else str(output),
        "run.precision": precision,
        "train.metric": metric,
        "run.seed": seed,
    }
    registry = Registry(blocked=blocked)
    if resumed is not None:
        if seeds is not None or output is not None or model is not None:
            raise UsageError(
                "--resume goes on with one run in its own folder", "leave out --seeds, --output and --model"
            )
        with shown_work():
            training.resume(resumed, registry, gather_settings(file, {}, assignments, options))
        return
    config = training.resolve_run(gather_settings(file, None, assignments, options), registry).config
    with shown_work():
        if seeds is None:
            training.run(config, registry)
        else:
            click.echo(training.run_seeds(config, registry, _parse_seeds(seeds)).summary)


def _parse_seeds(text: str) -> list[int]:
    from bertcore.errors import UsageError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--seeds {text!r} is no list of whole numbers", "write --seeds 1,2,3") from None
