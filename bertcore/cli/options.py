"""Options that several commands share."""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bertcore.cli.completion import devices, paths, registered, setting_keys
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.config import Setting
    from bertcore.contracts.class_score import ClassScore

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class GivenSettings:
    """What a command is told of the configuration.

    Attributes:
        file: TOML file of ``-c``.
        assignments: of ``--set``.
        options: dotted keys and values of options of the command's own; None where one is not given.
    """

    file: Path | None
    assignments: tuple[str, ...]
    options: Mapping[str, Any]

    def gather(self, environment: Mapping[str, str] | None = None) -> list[Setting]:
        """All settings in rising precedence; ``environment`` takes the place of the process's own.

        Raises:
            ConfigError: the file is missing or no TOML, or an assignment has no ``=``.
        """
        from bertcore.config import gather_settings

        return gather_settings(self.file, environment, self.assignments, self.options)


def settings_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``-c`` and ``--set``; the function takes them, and what :func:`setting_option` adds, as one ``given``."""

    @functools.wraps(function)
    def with_given(
        *arguments: Any,
        file: Path | None,
        assignments: tuple[str, ...],
        settings: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> Any:
        return function(*arguments, given=GivenSettings(file, assignments, settings or {}), **others)

    with_set = click.option(
        "--set",
        "assignments",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=setting_keys,
        help="Set a key of the configuration.",
    )(with_given)
    return click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="TOML file.")(with_set)


def setting_option(name: str, key: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds an option that sets a key of the configuration, above :func:`settings_options`, which gathers them.

    Args:
        name: as ``--batch-size``.
        key: as ``train.batch_size``.
        options: of ``click.option``.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        argument = name.lstrip("-").replace("-", "_")

        @functools.wraps(function)
        def with_setting(*arguments: Any, settings: Mapping[str, Any] | None = None, **others: Any) -> Any:
            return function(*arguments, settings={**(settings or {}), key: others.pop(argument)}, **others)

        return click.option(name, **options)(with_setting)

    return add


backend_option = setting_option(
    "--backend",
    "backend",
    shell_complete=registered("backends"),
    help="torch or mindspore. Default: the only one installed.",
)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--backend`` and ``--device``."""
    function = setting_option(
        "--device", "run.device", shell_complete=devices, help="Device of the backend, as cpu or cuda:0."
    )(function)
    return backend_option(function)


def data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--data``, ``--train``, ``--dev`` and ``--test``."""
    function = setting_option("--test", "data.test", shell_complete=paths, help="File to predict, likewise.")(function)
    function = setting_option("--dev", "data.dev", shell_complete=paths, help="File to evaluate on, likewise.")(
        function
    )
    function = setting_option(
        "--train", "data.train", shell_complete=paths, help="Training file, for a task that reads your own files."
    )(function)
    return setting_option(
        "--data", "data.path", shell_complete=paths, help="Folder of the task's files or of records, or 'sample'."
    )(function)


def task_option_of(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--task``, with other words or a duty of its own."""
    return setting_option("--task", "task", shell_complete=registered("tasks"), **options)


task_option = task_option_of(help="Name of the task, as rte.")
model_option = setting_option(
    "--model", "model.path", shell_complete=paths, help="Hugging Face folder, hub name, or 'sample'."
)
length_option = setting_option(
    "--max-length", "data.max_length", type=int, metavar="TOKENS", help="Longest row. Default: what the model allows."
)
prediction_size_option = setting_option(
    "--batch-size", "evaluate.batch_size", type=int, metavar="ROWS", help="Rows computed at a time. Default: 64."
)


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what is changed most often in training."""
    function = length_option(function)
    function = setting_option(
        "--batch-size", "train.batch_size", type=int, metavar="ROWS", help="Rows of a forward pass. Default: 32."
    )(function)
    function = setting_option(
        "--learning-rate", "train.learning_rate", type=float, metavar="RATE", help="Peak rate. Default: 5e-5."
    )(function)
    return setting_option(
        "--epochs", "train.epochs", type=float, metavar="N", help="Passes over the training split. Default: 3."
    )(function)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def json_result(function: Callable[..., Any]) -> Callable[..., None]:
    """Adds ``--json`` to a command that returns its result: standard output is then that result and nothing else.

    What the command says as it works goes to standard error.
    """

    @json_option
    @wraps(function)
    def command(*arguments: Any, as_json: bool, **options: Any) -> None:
        if not as_json:
            function(*arguments, **options)
            return
        from bertcore.engine.report import result_content
        from bertcore.files.writing import json_text

        with redirect_stdout(sys.stderr):
            result = function(*arguments, **options)
        if result is None:  # another rank prints it
            return
        click.echo(json_text(result_content(result), indent=2))

    return command


HEADER_WIDTH = len("precision")
"""Where the values of a header begin that comes in parts."""


@contextmanager
def shown_work(*, stdout_is_data: bool = False) -> Iterator[None]:
    """Shows what is going to be done, and how far it has come.

    Args:
        stdout_is_data: whether standard output is for other programs: then the header goes to a terminal alone, on
            standard error as progress does.
    """
    from bertcore.contracts.events import Described, Event, WorkProgress
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
                    say(f"{name:<{width}}  {value}", err=stdout_is_data)

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
        say(f"{name}{' ' * (widest - _columns(name))}  {'  '.join(cells)}")
    if len(per_class) > SHOWN_CLASSES:
        say(f"... {len(per_class) - SHOWN_CLASSES} more classes")


def _columns(text: str) -> int:
    """Columns that a text takes on a terminal; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
