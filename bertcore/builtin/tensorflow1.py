"""The weight converter ``tensorflow1``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """TensorFlow 1 checkpoints."""
    from bertcore.weights.converters.tensorflow1 import TensorFlow1Converter

    return [TensorFlow1Converter()]
