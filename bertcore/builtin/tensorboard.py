"""The tracker ``tensorboard``: event files for TensorBoard (needs tensorboardX)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.events import TrackerFactory


@hookimpl
def bertcore_register_trackers() -> list[TrackerFactory]:
    """Writes event files for TensorBoard (needs tensorboardX)."""
    from bertcore.contracts.events import TrackerFactory
    from bertcore.trackers.tensorboard import TensorBoardTracker

    return [
        TrackerFactory(
            "tensorboard", "event files for TensorBoard (needs tensorboardX)", TensorBoardTracker, default=False
        )
    ]
