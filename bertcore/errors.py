"""Errors that a user can cause, each with one line of cause, one line of remedy and an exit code.

Everything else that is raised is a defect of bertcore or of a plugin and keeps its traceback.
"""

from __future__ import annotations

import unicodedata

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


class BertcoreError(Exception):
    """Base of all errors that a user can cause.

    Args:
        cause: one line that says what is wrong and where (file, line, field).
        remedy: one line that says what to do about it.
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = printable(cause)
        self.remedy = printable(remedy)

    def __str__(self) -> str:
        return f"{self.cause}\n{self.remedy}" if self.remedy else self.cause


class UsageError(BertcoreError):
    """An argument, a name or a combination of options that does not exist (exit code 2, as in click)."""

    exit_code = 2


class ConfigError(BertcoreError):
    """A configuration key or value that is not valid (exit code 3)."""

    exit_code = 3


class DataError(BertcoreError):
    """A data file that is missing or cannot be understood (exit code 4)."""

    exit_code = 4


class ModelError(BertcoreError):
    """A model folder, weight file or checkpoint that is missing, damaged or does not fit (exit code 5)."""

    exit_code = 5


class DeviceError(BertcoreError):
    """A backend, device or precision that this machine does not have (exit code 6)."""

    exit_code = 6


class PluginError(BertcoreError):
    """A plugin that failed to load, or that broke its contract (exit code 7); its cause may hold a traceback."""

    exit_code = 7

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.cause = printable(cause, longest=20 * LONGEST_LINE, keep="\n\t")


class OutputError(BertcoreError):
    """Something could not be written: no space, no permission, a folder in the way (exit code 8)."""

    exit_code = 8


class TrainingError(BertcoreError):
    """Training cannot go on: the loss or a gradient is not finite, or the batch does not fit (exit code 9)."""

    exit_code = 9
