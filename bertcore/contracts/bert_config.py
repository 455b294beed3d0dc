"""The sizes and constants of an encoder: what every backend builds it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

HeadVariant = Literal["pooler", "dense", "summary"]
HeadActivation = Literal["tanh", "gelu"]


@dataclass(frozen=True)
class BertConfig:
    """The sizes and constants of one encoder, under the names of transformers' ``BertConfig``.

    Class attributes:
        kind, name: as code for it is registered; an encoder that is computed otherwise is a subclass with another name.

    Further attributes, set by the family:
        family: name of the family (``model_type``).
        prefix: what stands before the encoder's canonical names.
        position_offset: position id of a row's first token (RoBERTa counts from 2).
        token_types: whether rows have token types; where they do not, every token is of type 0, whatever a tokenizer
            says.
        embedding_size: width of the embeddings, which a linear layer brings to ``hidden_size``; None where they have
            that width themselves.
        head_variant: what a head of one output per row stands on. ``pooler``: the pooled first token, dropout, the
            linear layer ``classifier``. ``dense``: the first token, dropout, ``classifier.dense``, an activation,
            dropout, ``classifier.out_proj``; there is no pooler. ``summary``: as ``pooler``, with a layer
            ``sequence_summary.summary`` of the head's own and its activation instead of the encoder's pooler.
        head_activation: the activation between both layers of ``dense`` and ``summary``.
        summary_last_dropout: dropout behind the layer of ``summary``; None where the family has no such heads.
    """

    kind: ClassVar[str] = "encoder"
    name: ClassVar[str] = "bert"

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0
    family: str = "bert"
    prefix: str = "bert."
    position_offset: int = 0
    token_types: bool = True
    embedding_size: int | None = None
    head_variant: HeadVariant = "pooler"
    head_activation: HeadActivation = "tanh"
    summary_last_dropout: float | None = None

    @property
    def reads_token_types(self) -> bool:
        """Whether a token's type matters; where it does not, all tokens are of type 0."""
        return self.token_types and self.type_vocab_size > 1

    @property
    def embedding_width(self) -> int:
        """Width of the three embeddings and of their LayerNorm."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def head_dropout_prob(self) -> float:
        """Dropout in front of the head's linear layers."""
        if self.head_variant == "summary" and self.summary_last_dropout is not None:
            return self.summary_last_dropout
        return self.hidden_dropout_prob if self.classifier_dropout is None else self.classifier_dropout

    @property
    def max_length(self) -> int:
        """Longest row, in tokens, that the position embeddings allow."""
        return self.max_position_embeddings - self.position_offset
