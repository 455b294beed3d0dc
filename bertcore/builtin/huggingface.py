"""The weight converter ``huggingface``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.converter import WeightConverter


@hookimpl
def bertcore_register_converters() -> list[WeightConverter]:
    """Hugging Face folders and weight files."""
    from bertcore.converters.huggingface import HuggingFaceConverter

    return [HuggingFaceConverter()]
