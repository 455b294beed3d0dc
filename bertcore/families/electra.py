"""ELECTRA, discriminator or generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bertcore.contracts.family import _CLS, _ELECTRA_HEADS, BertConfig, ModelFamily, _whole_number
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import SkipRule

if TYPE_CHECKING:
    pass


class ElectraFamily(ModelFamily):
    """ELECTRA (Clark et al. 2020, arXiv 2003.10555): embeddings of a width of their own, and no pooler."""

    name = "electra"
    prefix = "electra."
    architecture = "Electra"
    head_variant = "dense"
    head_activation = "gelu"
    encoder_modules = ("embeddings", "embeddings_project", "encoder")
    pretraining_heads = rf"{_CLS}|{_ELECTRA_HEADS}"
    skip_rules = (SkipRule(_ELECTRA_HEADS, "pre-training head"), *ModelFamily.skip_rules)

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> BertConfig:  # noqa: D102
        parsed = super().parse_config(config, origin)
        width = _whole_number({"embedding_size": 128, **config}, "embedding_size", origin)
        return replace(parsed, embedding_size=None if width == parsed.hidden_size else width)

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:  # noqa: D102
        return {**super().config_json(config, head), "embedding_size": config.embedding_width}
