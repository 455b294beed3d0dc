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
