"""The catalogue of errors: one code for each kind that a user would look up, not for each place that raises.

A code says the class as well, and so the exit code. ``docs/errors-and-exit-codes.md`` is written from this catalogue,
and a test holds that every error of bertcore and of its plugins has a code of it. A plugin of a third party may use
these codes, or give its own, which it documents itself.
"""

from __future__ import annotations

from bertcore.error_codes.data import DATA
from bertcore.error_codes.kind import Kind
from bertcore.error_codes.machine import DEVICE, OUTPUT, PLUGIN, TRAINING
from bertcore.error_codes.model import MODEL
from bertcore.error_codes.task_data import TASK_DATA
from bertcore.error_codes.usage import CONFIGURATION, USAGE
from bertcore.errors import (
    BertcoreError,
    ConfigError,
    DataError,
    DeviceError,
    ModelError,
    OutputError,
    PluginError,
    TrainingError,
    UsageError,
)

CATALOGUE: dict[type[BertcoreError], dict[str, Kind]] = {
    UsageError: USAGE,
    ConfigError: CONFIGURATION,
    DataError: dict(sorted((DATA | TASK_DATA).items())),
    ModelError: MODEL,
    DeviceError: DEVICE,
    PluginError: PLUGIN,
    OutputError: OUTPUT,
    TrainingError: TRAINING,
}
"""The kinds of each class by their codes."""

DOCUMENTATION = "docs/errors-and-exit-codes.md"
"""The page that has an anchor for each code."""


def error_json(error: BertcoreError) -> dict[str, str | int | None]:
    """What a program wants to know of an error, as ``--json`` prints it.

    Returns:
        code, class, exit code, file, line, part of the file, problem, remedy, and where the kind is described; null
        where there is no such thing.
    """
    place = None if error.origin is None else error.origin.shown()
    known = any(error.code == kind.code or error.code in kinds for kind, kinds in CATALOGUE.items())
    return {
        "code": error.code,
        "kind": type(error).__name__,
        "exit_code": error.exit_code,
        "file": None if place is None else place.file,
        "line": None if place is None else place.line,
        "part": None if place is None else place.part,
        "problem": error.problem,
        "remedy": error.remedy,
        "documentation": f"{DOCUMENTATION}#{error.code}" if known else None,
    }
