"""BERT's encoder (Devlin et al., arXiv 1810.04805) as a cell on static positions.

The positions are ``bins`` of one length in a row; all linear layers see them as ``[tokens, hidden]``.

The code of an encoder for this backend is a cell like :class:`Encoder`, with its arguments and its ``construct``.
"""

from __future__ import annotations

from collections.abc import Mapping

import mindspore
from mindspore import Parameter, Tensor, nn, ops

from bertcore.contracts.bert_config import BertConfig
from bertcore.numerics.randomness import EMBEDDINGS, attention_output, attention_probabilities, feed_forward_output
from bertcore_mindspore import activation, attention, normalization
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.dropout import Dropout, DropoutPlan
from bertcore_mindspore.linear import Linear

Names = Mapping[str, Parameter]
"""Canonical name to parameter."""

Inputs = dict[str, Tensor]
"""Arrays of one call by name: those of ``rows.INPUT_NAMES``, the head's columns, and ``word_vectors`` and
``masks``, which the graph adds."""


class Embeddings(nn.Cell):
    """Sum of word, position and token type embeddings, normalized, and projected where it has a width of its own."""

    def __init__(self, config: BertConfig, parameters: Names, device: DeviceKind, dropout: DropoutPlan) -> None:
        super().__init__(auto_prefix=False)
        stem = f"{config.prefix}embeddings."
        self.position_table = parameters[f"{stem}position_embeddings.weight"]
        self.token_type_table = parameters[f"{stem}token_type_embeddings.weight"]
        self.layer_norm = _layer_norm(f"{stem}LayerNorm", config, parameters, device)
        self.dropout = Dropout(dropout, EMBEDDINGS)
        self.projects = config.embedding_size is not None
        if self.projects:
            self.project = _linear(f"{config.prefix}embeddings_project", parameters, dropout)
        self.gather = ops.Gather()

    def construct(self, batch: Inputs, forward_pass: int, embedding_offset: Tensor | None) -> Tensor:
        """Returns ``[tokens, hidden]``."""
        positions = self.gather(self.position_table, batch["position_ids"], 0)
        token_types = self.gather(self.token_type_table, batch["token_type_ids"], 0)
        embeddings = batch["word_vectors"] + positions + token_types
        if embedding_offset is not None:
            embeddings = embeddings + embedding_offset
        embeddings = self.dropout(self.layer_norm(embeddings), batch["masks"], forward_pass)
        return self.project(embeddings, batch["masks"], forward_pass) if self.projects else embeddings


class Layer(nn.Cell):
    """One layer: self-attention and a feed-forward network, each with residual and LayerNorm after it."""

    def __init__(
        self, index: int, config: BertConfig, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        stem = f"{config.prefix}encoder.layer.{index}."
        self.query = _linear(f"{stem}attention.self.query", parameters, dropout)
        self.key = _linear(f"{stem}attention.self.key", parameters, dropout)
        self.value = _linear(f"{stem}attention.self.value", parameters, dropout)
        self.attention = getattr(attention, device.attention)(config)
        self.probability_dropout = Dropout(dropout, attention_probabilities(index))
        self.attention_output = _linear(f"{stem}attention.output.dense", parameters, dropout)
        self.attention_dropout = Dropout(dropout, attention_output(index))
        self.attention_norm = _layer_norm(f"{stem}attention.output.LayerNorm", config, parameters, device)
        self.intermediate = _linear(f"{stem}intermediate.dense", parameters, dropout)
        self.activation = activation.activation_of(config.hidden_act, getattr(activation, device.gelu))
        self.output = _linear(f"{stem}output.dense", parameters, dropout)
        self.output_dropout = Dropout(dropout, feed_forward_output(index))
        self.output_norm = _layer_norm(f"{stem}output.LayerNorm", config, parameters, device)

    def construct(self, hidden: Tensor, mask: Tensor, masks: tuple[Tensor, ...], forward_pass: int) -> Tensor:
        """Maps ``[tokens, hidden]`` to the same shape."""
        context = self.attention(
            self.query(hidden, masks, forward_pass),
            self.key(hidden, masks, forward_pass),
            self.value(hidden, masks, forward_pass),
            mask,
            self.probability_dropout,
            masks,
            forward_pass,
        )
        attended = self.attention_output(context, masks, forward_pass)
        attended = self.attention_dropout(attended, masks, forward_pass)
        hidden = self.attention_norm(attended + hidden)
        intermediate = self.activation(self.intermediate(hidden, masks, forward_pass))
        output = self.output(intermediate, masks, forward_pass)
        return self.output_norm(self.output_dropout(output, masks, forward_pass) + hidden)


class Encoder(nn.Cell):
    """The embeddings and all layers.

    Args:
        config: sizes and constants.
        parameters: canonical name to parameter.
        device: which building blocks to use.
        dtype: what the layers compute in; parameters and LayerNorm stay float32.
        dropout: which masks are applied.
    """

    def __init__(
        self,
        config: BertConfig,
        parameters: Names,
        device: DeviceKind,
        dtype: mindspore.Type,
        dropout: DropoutPlan,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.embeddings = Embeddings(config, parameters, device, dropout)
        self.layers = nn.CellList(
            [Layer(index, config, parameters, device, dropout) for index in range(config.num_hidden_layers)],
            auto_prefix=False,
        )
        self.attention = getattr(attention, device.attention)(config)
        self.dtype = dtype
        self.cast = ops.Cast()

    def construct(self, batch: Inputs, forward_pass: int, embedding_offset: Tensor | None = None) -> Tensor:
        """Returns the hidden states ``[tokens, hidden]``."""
        mask = self.attention.prepare(batch["blocked"])
        hidden = self.cast(self.embeddings(batch, forward_pass, embedding_offset), self.dtype)
        for layer in self.layers:
            hidden = layer(hidden, mask, batch["masks"], forward_pass)
        return hidden


def _linear(name: str, parameters: Names, dropout: DropoutPlan) -> nn.Cell:
    linear = Linear(parameters[f"{name}.weight"], parameters[f"{name}.bias"])
    return linear if dropout.adapter is None else dropout.adapter.beside(name, linear, parameters, dropout)


def _layer_norm(name: str, config: BertConfig, parameters: Names, device: DeviceKind) -> nn.Cell:
    block = getattr(normalization, device.layer_norm)
    return block(parameters[f"{name}.weight"], parameters[f"{name}.bias"], config.layer_norm_eps)
