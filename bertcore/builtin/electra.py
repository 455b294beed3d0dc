"""The model family ``electra``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.families import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """ELECTRA."""
    from bertcore.families import ElectraFamily

    return [ElectraFamily()]
