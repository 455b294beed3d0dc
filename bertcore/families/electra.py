"""ELECTRA, discriminator or generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bertcore.contracts.bert_config import BertConfig, HeadActivation, HeadVariant
from bertcore.contracts.config_entries import number, whole_number
from bertcore.contracts.family import HeadStem, ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import SkipRule

_PRETRAINING_HEADS = (
    r"(discriminator_predictions\.(dense|dense_prediction)|generator_predictions\.(dense|LayerNorm)|generator_lm_head)"
    r"\.(weight|bias)"
)


@dataclass(frozen=True)
class ElectraFamily(ModelFamily):
    """ELECTRA (Clark et al. 2020, arXiv 2003.10555): embeddings of a width of their own, and no pooler."""

    name: str = "electra"
    prefix: str = "electra."
    architecture: str = "Electra"
    head_variant: HeadVariant = "dense"
    head_activation: HeadActivation = "gelu"
    stems: tuple[HeadStem, ...] = (HeadStem("ForMultipleChoice", "summary", "gelu"),)
    encoder_modules: tuple[str, ...] = ("embeddings", "embeddings_project", "encoder")
    pretraining_heads: str = rf"{ModelFamily.pretraining_heads}|{_PRETRAINING_HEADS}"
    skip_rules: tuple[SkipRule, ...] = (SkipRule(_PRETRAINING_HEADS, "pre-training head"), *ModelFamily.skip_rules)

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> BertConfig:  # noqa: D102
        parsed = super().parse_config(config, origin)
        width = whole_number({"embedding_size": 128, **config}, "embedding_size", origin)
        dropout = number({"summary_last_dropout": 0.1, **config}, "summary_last_dropout", origin)
        return replace(
            parsed,
            embedding_size=None if width == parsed.hidden_size else width,
            summary_last_dropout=dropout,
        )

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:  # noqa: D102
        own: dict[str, Any] = {"embedding_size": config.embedding_width}
        if config.summary_last_dropout is not None:
            own["summary_last_dropout"] = config.summary_last_dropout
        return {**super().config_json(config, head), **own}
