"""Errors that a user can cause, each with one line of cause, one line of remedy and an exit code.

Everything else that is raised is a defect of bertcore or of a plugin and keeps its traceback.
"""

from __future__ import annotations


class BertcoreError(Exception):
    """Base of all errors that a user can cause.

    Args:
        cause: one line that says what is wrong and where (file, line, field).
        remedy: one line that says what to do about it.
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

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
    """A plugin that failed to load, or that broke its contract (exit code 7)."""

    exit_code = 7


class OutputError(BertcoreError):
    """Something could not be written: no space, no permission, a folder in the way (exit code 8)."""

    exit_code = 8


class TrainingError(BertcoreError):
    """Training cannot go on: the loss or a gradient is not finite, or the batch does not fit (exit code 9)."""

    exit_code = 9
