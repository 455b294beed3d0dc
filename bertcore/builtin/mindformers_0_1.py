"""The weight converter ``mindformers_0_1``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """mindformers' checkpoints, by the names of release 0.1."""
    from bertcore.weights.converters.mindformers import MindFormers01Converter

    return [MindFormers01Converter()]
