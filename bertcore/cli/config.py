"""``bertcore config show`` and ``bertcore config schema``."""

from __future__ import annotations

import json

import click

from bertcore.cli.groups import HelpfulGroup
from bertcore.cli.options import GivenSettings, backend_option, json_option, settings_options, task_option_of
from bertcore.cli.output import say


@click.group(cls=HelpfulGroup)
def config() -> None:
    """Show the configuration of a run, or all that can be configured."""


@config.command()
@task_option_of(help="Name of the task, whose own options are shown too.")
@backend_option
@settings_options
@json_option
@click.pass_obj
def show(
    blocked: tuple[str, ...],
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Show every value and where it comes from: default, file, environment, --set or command line."""
    from bertcore.config import config_values
    from bertcore.engine.settings import resolve_run
    from bertcore.plugins.registry import Registry

    resolved = resolve_run(given.gather(), Registry(blocked=blocked))
    rows = [
        {"key": key, "value": value, "origin": resolved.origins.get(key, "default")}
        for key, value in config_values(resolved.config).items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        say(f"{row['key']} = {json.dumps(row['value'], ensure_ascii=False)}  # {row['origin']}")


@config.command()
@click.option("--task", help="Name of the task, whose own options are listed too.")
@json_option
@click.pass_obj
def schema(blocked: tuple[str, ...], task: str | None, as_json: bool) -> None:
    """List every key with its meaning, default and type; as JSON, the JSON Schema of the configuration."""
    from bertcore.config import RunConfig, config_model, config_values, key_descriptions, known_keys
    from bertcore.plugins.registry import Registry

    model = RunConfig
    if task is not None:
        chosen = Registry(blocked=blocked).task(task)
        model = config_model(chosen.data_config, chosen.head_config)
    if as_json:
        click.echo(json.dumps(model.model_json_schema(), indent=2))
        return
    defaults = config_values(model())
    descriptions = key_descriptions(model)
    for key, kind in known_keys(model):
        say(f"{key} = {json.dumps(defaults[key])}  # {descriptions[key]} ({kind})")
