"""Options that several commands share."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bertcore.task import ClassScore

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


HEADER_WIDTH = len("precision")
"""Where the values of a header begin that comes in parts."""


@contextmanager
def shown_work(*, stdout_is_data: bool = False) -> Iterator[None]:
    """Shows what is going to be done, and how far it has come.

    Args:
        stdout_is_data: whether standard output is for other programs: then the header goes to a terminal alone, on
            standard error as progress does.
    """
    from bertcore.events import Described, Event, WorkProgress
    from bertcore.progress import listening
    from bertcore.trackers.progress_display import ProgressDisplay

    display = ProgressDisplay()

    def show(event: Event) -> None:
        if isinstance(event, WorkProgress):
            display.show(event)
        elif isinstance(event, Described) and (not stdout_is_data or sys.stderr.isatty()):
            width = max(HEADER_WIDTH, *map(len, event.header))
            for name, value in event.header.items():
                if value:
                    click.echo(f"{name:<{width}}  {value}", err=stdout_is_data)

    try:
        with listening(show):
            yield
    finally:
        display.close()


def print_classes(per_class: Mapping[str, ClassScore]) -> None:
    """Prints precision, recall, F1 and support of each class, as columns."""
    from bertcore.engine.report_text import SHOWN_CLASSES, class_table

    if not per_class:
        return
    rows = class_table(per_class)[: SHOWN_CLASSES + 1]
    widest = max(_columns(name) for name, *_ in rows)
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[1:]]
    for name, *values in rows:
        cells = (f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
        click.echo(f"{name}{' ' * (widest - _columns(name))}  {'  '.join(cells)}")
    if len(per_class) > SHOWN_CLASSES:
        click.echo(f"... {len(per_class) - SHOWN_CLASSES} more classes")


def _columns(text: str) -> int:
    """Columns that a text takes on a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
