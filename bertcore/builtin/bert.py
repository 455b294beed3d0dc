"""The model family ``bert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.families import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """BERT and what is stored as BERT."""
    from bertcore.families import BertFamily

    return [BertFamily()]
