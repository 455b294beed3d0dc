"""The weight converter ``mindformers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """mindformers' checkpoints, by the names of releases 0.2 to 1.2."""
    from bertcore.weights.converters.mindformers import MindFormersConverter

    return [MindFormersConverter()]
