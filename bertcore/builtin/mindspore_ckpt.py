"""The weight converter ``mindspore_ckpt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """MindSpore checkpoints."""
    from bertcore.weights.converters.mindspore_ckpt import MindSporeCheckpointConverter

    return [MindSporeCheckpointConverter()]
