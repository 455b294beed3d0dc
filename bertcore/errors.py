"""Errors that a user can cause, each with one line of cause, one line of remedy and an exit code.

Everything else that is raised is a defect of bertcore or of a plugin and keeps its traceback.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Self

LONGEST_LINE = 4000
"""Characters of the longest line that an error shows; of a longer one the middle is left out."""


def printable(text: str, longest: int = LONGEST_LINE, keep: str = "") -> str:
    """Text from a file as a terminal and a log can show it: nothing in it moves a cursor, changes colours or hides.

    Args:
        text: any text.
        longest: how many characters are shown; the middle of a longer one is left out.
        keep: control characters that stay.

    Returns:
        the text with control, format and line-breaking characters and lone surrogates escaped, as ``\\x1b``.
    """
    if len(text) > longest:
        text = f"{text[: longest * 2 // 3]}...{text[len(text) - longest // 3 :]}"
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in keep
        else character
        for character in text
    )


_rows: ContextVar[Mapping[str, str] | None] = ContextVar("rows", default=None)


@contextmanager
def shown_as_rows(names: Mapping[str, str]) -> Iterator[None]:
    """Lets places in files that bertcore itself wrote be shown as the rows that they hold: ``train[2]``.

    Args:
        names: path of each file, whose line N holds row N - 1, to what the program calls the rows.
    """
    token = _rows.set({**(_rows.get() or {}), **names})
    try:
        yield
    finally:
        _rows.reset(token)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something stands that a user wrote: a file, a line of it, or a row that a program handed over.

    Attributes:
        file: as the user knows it: a path, or a name as ``train`` where no file holds it.
        line: counted from 1; None where the file as a whole is meant.
        row: counted from 0, of what a program handed over; shown as ``train[2]``.
        part: what is meant of it where no line says it, as ``record 5`` or ``data[0].paragraphs[2]``; shown behind a
            colon.
    """

    file: str
    line: int | None = None
    row: int | None = None
    part: str | None = None

    def __str__(self) -> str:
        place = self.shown()
        text = place.file if place.line is None else f"{place.file}:{place.line}"
        if place.row is not None:
            text = f"{place.file}[{place.row}]"
        return text if place.part is None else f"{text}: {place.part}"

    def shown(self) -> Origin:
        """The same place as the user knows it, see :func:`shown_as_rows`."""
        name = (_rows.get() or {}).get(self.file)
        if name is None:
            return self
        return replace(self, file=name, line=None, row=None if self.line is None else self.line - 1)

    def within(self, part: str) -> Origin:
        """A part of it, as ``entities``, and within that ``[2]`` or ``.name``, which follow without a colon."""
        joint = "" if self.part is None or part.startswith(("[", ".")) else ": "
        return Origin(self.file, self.line, self.row, f"{self.part or ''}{joint}{part}")


class BertcoreError(Exception):
    """Base of all errors that a user can cause.

    Args:
        problem: one line that says what is wrong (the field, the value), without the place.
        remedy: one line that says what to do about it.
        origin: where it stands, where that is a file.
        code: kebab-case name of the kind of error, which stays the same when the words change; see
            ``docs/errors-and-exit-codes.md``. By default the name of the class's own kind.

    Attributes:
        exit_code: of the command line.
    """

    exit_code = 1
    code = "error"

    def __init__(
        self, problem: str, remedy: str = "", *, origin: Origin | None = None, code: str | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = printable(problem)
        self.remedy = printable(remedy)
        self.origin = origin
        if code is not None:
            self.code = code

    @property
    def cause(self) -> str:
        """The line that a user reads first: the place, if there is one, and the problem."""
        return self.problem if self.origin is None else f"{printable(str(self.origin))}: {self.problem}"

    def at(self, origin: Origin | None) -> Self:
        """The same error at another place."""
        return type(self)(self.problem, self.remedy, origin=origin, code=self.code)

    def saying_also(self, more: str) -> Self:
        """The same error, whose problem says more at its end."""
        return type(self)(self.problem + more, self.remedy, origin=self.origin, code=self.code)

    def __str__(self) -> str:
        return f"{self.cause}\n{self.remedy}" if self.remedy else self.cause


class UsageError(BertcoreError):
    """An argument, a name or a combination of options that does not exist (exit code 2, as in click)."""

    exit_code = 2
    code = "usage"


class ConfigError(BertcoreError):
    """A configuration key or value that is not valid (exit code 3)."""

    exit_code = 3
    code = "configuration"


class DataError(BertcoreError):
    """A data file that is missing or cannot be understood (exit code 4)."""

    exit_code = 4
    code = "data"


class ModelError(BertcoreError):
    """A model folder, weight file or checkpoint that is missing, damaged or does not fit (exit code 5)."""

    exit_code = 5
    code = "model"


class DeviceError(BertcoreError):
    """A backend, device, precision or memory that this machine does not have (exit code 6)."""

    exit_code = 6
    code = "device"


class PluginError(BertcoreError):
    """A plugin that failed to load, or that broke its contract (exit code 7); its cause may hold a traceback."""

    exit_code = 7
    code = "plugin"

    def __init__(
        self, problem: str, remedy: str = "", *, origin: Origin | None = None, code: str | None = None
    ) -> None:
        super().__init__(problem, remedy, origin=origin, code=code)
        self.problem = printable(problem, longest=20 * LONGEST_LINE, keep="\n\t")


class OutputError(BertcoreError):
    """Something could not be written: no space, no permission, a folder in the way (exit code 8)."""

    exit_code = 8
    code = "output"


class TrainingError(BertcoreError):
    """Training cannot go on: the loss or a gradient is not finite (exit code 9)."""

    exit_code = 9
    code = "training"
