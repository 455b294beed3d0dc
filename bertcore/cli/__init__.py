"""The command line: ``bertcore COMMAND``, one file per command, each imported when it is called."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from bertcore import __version__
from bertcore.cli.groups import HelpfulGroup
from bertcore.cli.output import say

# Name of a command, the module that holds it, and its line in --help: listing them must import nothing.
COMMANDS = {
    "run": ("bertcore.cli.run", "Fine-tune a model on a task."),
    "evaluate": ("bertcore.cli.evaluate", "Score what a run trained, on any backend."),
    "predict": ("bertcore.cli.predict", "Write predictions for texts."),
    "submit": ("bertcore.cli.submit", "Write the files that a leaderboard takes."),
    "score": ("bertcore.cli.score", "Score a file of predictions without a model."),
    "data": ("bertcore.cli.data", "Check data, or write it in another format."),
    "convert": ("bertcore.cli.convert", "Convert weights from one layout to another."),
    "tasks": ("bertcore.cli.listings", "List the tasks."),
    "backends": ("bertcore.cli.listings", "List the backends."),
    "plugins": ("bertcore.cli.listings", "List the plugins and what became of them."),
    "doctor": ("bertcore.cli.doctor", "Check this machine: versions, devices, one operation per backend."),
    "completion": ("bertcore.cli.completion", "Let the shell complete commands, options, names and keys."),
    "config": ("bertcore.cli.config", "Show the configuration of a run, or all that can be configured."),
}


ARGUMENTS = "bertcore.arguments"
"""Key of a context's ``meta`` under which stand the words that the command was given."""


class LazyGroup(HelpfulGroup):
    """A group whose commands are imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Imports a command."""
        if name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Calls the command; ends as a shell has it when nobody reads the output any more."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # Python would complain once more when it closes standard output.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(128 + signal.SIGPIPE) from None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _blockable(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
    from bertcore.cli.completion import blockable

    return blockable(context, parameter, incomplete)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-p",
    "blocked",
    metavar="no:NAME",
    multiple=True,
    shell_complete=_blockable,
    help="Switch a plugin off; may stand anywhere.",
)
@click.version_option(__version__)
@click.pass_context
def bertcore(context: click.Context, blocked: tuple[str, ...]) -> None:
    """Fine-tune BERT on any backend with one task definition, one training loop and one checkpoint."""
    names: list[str] = []
    for entry in blocked:
        prefix, _, name = entry.partition(":")
        if prefix != "no" or not name:
            raise click.BadParameter(f"{entry!r} is not no:NAME", context, param_hint="-p")
        names.append(name)
    context.meta[ARGUMENTS] = context.obj
    context.obj = tuple(names)
    if names:
        from importlib import metadata

        from bertcore.plugins.discovery import GROUP

        for name in sorted(set(names) - metadata.entry_points(group=GROUP).names):
            say(f"note: there is no plugin {name!r} to switch off, see bertcore plugins", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command; exits with the code of the error, if any."""
    from bertcore.engine.interrupt import orderly_termination

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with orderly_termination():
            code = bertcore.main(
                args=_plugin_options_first(given),
                prog_name="bertcore",
                standalone_mode=False,
                obj=tuple(given),
            )
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        from bertcore.cli.failure import end

        end(error, given)
    sys.exit(code if isinstance(code, int) else 0)


def _plugin_options_first(arguments: list[str]) -> list[str]:
    """Moves ``-p no:NAME`` in front of the command, so that it may stand anywhere, as in pytest."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument == "-p":
            front += [argument, *([following] if (following := next(waiting, None)) is not None else [])]
        elif argument.startswith("-pno:"):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest
