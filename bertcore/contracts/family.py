"""Model families: what a ``config.json`` means and which canonical parameters a model has.

A family is everything in which BERT, RoBERTa and ELECTRA differ around one encoder: names, position offset, token
types and the shape of the classification head. It is registered by a plugin, as heads and tasks are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertcore.contracts.bert_config import BertConfig, HeadActivation, HeadVariant
from bertcore.contracts.config_entries import number, whole_number
from bertcore.contracts.head import NEW_HEAD, Head
from bertcore.contracts.parameters import ParameterSpec, SkipRule
from bertcore.contracts.tokenizer import BuiltTokenizer
from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import MOST_LAYERS

HIDDEN_ACTIVATIONS = ("gelu", "gelu_new", "relu")

_SAME_ACTIVATIONS = {
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_python_tanh": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_accurate": "gelu_new",
}
"""Further names in transformers of the same functions, up to the order in which they round."""

# Patterns of canonical names.
_KIND = r"\.(weight|bias)"
_CLS = rf"cls\.(predictions\.(bias|(decoder|transform\.(dense|LayerNorm)){_KIND})|seq_relationship{_KIND})"
_BEFORE_HEADS = {
    "pooler": None,
    "dense": rf"classifier\.(dense|out_proj){_KIND}",
    "summary": rf"sequence_summary\.summary{_KIND}",
}
"""What each variant puts beside the encoder, before a head of one output per row."""


@dataclass(frozen=True)
class HeadStem:
    """What stands before heads of one architecture, where it is not what the family puts before others.

    transformers' ``RobertaForMultipleChoice`` keeps the pooler, which ``RobertaForSequenceClassification`` has not.

    Attributes:
        architecture: suffix of the class of transformers, see :class:`Head`.
        variant, activation: see :class:`BertConfig`.
    """

    architecture: str
    variant: HeadVariant
    activation: HeadActivation = "tanh"


@dataclass(frozen=True)
class ModelFamily:
    """A family, described; one whose ``config.json`` says more than BERT's is a frozen subclass.

    Attributes:
        name: ``model_type`` in ``config.json``.
        prefix: what stands before the encoder's names in a Hugging Face folder, with the dot.
        architecture: the stem of transformers' classes, as in ``BertForSequenceClassification``.
        position_offset, token_types, head_variant, head_activation: see :class:`BertConfig`.
        stems: for heads before which something else stands than ``head_variant`` and ``head_activation``.
        backends: names of the backends that compute it; None where every backend does that computes this encoder.
        any_model_type: whether it stands in for each ``model_type`` that has no family of its own, by :meth:`bound`.
        encoder_modules: the encoder's own modules, whose names stand without prefix in a file of the bare encoder.
        pretraining_heads: pattern of the names that transformers' heads for pre-training have.
        skip_rules: what files of this family hold beside the parameters.
    """

    name: str
    prefix: str
    architecture: str
    position_offset: int = 0
    token_types: bool = True
    head_variant: HeadVariant = "pooler"
    head_activation: HeadActivation = "tanh"
    stems: tuple[HeadStem, ...] = ()
    backends: tuple[str, ...] | None = None
    any_model_type: bool = False
    encoder_modules: tuple[str, ...] = ("embeddings", "encoder", "pooler")
    pretraining_heads: str = _CLS
    skip_rules: tuple[SkipRule, ...] = (
        SkipRule(_CLS, "pre-training head"),
        SkipRule(r".*\.position_ids", "buffer of position ids"),
        SkipRule(r".*\.token_type_ids", "buffer of token types"),
        SkipRule(r".*\.pooler\..*", "the head reads no pooler"),
    )

    def has_in_head(self, name: str, heads: Iterable[type[Head]]) -> bool:
        """Whether a canonical name is one of a head that can be trained, or that transformers has for pre-training.

        Args:
            name: of a tensor.
            heads: the classes of all heads that are registered.
        """
        return re.fullmatch(f"{self.trained_heads(heads)}|{self.pretraining_heads}", name) is not None

    def trained_heads(self, heads: Iterable[type[Head]]) -> str:
        """Pattern of the names that heads have on models of this family, with what stands before them."""
        variants = {self.head_variant, *(stem.variant for stem in self.stems)}
        before = [pattern for variant in sorted(variants) if (pattern := _BEFORE_HEADS[variant]) is not None]
        return "|".join([*sorted({head.parameter_names for head in heads}), *before])

    def config_for(self, config: BertConfig, head: Head) -> BertConfig:
        """The config of an encoder with what stands before this head; sessions are opened with it."""
        stem = next((stem for stem in self.stems if stem.architecture == head.architecture), None)
        if stem is None:
            return config
        return replace(config, head_variant=stem.variant, head_activation=stem.activation)

    def bound(self, config: Mapping[str, Any], origin: str = "config.json") -> ModelFamily:
        """Returns the family of the model with this ``config.json``: this one, unless it stands in for many.

        Raises:
            ModelError: the model is none that the family can stand in for.
        """
        return self

    def read_tokenizer(self, folder: Path) -> BuiltTokenizer | None:
        """Builds the tokenizer of a model folder, for families whose tokenizers bertcore does not build itself.

        Returns:
            The tokenizer; None to have bertcore build it as transformers does for BERT, RoBERTa and their like.

        Raises:
            ModelError: there is none, or none that can be used.
        """
        return None

    def parse_config(self, config: Mapping[str, Any], origin: str = "config.json") -> BertConfig:
        """Reads the content of a ``config.json``.

        Raises:
            ModelError: a size is missing, or an entry is no number of its kind, or the model needs what no backend
                computes.
        """
        if config.get("position_embedding_type") not in (None, "absolute"):
            raise ModelError(
                f"position_embedding_type {config['position_embedding_type']!r} is not supported",
                "use a model with absolute position embeddings",
                origin=Origin(origin),
                code="architecture-unsupported",
            )
        stated = config.get("hidden_act", "gelu")
        activation = _SAME_ACTIVATIONS.get(stated, stated) if isinstance(stated, str) else stated
        if activation not in HIDDEN_ACTIVATIONS:
            raise ModelError(
                f"hidden_act {stated!r} is not supported",
                f"use a model with one of {', '.join((*HIDDEN_ACTIVATIONS, *_SAME_ACTIVATIONS))}",
                origin=Origin(origin),
                code="architecture-unsupported",
            )
        values: dict[str, Any] = {}
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"):
            values[key] = whole_number(config, key, origin)
        layers = values["num_hidden_layers"]
        if layers > MOST_LAYERS:
            raise ModelError(
                f"num_hidden_layers is {layers}, and no encoder has more than {MOST_LAYERS}",
                "correct the config.json of the model",
                origin=Origin(origin),
                code="model-config-wrong",
            )
        for key in ("max_position_embeddings", "type_vocab_size"):
            if key in config:
                values[key] = whole_number(config, key, origin)
        dropouts = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
        for key in (*dropouts, "layer_norm_eps", "initializer_range"):
            if config.get(key) is not None:
                values[key] = number(config, key, origin, most=1.0 if key in dropouts else None)
        if config.get("pad_token_id") is not None:
            values["pad_token_id"] = whole_number(config, "pad_token_id", origin, least=0)
        if values["hidden_size"] % values["num_attention_heads"]:
            raise ModelError(
                f"hidden_size {values['hidden_size']} is no multiple of num_attention_heads "
                f"{values['num_attention_heads']}",
                "correct the config.json of the model",
                origin=Origin(origin),
                code="model-config-wrong",
            )
        return BertConfig(
            **values,
            hidden_act=activation,
            family=self.name,
            prefix=self.prefix,
            position_offset=self.position_offset,
            token_types=self.token_types,
            head_variant=self.head_variant,
            head_activation=self.head_activation,
        )

    def parameter_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """Canonical names and shapes of the encoder with the given head, in the order of transformers' modules."""
        return {**self.encoder_table(config), **self.head_table(config, head)}

    def encoder_table(self, config: BertConfig) -> dict[str, ParameterSpec]:
        """Canonical names and shapes of the encoder alone, without a pooler."""
        hidden, intermediate, width = config.hidden_size, config.intermediate_size, config.embedding_width
        embeddings = f"{self.prefix}embeddings."
        table = {
            f"{embeddings}word_embeddings.weight": ParameterSpec((config.vocab_size, width)),
            f"{embeddings}position_embeddings.weight": ParameterSpec((config.max_position_embeddings, width)),
            f"{embeddings}token_type_embeddings.weight": ParameterSpec((config.type_vocab_size, width)),
            **_layer_norm(f"{embeddings}LayerNorm", width),
        }
        if config.embedding_size is not None:
            table.update(_linear(f"{self.prefix}embeddings_project", hidden, width))
        for layer in range(config.num_hidden_layers):
            stem = f"{self.prefix}encoder.layer.{layer}."
            for name in ("query", "key", "value"):
                table.update(_linear(f"{stem}attention.self.{name}", hidden, hidden))
            table.update(_linear(f"{stem}attention.output.dense", hidden, hidden))
            table.update(_layer_norm(f"{stem}attention.output.LayerNorm", hidden))
            table.update(_linear(f"{stem}intermediate.dense", intermediate, hidden))
            table.update(_linear(f"{stem}output.dense", hidden, intermediate))
            table.update(_layer_norm(f"{stem}output.LayerNorm", hidden))
        return table

    def known_table(self, config: BertConfig) -> dict[str, ParameterSpec]:
        """The encoder's names and shapes with all that it may have: a pooler, where heads of this family read one."""
        pooled = self.head_variant == "pooler"
        return {**self.encoder_table(config), **(self._pooler_table(config) if pooled else {})}

    def _pooler_table(self, config: BertConfig) -> dict[str, ParameterSpec]:
        hidden = config.hidden_size
        return _linear(f"{self.prefix}pooler.dense", hidden, hidden, "the file holds no pooler")

    def head_table(self, config: BertConfig, head: Head) -> dict[str, ParameterSpec]:
        """Canonical names and shapes above the encoder: what stands before the head, and the head."""
        hidden = config.hidden_size
        own = head.parameter_table(hidden)
        if not head.uses_pooler:
            return own
        variant = self.config_for(config, head).head_variant
        if variant == "dense":
            dense = _linear("classifier.dense", hidden, hidden, NEW_HEAD)
            return {**dense, **{re.sub(r"^classifier\.", "classifier.out_proj.", name): own[name] for name in own}}
        if variant == "summary":
            return {**_linear("sequence_summary.summary", hidden, hidden, NEW_HEAD), **own}
        return {**self._pooler_table(config), **own}

    def config_json(self, config: BertConfig, head: Head) -> dict[str, Any]:
        """Content of the ``config.json`` with which transformers opens a checkpoint."""
        return {
            "architectures": [f"{self.architecture}{head.architecture}"],
            "model_type": self.name,
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "intermediate_size": config.intermediate_size,
            "max_position_embeddings": config.max_position_embeddings,
            "type_vocab_size": config.type_vocab_size,
            "hidden_act": config.hidden_act,
            "hidden_dropout_prob": config.hidden_dropout_prob,
            "attention_probs_dropout_prob": config.attention_probs_dropout_prob,
            "classifier_dropout": config.classifier_dropout,
            "layer_norm_eps": config.layer_norm_eps,
            "initializer_range": config.initializer_range,
            "pad_token_id": config.pad_token_id,
            "position_embedding_type": "absolute",
            "dtype": "float32",
            **head.config_entries(),
        }


def _linear(name: str, out_features: int, in_features: int, optional: str | None = None) -> dict[str, ParameterSpec]:
    return {
        f"{name}.weight": ParameterSpec((out_features, in_features), "normal", optional),
        f"{name}.bias": ParameterSpec((out_features,), "zeros", optional),
    }


def _layer_norm(name: str, size: int) -> dict[str, ParameterSpec]:
    return {f"{name}.weight": ParameterSpec((size,), "ones"), f"{name}.bias": ParameterSpec((size,), "zeros")}
