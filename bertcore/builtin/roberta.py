"""The model families ``roberta``, ``xlm-roberta`` and ``camembert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.families import ModelFamily


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """RoBERTa, and what is built as RoBERTa."""
    from bertcore.families import CamembertFamily, RobertaFamily, XLMRobertaFamily

    return [RobertaFamily(), XLMRobertaFamily(), CamembertFamily()]
