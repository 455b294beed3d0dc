"""RoBERTa and its relatives, which count positions from the padding id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bertcore.contracts.bert_config import BertConfig, HeadActivation, HeadVariant
from bertcore.contracts.family import HeadStem, ModelFamily
from bertcore.contracts.parameters import SkipRule

_LM_HEAD = r"lm_head\.(bias|(dense|layer_norm|decoder)\.(weight|bias))"


@dataclass(frozen=True)
class RobertaFamily(ModelFamily):
    """RoBERTa (Liu et al. 2019, arXiv 1907.11692): positions count from the padding token's id plus one.

    Rows have no token types; transformers' tokenizers give none for these models either.
    """

    name: str = "roberta"
    prefix: str = "roberta."
    architecture: str = "Roberta"
    token_types: bool = False
    head_variant: HeadVariant = "dense"
    head_activation: HeadActivation = "tanh"
    stems: tuple[HeadStem, ...] = (HeadStem("ForMultipleChoice", "pooler"),)
    pretraining_heads: str = rf"{ModelFamily.pretraining_heads}|{_LM_HEAD}"
    skip_rules: tuple[SkipRule, ...] = (SkipRule(_LM_HEAD, "pre-training head"), *ModelFamily.skip_rules)

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> BertConfig:  # noqa: D102
        if config.get("pad_token_id") is None:
            config = {**config, "pad_token_id": 1}
        parsed = super().parse_config(config, origin)
        return replace(parsed, position_offset=parsed.pad_token_id + 1)


@dataclass(frozen=True)
class XLMRobertaFamily(RobertaFamily):
    """XLM-RoBERTa (Conneau et al. 2019, arXiv 1911.02116): RoBERTa with another vocabulary."""

    name: str = "xlm-roberta"
    architecture: str = "XLMRoberta"


@dataclass(frozen=True)
class CamembertFamily(RobertaFamily):
    """CamemBERT (Martin et al. 2019, arXiv 1911.03894): RoBERTa in French."""

    name: str = "camembert"
    architecture: str = "Camembert"
