"""The tracker ``console``: the terminal and run.log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.events import TrackerFactory


@hookimpl
def bertcore_register_trackers() -> list[TrackerFactory]:
    """Writes the terminal and run.log."""
    from bertcore.contracts.events import TrackerFactory
    from bertcore.trackers.console import ConsoleTracker

    return [TrackerFactory("console", "the terminal and run.log", ConsoleTracker)]
