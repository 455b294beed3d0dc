"""``bertcore tasks``, ``bertcore backends`` and ``bertcore plugins``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from bertcore.cli.options import json_option
from bertcore.cli.output import say


@click.command()
@json_option
@click.pass_obj
def tasks(blocked: tuple[str, ...], as_json: bool) -> None:
    """List the tasks."""
    from bertcore.plugins.registry import Registry

    rows = [
        {
            "name": name,
            "metric": entry.item.metric.name,
            "description": entry.item.description,
            "plugin": entry.record.distribution,
        }
        for name, entry in sorted(Registry(blocked=blocked).tasks.items())
    ]
    _print(rows, as_json)


@click.command()
@json_option
@click.pass_obj
def backends(blocked: tuple[str, ...], as_json: bool) -> None:
    """List the backends; bertcore doctor says which of their devices this machine has."""
    from bertcore.plugins.registry import Registry

    rows = [
        {
            "name": name,
            "devices": {kind: list(precisions) for kind, precisions in entry.item.devices.items()},
            "description": entry.item.description,
            "plugin": entry.record.distribution,
        }
        for name, entry in sorted(Registry(blocked=blocked).backends.items())
    ]
    if not as_json:
        for row in rows:
            row["devices"] = ", ".join(row["devices"])
    _print(rows, as_json)


@click.command()
@json_option
@click.pass_obj
def plugins(blocked: tuple[str, ...], as_json: bool) -> None:
    """List the plugins, what they provide, and why one takes no part."""
    from dataclasses import asdict

    from bertcore.plugins.registry import Registry

    registry = Registry(blocked=blocked)
    registry.gather_all()
    if as_json:
        click.echo(json.dumps([asdict(record) for record in registry.plugins.records], indent=2))
        return
    rows = [
        {
            "name": record.name,
            "distribution": record.distribution,
            "status": record.status,
            "provides": ", ".join(record.provides) if record.status == "ok" else record.error,
        }
        for record in registry.plugins.records
    ]
    _print(rows, False)


def _print(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say("none installed")
        return
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in ({name: name for name in rows[0]}, *rows):
        say("  ".join(f"{row[name]!s:<{widths[name]}}" for name in widths).rstrip())
