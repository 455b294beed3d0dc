"""The weight converter ``huggingface``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """Hugging Face folders and weight files."""
    from bertcore.weights.converters.huggingface import HuggingFaceConverter

    return [HuggingFaceConverter()]
