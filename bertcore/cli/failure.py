"""What a command says when it fails: two lines for people on standard error, with ``--json`` an object for programs."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from bertcore.cli.output import say
from bertcore.contracts.ranks import JOB_VARIABLE, LOST_OTHERS
from bertcore.engine.ranks import this_rank
from bertcore.error_codes import DOCUMENTATION, error_json
from bertcore.errors import BertcoreError, OutputError, UsageError


@dataclass(frozen=True)
class Failure:
    """How a command ended.

    Attributes:
        cause: the line that a user reads first.
        remedy: the line below it, which may be empty.
        exit_code: of the command.
        facts: what ``--json`` prints.
    """

    cause: str
    remedy: str
    exit_code: int
    facts: dict[str, Any]

    @classmethod
    def of_error(cls, error: BertcoreError) -> Failure:
        """An error of bertcore's own."""
        return cls(error.cause, error.remedy, error.exit_code, error_json(error))

    @classmethod
    def other(cls, code: str, kind: str, exit_code: int, cause: str, remedy: str = "") -> Failure:
        """What is no error of bertcore's own, but has the same form."""
        facts = {"code": code, "kind": kind, "exit_code": exit_code, "file": None, "line": None, "part": None}
        return cls(
            cause,
            remedy,
            exit_code,
            {**facts, "problem": cause, "remedy": remedy, "documentation": f"{DOCUMENTATION}#{code}"},
        )

    def show(self, as_json: bool) -> None:
        """Says it on standard error, and where JSON was asked for also on standard output."""
        say(f"error: {self.cause}", err=True)
        if self.remedy:
            say(f"remedy: {self.remedy}", err=True)
        if as_json:
            self.print_json()

    def print_json(self) -> None:
        """Prints the object, where standard output can still be written."""
        try:
            click.echo(json.dumps({"error": self.facts}, indent=2))
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it is said on standard error


def end(error: Exception | KeyboardInterrupt, arguments: Sequence[str]) -> NoReturn:
    """Says how a command failed, and exits with its code; a defect is raised again, for its traceback."""
    if type(error).__name__ == "NoArgsIsHelpError":  # of click 8.2; before, help ended with success
        assert isinstance(error, click.ClickException)
        error.show()
        sys.exit(error.exit_code)
    as_json = wants_json(arguments)
    found = _failure(error, arguments)
    if found is None:
        if as_json:
            _defect(error).print_json()
        raise error
    lost_others = _is_said_by_launcher(error)
    if not lost_others or not this_rank().is_first:  # the first rank speaks to the user, the others into their logs
        found.show(as_json)
    sys.exit(LOST_OTHERS if lost_others else found.exit_code)


def _is_said_by_launcher(error: BaseException) -> bool:
    """Whether this process only lost the others: whoever started all of them knows which one failed first, and why."""
    return isinstance(error, BertcoreError) and error.code == "ranks-lost" and JOB_VARIABLE in os.environ


def _failure(error: BaseException, arguments: Sequence[str]) -> Failure | None:
    """How a command failed; None for a defect."""
    if isinstance(error, BertcoreError):
        return Failure.of_error(error)
    if isinstance(error, click.ClickException):
        return _failure_of_click(error, arguments)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _failure_of_interrupt(error)
    return _failure_of_system(error) if isinstance(error, OSError) else None


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether ``--json`` is given, whatever else is wrong with the arguments."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def _failure_of_click(error: click.ClickException, arguments: Sequence[str]) -> Failure:
    """An error that click finds in the arguments."""
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and context is not None:
        from bertcore.cli.suggestions import option_remedy

        # Of -lr, click sees -l alone.
        name = next(
            (word for word in arguments if len(word) > 2 and word.startswith(error.option_name) and word[1] != "-"),
            error.option_name,
        )
        cause, remedy = f"{context.command_path} has no option {name}", option_remedy(name, context)
        return Failure.of_error(UsageError(cause, remedy, code="argument-unknown"))
    message = " ".join(error.format_message().split()).removesuffix(".")
    command = "bertcore" if context is None else context.command_path
    cause, remedy = message[:1].lower() + message[1:], f"see {command} --help"
    is_missing = isinstance(error, click.MissingParameter)
    code = "argument-missing" if is_missing else "argument-wrong"
    return Failure.other(code, UsageError.__name__, error.exit_code, cause, remedy)


def _failure_of_interrupt(error: BaseException) -> Failure:
    """Ctrl-C, SIGTERM or SIGUSR1."""
    from bertcore.engine.interrupt import Interrupted

    stop = error.__cause__ if isinstance(error, click.Abort) else error  # click puts its own error in front
    if not isinstance(stop, Interrupted):
        stop = Interrupted("interrupted", "nothing was left half-written")
    return Failure.other(stop.code, Interrupted.__name__, stop.exit_code, stop.cause, stop.remedy)


def _failure_of_system(error: OSError) -> Failure | None:
    """What the operating system refuses and a user can help; None for anything else."""
    from bertcore.files.writing import path_error

    refused = path_error(error)
    if refused is not None:
        return Failure.of_error(refused)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered would fail again
    cause, remedy = f"cannot write the output: {error.strerror}", "free some space, or write elsewhere"
    return Failure.of_error(OutputError(cause, remedy, code="disk-full"))


def _defect(error: BaseException) -> Failure:
    """A defect of bertcore or of a plugin, which keeps its traceback on standard error."""
    remedy = "report it with the traceback on standard error"
    return Failure.other("defect", type(error).__name__, 1, f"{type(error).__name__}: {error}", remedy)
