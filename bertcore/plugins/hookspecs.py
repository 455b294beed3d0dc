"""All hooks of bertcore, in one short file. A plugin implements some of them with ``@bertcore.hookimpl``.

Every hook returns a list. The registry calls one plugin at a time, records what it brought, goes on when one fails,
and turns a name that is registered twice into an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend
    from bertcore.contracts.converter import WeightConverter
    from bertcore.contracts.events import TrackerFactory
    from bertcore.contracts.family import ModelFamily
    from bertcore.contracts.implementations import Implementation
    from bertcore.contracts.launcher import Launcher
    from bertcore.contracts.record_format import RecordFormat
    from bertcore.contracts.task import Task

PROJECT = "bertcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bertcore_register_tasks() -> list[Task]:  # type: ignore[empty-body]
    """Returns tasks: what to learn."""


@hookspec
def bertcore_register_backends() -> list[Backend]:  # type: ignore[empty-body]
    """Returns backends: how to compute. The framework is imported when one is first used, not here."""


@hookspec
def bertcore_register_converters() -> list[WeightConverter]:  # type: ignore[empty-body]
    """Returns converters: how weights are stored elsewhere."""


@hookspec
def bertcore_register_families() -> list[ModelFamily]:  # type: ignore[empty-body]
    """Returns model families: what a ``config.json`` with their ``model_type`` means."""


@hookspec
def bertcore_register_implementations() -> list[Implementation]:  # type: ignore[empty-body]
    """Returns the code with which backends compute heads, encoders and objectives."""


@hookspec
def bertcore_register_trackers() -> list[TrackerFactory]:  # type: ignore[empty-body]
    """Returns trackers: what listens to the events of a run."""


@hookspec
def bertcore_register_record_formats() -> list[RecordFormat]:  # type: ignore[empty-body]
    """Returns record formats: how encoded rows are stored in files."""


@hookspec
def bertcore_register_launchers() -> list[Launcher]:  # type: ignore[empty-body]
    """Returns launchers: how a command is started on another host."""
