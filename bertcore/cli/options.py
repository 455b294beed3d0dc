"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def settings_options(function: Function) -> Function:
    """Adds ``-c`` and ``--set``."""
    function = click.option(
        "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Set a key of the configuration."
    )(function)
    return click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="TOML file.")(function)


def place_options(function: Function) -> Function:
    """Adds ``--backend`` and ``--device``."""
    function = click.option("--device", help="Device of the backend, as cpu or cuda:0.")(function)
    return click.option("--backend", help="Name of the backend, as torch or mindspore.")(function)


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--data``, ``--train``, ``--dev`` and ``--test``; the function takes them as settings, in ``files``."""

    @functools.wraps(function)
    def with_files(
        *arguments: Any, data: str | None, train: str | None, dev: str | None, test: str | None, **others: Any
    ) -> Any:
        files = {"data.path": data, "data.train": train, "data.dev": dev, "data.test": test}
        return function(*arguments, files=files, **others)

    added = click.option("--test", help="File to predict, likewise.")(with_files)
    added = click.option("--dev", help="File to evaluate on, likewise.")(added)
    added = click.option("--train", help="Training file, for a task that reads your own files.")(added)
    return click.option("--data", help="Folder of the task's files or of records, or 'sample'.")(added)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_header(header: dict[str, str]) -> None:
    """Prints what a command will do, one line each."""
    width = max(map(len, header))
    for name, value in header.items():
        click.echo(f"{name:<{width}}  {value}")
