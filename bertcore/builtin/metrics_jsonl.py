"""The tracker ``metrics_jsonl``: metrics.jsonl in the run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.events import TrackerFactory


@hookimpl
def bertcore_register_trackers() -> list[TrackerFactory]:
    """Writes metrics.jsonl in the run folder."""
    from bertcore.contracts.events import TrackerFactory
    from bertcore.trackers.metrics import MetricsTracker

    return [TrackerFactory("metrics_jsonl", "metrics.jsonl in the run folder", MetricsTracker)]
