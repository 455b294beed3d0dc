"""ELECTRA, discriminator or generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.config_entries import whole_number
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import SkipRule

_PRETRAINING_HEADS = (
    r"(discriminator_predictions\.(dense|dense_prediction)|generator_predictions\.(dense|LayerNorm)|generator_lm_head)"
    r"\.(weight|bias)"
)


class ElectraFamily(ModelFamily):
    """ELECTRA (Clark et al. 2020, arXiv 2003.10555): embeddings of a width of their own, and no pooler."""

    name = "electra"
    prefix = "electra."
    architecture = "Electra"
    head_variant = "dense"
    head_activation = "gelu"
    encoder_modules = ("embeddings", "embeddings_project", "encoder")
    pretraining_heads = rf"{ModelFamily.pretraining_heads}|{_PRETRAINING_HEADS}"
    skip_rules = (SkipRule(_PRETRAINING_HEADS, "pre-training head"), *ModelFamily.skip_rules)

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> BertConfig:  # noqa: D102
        parsed = super().parse_config(config, origin)
        width = whole_number({"embedding_size": 128, **config}, "embedding_size", origin)
        return replace(parsed, embedding_size=None if width == parsed.hidden_size else width)

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:  # noqa: D102
        return {**super().config_json(config, head), "embedding_size": config.embedding_width}
