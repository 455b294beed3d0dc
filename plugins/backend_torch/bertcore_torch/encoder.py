"""BERT on packed rows: the tokens of all rows one after the other, so that no padding enters a linear layer.

Devlin et al. 2019, arXiv 1810.04805; the layers are those of google-research/bert (layer normalization after the
residual). Its tests compare it with the usual padded form, row by row and mask by mask.

The code of an encoder for this backend is a class like :class:`PackedModel`, a torch module of encoder and head, made
by ``Class(config, kind, head)``, with ``has_buffers``, ``rows_of``, ``forward`` and ``canonical_names``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig
from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch.devices import DeviceKind
from bertcore_torch.dropout import Dropout
from bertcore_torch.heads import HeadModule, refuse_pooler_of_others
from bertcore_torch.layers import layer_class
from bertcore_torch.linear import Embedding, Linear
from bertcore_torch.rows import HeadBatch, PackedRows, pack

LAYER_NAMES: Mapping[str, tuple[str, ...]] = {
    "query_key_value": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention_output": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "intermediate": ("intermediate.dense",),
    "output": ("output.dense",),
    "output_norm": ("output.LayerNorm",),
}
"""Module of a layer to its canonical names; the rows of a joined one lie one below the other."""

ENCODER_NAMES: Mapping[str, str] = {
    "embedding_norm": "embeddings.LayerNorm",
    "embeddings_project": "embeddings_project",
    "pooler": "pooler.dense",
}
"""Module of the encoder to its canonical name; the others are embeddings under their own names."""


class PackedEncoder(nn.Module):
    """Embeddings, layers and, where the head reads it, the pooler."""

    def __init__(self, config: BertConfig, kind: DeviceKind, pooler: bool) -> None:
        super().__init__()
        self.config = config
        width = config.embedding_width
        self.word_embeddings = Embedding(config.vocab_size, width)
        self.position_embeddings = Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = Embedding(config.type_vocab_size, width)
        self.embedding_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.embeddings_project = None if config.embedding_size is None else Linear(width, config.hidden_size)
        layer = layer_class(kind)
        self.layers = nn.ModuleList(layer(config, index, kind) for index in range(config.num_hidden_layers))
        self.pooler = Linear(config.hidden_size, config.hidden_size) if pooler else None

    def forward(self, rows: PackedRows, dropout: Dropout, first_only: bool, offset: Tensor | None = None) -> Tensor:
        """Encodes a batch.

        Args:
            rows: the tokens.
            dropout: all dropout of this pass.
            first_only: whether nothing but the first token of each row is read.
            offset: added to the embeddings before their normalization, ``[tokens, embedding width]`` in the batch's
                order.

        Returns:
            In the order of the batch: the hidden states ``[tokens, hidden]``, or those of the first tokens
            ``[rows, hidden]``, pooled if there is a pooler.
        """
        last = len(self.layers) - 1
        layers = [(layer, first_only and index == last) for index, layer in enumerate(self.layers)]
        dropout.prepare([mask for layer, is_first_only in layers for mask in layer.masks(rows, is_first_only)])
        hidden = (
            self.word_embeddings(rows.input_ids)
            + self.position_embeddings(rows.position_ids)
            + self.token_type_embeddings(rows.token_type_ids)
        )
        if offset is not None:
            hidden = hidden.index_add(0, rows.token_of_batch, offset.to(hidden.dtype))
        hidden = dropout(self.embedding_norm(hidden), randomness.EMBEDDINGS, self.config.hidden_dropout_prob)
        if self.embeddings_project is not None:
            hidden = self.embeddings_project(hidden)
        for layer, is_first_only in layers:
            hidden = layer(hidden, rows, dropout, is_first_only)
        hidden = hidden.index_select(0, rows.row_of_batch if first_only else rows.token_of_batch)
        return hidden if self.pooler is None else torch.tanh(self.pooler(hidden))


class PackedModel(nn.Module):
    """The encoder with a head on top.

    Class attributes:
        has_buffers: whether building it on a device computes anything beside its parameters.

    Args:
        config: sizes of the encoder.
        kind: building blocks of the device.
        head: the head, which reads what :attr:`HeadModule.reads` says.
    """

    has_buffers = False

    def __init__(self, config: BertConfig, kind: DeviceKind, head: HeadModule) -> None:
        super().__init__()
        refuse_pooler_of_others(config, head)
        self.config = config
        self.kind = kind
        self.embedding_width = config.embedding_width
        self.encoder = PackedEncoder(config, kind, pooler=head.reads == "pooled")
        self.head = head

    def rows_of(self, batch: Batch, device: torch.device) -> PackedRows:
        """Puts the tokens of a batch, which has rows, on a device."""
        return pack(batch, self.config.position_offset, device, self.config.reads_token_types)

    def forward(
        self, rows: PackedRows | None, batch: HeadBatch, dropout: Dropout, offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the order of the batch; None means a batch without rows."""
        if rows is None:
            hidden = self.encoder.word_embeddings.weight.new_empty(0, self.config.hidden_size)
        else:
            hidden = self.encoder(rows, dropout, self.head.reads != "tokens", offset)
        return self.head.outputs(hidden, batch, dropout)

    def canonical_names(self) -> dict[str, tuple[str, ...]]:
        """Name of each parameter of this module to the canonical names of its parts, equal numbers of rows each."""
        names: dict[str, tuple[str, ...]] = {}
        for name, _ in self.named_parameters():
            module, leaf = name.rsplit(".", 1)
            if name.startswith("head."):
                names[name] = (name.removeprefix("head."),)
            elif module.startswith("encoder.layers."):
                _, _, index, part = module.split(".")
                stem = f"{self.config.prefix}encoder.layer.{index}."
                names[name] = tuple(f"{stem}{canonical}.{leaf}" for canonical in LAYER_NAMES[part])
            else:
                part = module.removeprefix("encoder.")
                names[name] = (f"{self.config.prefix}{ENCODER_NAMES.get(part, f'embeddings.{part}')}.{leaf}",)
        return names
