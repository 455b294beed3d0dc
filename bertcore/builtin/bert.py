"""The model family ``bert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.family import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """BERT and what is stored as BERT."""
    from bertcore.families.bert import BertFamily

    return [BertFamily()]
