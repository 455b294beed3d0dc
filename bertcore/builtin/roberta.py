"""The model families ``roberta``, ``xlm-roberta`` and ``camembert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.family import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """RoBERTa, and what is built as RoBERTa."""
    from bertcore.families.roberta import CamembertFamily, RobertaFamily, XLMRobertaFamily

    return [RobertaFamily(), XLMRobertaFamily(), CamembertFamily()]
