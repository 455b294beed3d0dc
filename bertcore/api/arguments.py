"""Arguments of the Python interface: whatever is wrong with them is said in bertcore's own errors.

:func:`checked` wraps a public function. Its signature stays what type checkers, ``help`` and ``inspect`` show.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from bertcore.api.argument_kinds import KINDS, NotThisError, describe, plain, setting_value
from bertcore.config import RunConfig, Setting, flatten, known_keys
from bertcore.errors import UsageError
from bertcore.files.writing import path_error

PathOrText = str | os.PathLike[str]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Checks the names and the types of arguments, by the table ``KINDS``, before the function is called.

    Raises:
        UsageError: an argument is unknown, missing, given twice or of another type.
        OutputError: the operating system refuses a path (too long, no permission).
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        given = _bind(function.__name__, signature, arguments, named)
        values = {name: _read(function.__name__, signature, name, value) for name, value in given.items()}
        try:
            return function(**values)  # type: ignore[call-arg]
        except OSError as error:
            refused = path_error(error)
            if refused is None:
                raise
            raise refused from None

    return call


def gather(settings: Mapping[str, Any] | None, **arguments: Any) -> list[Setting]:
    """The settings of a call: arguments that are given, and ``settings``, by dotted keys or by sections.

    Raises:
        UsageError: an argument and a key of the settings say two things.
    """
    named = {KEYS[name]: (name, value) for name, value in arguments.items() if value is not None}
    found = [Setting(key, setting_value(value), name) for key, (name, value) in named.items()]
    for key, value in flatten(settings or {}):
        if key in named and not _are_equal(named[key][1], value):
            name = named[key][0]
            raise UsageError(
                f"{name}= and settings[{key!r}] say two things", "leave one of them out", code="arguments-conflict"
            )
        found.append(Setting(key, value, "settings"))
    return found


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # of pandas' NA and of arrays, which tell no truth about a comparison
        return False


KEYS = {
    "task": "task",
    "backend": "backend",
    "model": "model.path",
    "data": "data.path",
    "train": "data.train",
    "dev": "data.dev",
    "test": "data.test",
    "output": "run.output",
    "teacher": "train.distill.teacher",
    "seed": "run.seed",
    "device": "run.device",
    "precision": "evaluate.precision",
}
"""Keys of the configuration that are arguments, too."""


def _bind(
    function: str, signature: inspect.Signature, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> dict[str, Any]:
    known = list(signature.parameters)
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        raise UsageError(
            f"{function}() has no argument {unknown!r}", _remedy_of_unknown(unknown, known), code="argument-unknown"
        )
    by_position = [name for name, one in signature.parameters.items() if one.kind is not one.KEYWORD_ONLY]
    if len(arguments) > len(by_position):
        raise UsageError(
            f"{function}() takes {len(by_position)} arguments by position, and {len(arguments)} are given",
            f"name the others: {', '.join(f'{name}=...' for name in known[len(by_position) :][:4])}",
            code="argument-unknown",
        )
    given = dict(zip(by_position, arguments, strict=False))
    twice = next((name for name in named if name in given), None)
    if twice is not None:
        raise UsageError(
            f"{function}() is given {twice!r} twice, by position and by name",
            "leave one of them out",
            code="arguments-conflict",
        )
    given |= named
    for name, parameter in signature.parameters.items():
        if parameter.default is parameter.empty and name not in given:
            raise UsageError(
                f"{function}() needs {name!r}", f"give {name}={KINDS[name].example}", code="argument-missing"
            )
    return given


def _remedy_of_unknown(name: str, known: Sequence[str]) -> str:
    keys = [key for key, _ in known_keys(RunConfig)] if "settings" in known else []
    key = next((key for key in sorted(keys, reverse=True) if key.rpartition(".")[2] == name), None)
    if key is not None:
        return f"write settings={{{key!r}: ...}}"
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    further = '; keys of the configuration go into settings={"train.epochs": 2}' if keys else ""
    return f"it takes {', '.join(known)}{further}"


def _read(function: str, signature: inspect.Signature, name: str, value: Any) -> Any:
    kind = KINDS[name]
    if value is None and signature.parameters[name].default is None:
        return None
    try:
        return kind.read(plain(value))
    except (TypeError, ValueError) as error:
        because = f" ({error})" if isinstance(error, NotThisError) else ""
        cause = f"{function}(): {name} is {describe(value)}{because}, and must be {kind.wanted}"
        raise UsageError(cause, f"write {name}={kind.example}", code="argument-wrong") from None
