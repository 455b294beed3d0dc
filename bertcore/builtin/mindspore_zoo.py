"""The weight converter ``mindspore_zoo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """Checkpoints of the BERT in MindSpore's model zoo."""
    from bertcore.weights.converters.mindspore_zoo import MindSporeZooConverter

    return [MindSporeZooConverter()]
