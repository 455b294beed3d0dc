"""BERT's encoder (Devlin et al., arXiv 1810.04805) as a cell on static positions.

The positions are ``bins`` of one length in a row; all linear layers see them as ``[tokens, hidden]``.

The code of an encoder for this backend is a cell like :class:`Encoder`, with its arguments and its ``construct``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

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
            self.project = _linear(f"{config.prefix}embeddings_project", parameters, device, dropout)
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
        self.query = _linear(f"{stem}attention.self.query", parameters, device, dropout)
        self.key = _linear(f"{stem}attention.self.key", parameters, device, dropout)
        self.value = _linear(f"{stem}attention.self.value", parameters, device, dropout)
        self.attention = getattr(attention, device.attention)(config)
        self.probability_dropout = Dropout(dropout, attention_probabilities(index))
        self.attention_output = _linear(f"{stem}attention.output.dense", parameters, device, dropout)
        self.attention_dropout = Dropout(dropout, attention_output(index))
        self.attention_norm = _layer_norm(f"{stem}attention.output.LayerNorm", config, parameters, device)
        self.intermediate = _linear(f"{stem}intermediate.dense", parameters, device, dropout)
        self.activation = activation.activation_of(config.hidden_act, getattr(activation, device.gelu))
        self.output = _linear(f"{stem}output.dense", parameters, device, dropout)
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


class FusedLayer(nn.Cell):
    """The same of products and of :mod:`bertcore_mindspore.kernels`, which take biases and masks with them."""

    def __init__(
        self, index: int, config: BertConfig, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        from bertcore_mindspore import kernels

        stem = f"{config.prefix}encoder.layer.{index}."

        def branch(*names: str) -> Branch:
            return Branch([f"{stem}{name}" for name in names], parameters, device, dropout)

        self.query_key_value = branch("attention.self.query", "attention.self.key", "attention.self.value")
        self.probability_dropout = Dropout(dropout, attention_probabilities(index))
        self.attention = kernels.RowAttention(config.num_attention_heads, self.probability_dropout.scale)
        self.attention_output = branch("attention.output.dense")
        self.attention_dropout = Dropout(dropout, attention_output(index))
        self.attention_norm = kernels.AddNorm(config.layer_norm_eps, self.attention_dropout.scale)
        self.attention_norm_weight = parameters[f"{stem}attention.output.LayerNorm.weight"]
        self.attention_norm_bias = parameters[f"{stem}attention.output.LayerNorm.bias"]
        self.intermediate = branch("intermediate.dense")
        self.activation = activation.fused_activation_of(config.hidden_act)
        self.output = branch("output.dense")
        self.output_dropout = Dropout(dropout, feed_forward_output(index))
        self.output_norm = kernels.AddNorm(config.layer_norm_eps, self.output_dropout.scale)
        self.output_norm_weight = parameters[f"{stem}output.LayerNorm.weight"]
        self.output_norm_bias = parameters[f"{stem}output.LayerNorm.bias"]
        self.no_mask = kernels.no_mask()

        self.gather = ops.Gather()

    def construct(
        self,
        hidden: Tensor,
        row_table: Tensor,
        masks: tuple[Tensor, ...],
        forward_pass: int,
        first_tokens: Tensor | None = None,
    ) -> Tensor:
        """Maps ``[tokens, hidden]`` to the same shape, or to ``[rows, hidden]`` of ``first_tokens`` alone."""
        values, bias = self.query_key_value(hidden, masks, forward_pass)
        keep = self._keep(self.probability_dropout, masks, forward_pass)
        context = self.attention(values, bias, row_table, keep)[0]
        if first_tokens is not None:
            context, hidden = self.gather(context, first_tokens, 0), self.gather(hidden, first_tokens, 0)
        values, bias = self.attention_output(context, masks, forward_pass)
        keep = self._keep(self.attention_dropout, masks, forward_pass, first_tokens)
        hidden = self.attention_norm(values, bias, keep, hidden, self.attention_norm_weight, self.attention_norm_bias)[
            0
        ]
        values, bias = self.intermediate(hidden, masks, forward_pass)
        values, bias = self.output(self.activation(values, bias), masks, forward_pass)
        keep = self._keep(self.output_dropout, masks, forward_pass, first_tokens)
        return self.output_norm(values, bias, keep, hidden, self.output_norm_weight, self.output_norm_bias)[0]

    def _keep(
        self, dropout: Dropout, masks: tuple[Tensor, ...], forward_pass: int, first_tokens: Tensor | None = None
    ) -> Tensor:
        if not dropout.active:
            return self.no_mask
        mask = dropout.mask(masks, forward_pass)
        return mask if first_tokens is None else self.gather(mask, first_tokens, 0)


class Branch(nn.Cell):
    """Linear layers side by side, whose bias is left to the kernel that reads them.

    Where one of them has an adapter, its bias is added here, and the kernel is told of none.
    """

    def __init__(self, names: Sequence[str], parameters: Names, device: DeviceKind, dropout: DropoutPlan) -> None:
        super().__init__(auto_prefix=False)
        from bertcore_mindspore import kernels

        layers = [_linear(name, parameters, device, dropout) for name in names]
        self.is_adapted = any(not isinstance(layer, Linear) for layer in layers)
        self.layers = nn.CellList(layers if self.is_adapted else [], auto_prefix=False)
        self.weights = ParameterTuple([parameters[f"{name}.weight"] for name in names])
        self.biases = ParameterTuple([parameters[f"{name}.bias"] for name in names])
        self.product = _product(device)
        self.absent = kernels.absent()
        self.below = ops.Concat()
        self.beside = ops.Concat(1)

    def construct(self, values: Tensor, masks: tuple[Tensor, ...], forward_pass: int) -> tuple[Tensor, Tensor]:
        """Maps ``[rows, in]`` to ``[rows, out]``, without the bias that is returned with it."""
        if self.is_adapted:
            results = ()
            for layer in self.layers:
                results = (*results, layer(values, masks, forward_pass))
            return results[0] if len(results) == 1 else self.beside(results), self.absent
        if len(self.weights) == 1:
            return self.product(values, self.weights[0]), self.biases[0]
        return self.product(values, self.below(self.weights)), self.below(self.biases)


class Encoder(nn.Cell):
    """The embeddings and all layers.

    Args:
        config: sizes and constants.
        parameters: canonical name to parameter.
        device: which building blocks to use.
        dtype: what the layers compute in; parameters and LayerNorm stay float32.
        dropout: which masks are applied.

    Attributes:
        first_only: whether only the first token of each row is wanted. It is set before the graph is compiled, and
            what cannot spare the others' computation may leave it False.
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
        layer = globals()[device.layer]
        self.fused = device.fused
        self.layers = nn.CellList(
            [layer(index, config, parameters, device, dropout) for index in range(config.num_hidden_layers)],
            auto_prefix=False,
        )
        self.attention = getattr(attention, device.attention)(config)
        self.dtype = dtype
        self.first_only = False
        self.cast = ops.Cast()

    def construct(self, batch: Inputs, forward_pass: int, embedding_offset: Tensor | None = None) -> Tensor:
        """Returns the hidden states ``[tokens, hidden]``; with ``first_only`` ``[rows, hidden]``."""
        mask = batch["row_table"] if self.fused else self.attention.prepare(batch["blocked"])
        hidden = self.cast(self.embeddings(batch, forward_pass, embedding_offset), self.dtype)
        last = len(self.layers) - 1
        for index in range(len(self.layers)):
            if self.first_only and index == last:
                hidden = self.layers[index](hidden, mask, batch["masks"], forward_pass, batch["first_tokens"])
            else:
                hidden = self.layers[index](hidden, mask, batch["masks"], forward_pass)
        return hidden


def _linear(name: str, parameters: Names, device: DeviceKind, dropout: DropoutPlan) -> nn.Cell:
    linear = Linear(parameters[f"{name}.weight"], parameters[f"{name}.bias"], _product(device))
    return linear if dropout.adapter is None else dropout.adapter.beside(name, linear, parameters, dropout)


def _product(device: DeviceKind) -> nn.Cell:
    if device.products == "operator":
        return ops.MatMul(transpose_b=True)
    from bertcore_mindspore import kernels

    return kernels.Product(device.products == "rounded")


def _layer_norm(name: str, config: BertConfig, parameters: Names, device: DeviceKind) -> nn.Cell:
    weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
    if device.fused:
        return normalization.KernelLayerNorm(weight, bias, config.layer_norm_eps)
    return getattr(normalization, device.layer_norm)(weight, bias, config.layer_norm_eps)
