"""The weight converter ``mindspore_ckpt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """MindSpore checkpoints."""
    from bertcore.converters.mindspore_ckpt import MindSporeCheckpointConverter

    return [MindSporeCheckpointConverter()]
