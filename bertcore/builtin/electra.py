"""The model family ``electra``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.family import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """ELECTRA."""
    from bertcore.families.electra import ElectraFamily

    return [ElectraFamily()]
