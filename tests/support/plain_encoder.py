"""BERT in its plain padded form: the modules and names of transformers, nothing packed, joined or hand-written.

The oracle of :mod:`bertcore_torch.encoder`, with dropout, too; its ``state_dict`` has the canonical names.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from bertcore_torch.dropout import Dropout
from bertcore_torch.heads import HeadModule, refuse_pooler_of_others
from bertcore_torch.layers import ACTIVATIONS
from bertcore_torch.rows import head_batch, pad_rows
from torch import Tensor, nn

from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig


class PlainEmbeddings(nn.Module):
    """Sum of three embeddings, normalized."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.position_offset = config.position_offset
        self.reads_token_types = config.reads_token_types
        width = config.embedding_width
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """Returns ``[rows, length, embedding width]``."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device) + self.position_offset
        embedded = (
            self.word_embeddings(input_ids)
            + self.position_embeddings(positions)
            + self.token_type_embeddings(token_type_ids * self.reads_token_types)
        )
        return self.dropout(self.LayerNorm(embedded))


class PlainSelfAttention(nn.Module):
    """Softmax attention of every token to the real tokens of its row."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns ``[rows, length, hidden]``."""
        rows, length, width = hidden.shape

        def by_head(x: Tensor) -> Tensor:
            return x.view(rows, length, self.heads, -1).transpose(1, 2)

        query, key, value = by_head(self.query(hidden)), by_head(self.key(hidden)), by_head(self.value(hidden))
        scores = query @ key.transpose(2, 3) / math.sqrt(key.shape[-1])
        scores = scores.masked_fill(~attention_mask[:, None, None, :], torch.finfo(scores.dtype).min)
        context = self.dropout(F.softmax(scores, dim=-1)) @ value
        return context.transpose(1, 2).reshape(rows, length, width)


class PlainOutput(nn.Module):
    """A linear layer, dropout, the residual and its normalization."""

    def __init__(self, config: BertConfig, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Returns ``[rows, length, hidden]``."""
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class PlainLayer(nn.Module):
    """One transformer layer."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": PlainSelfAttention(config), "output": PlainOutput(config, config.hidden_size)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.intermediate_size)})
        self.output = PlainOutput(config, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Returns ``[rows, length, hidden]``."""
        hidden = self.attention["output"](self.attention["self"](hidden, attention_mask), hidden)
        return self.output(self.activation(self.intermediate["dense"](hidden)), hidden)


class PlainEncoder(nn.Module):
    """Embeddings, layers and, where the head reads it, the pooler."""

    def __init__(self, config: BertConfig, pooler: bool) -> None:
        super().__init__()
        self.embeddings = PlainEmbeddings(config)
        width = config.embedding_size
        self.embeddings_project = None if width is None else nn.Linear(width, config.hidden_size)
        layers = nn.ModuleList(PlainLayer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        if pooler:
            self.pooler = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.hidden_size)})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Encodes padded rows.

        Args:
            input_ids: int64 ``[rows, length]``.
            attention_mask: bool ``[rows, length]``, True on real tokens.
            token_type_ids: int64 ``[rows, length]``.

        Returns:
            The hidden states, ``[rows, length, hidden]``.
        """
        hidden = self.embeddings(input_ids, token_type_ids)
        if self.embeddings_project is not None:
            hidden = self.embeddings_project(hidden)
        for layer in self.encoder["layer"]:
            hidden = layer(hidden, attention_mask)
        return hidden

    def pool(self, hidden: Tensor) -> Tensor:
        """Returns the pooled first tokens, ``[rows, hidden]``."""
        return torch.tanh(self.pooler["dense"](hidden[:, 0]))


class PlainModel(nn.Module):
    """The encoder with a head on top; its ``state_dict`` has the canonical names.

    Args:
        config: sizes of the encoder.
        head: an implementation of the head.
    """

    def __init__(self, config: BertConfig, head: HeadModule) -> None:
        super().__init__()
        refuse_pooler_of_others(config, head)
        self._encoder_name = config.prefix.removesuffix(".")
        self._pad_token_id = config.pad_token_id
        self.add_module(self._encoder_name, PlainEncoder(config, pooler=head.reads == "pooled"))
        for name, module in head.named_children():
            self.add_module(name, module)
        # Not a submodule: its parameters are there already, under their canonical names.
        object.__setattr__(self, "head", head)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the head's outputs for a batch, padded to its longest row, in the batch's order."""
        encoder: PlainEncoder = self.get_submodule(self._encoder_name)  # type: ignore[assignment]
        device = encoder.embeddings.word_embeddings.weight.device
        rows = pad_rows(batch, self._pad_token_id, device)
        hidden = encoder(rows.input_ids, rows.attention_mask, rows.token_type_ids)
        if self.head.reads == "pooled":
            hidden = encoder.pool(hidden)
        elif self.head.reads == "first_token":
            hidden = hidden[:, 0]
        else:
            hidden = hidden.flatten(0, 1).index_select(0, rows.token_of_batch)
        return self.head.outputs(hidden, head_batch(batch, device), Dropout())
