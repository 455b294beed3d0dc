"""The transformer layers of the packed encoder, of torch's own operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from bertcore.contracts.bert_config import BertConfig
from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch.attention import bucket_attention, first_token_attention, nested_attention
from bertcore_torch.devices import DeviceKind
from bertcore_torch.dropout import Dropout, Mask
from bertcore_torch.linear import Linear, QueryKeyValue
from bertcore_torch.rows import PackedRows

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
}


class PackedLayer(nn.Module):
    """One transformer layer over ``[tokens, hidden]``."""

    def __init__(self, config: BertConfig, index: int, kind: DeviceKind) -> None:
        super().__init__()
        hidden, intermediate = config.hidden_size, config.intermediate_size
        self.config = config
        self.index = index
        self.kind = kind
        self.activation = ACTIVATIONS[config.hidden_act]
        self.query_key_value = QueryKeyValue(hidden)
        self.attention_output = Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.intermediate = Linear(hidden, intermediate)
        self.output = Linear(intermediate, hidden)
        self.output_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor, rows: PackedRows, dropout: Dropout, first_only: bool) -> Tensor:
        """Returns ``[tokens, hidden]``, or ``[rows, hidden]`` where only first tokens are asked for."""
        context = self._attend(hidden, rows, dropout, first_only)
        if first_only:
            hidden = hidden.index_select(0, rows.offsets[:-1])
        site = randomness.attention_output(self.index)
        hidden = self._add_norm(self.attention_output, context, hidden, self.attention_norm, dropout, site)
        site = randomness.feed_forward_output(self.index)
        return self._add_norm(self.output, self._activate(hidden), hidden, self.output_norm, dropout, site)

    def masks(self, rows: PackedRows, first_only: bool) -> list[Mask]:
        """What dropout masks the layer is going to ask for in one piece each."""
        return []

    def _attend(self, hidden: Tensor, rows: PackedRows, dropout: Dropout, first_only: bool) -> Tensor:
        heads, rate = self.config.num_attention_heads, self.config.attention_probs_dropout_prob
        site = randomness.attention_probabilities(self.index)
        if self.kind.attention == "nested":
            context = nested_attention(self.query_key_value(hidden), rows, heads, dropout, site, rate)
            return context.index_select(0, rows.offsets[:-1]) if first_only else context
        if not first_only:
            return bucket_attention(self.query_key_value(hidden), rows, heads, dropout, site, rate)
        query, key_value = self.query_key_value(hidden, rows.offsets[:-1])
        return first_token_attention(query, key_value, rows, heads, dropout, site, rate)

    def _activate(self, hidden: Tensor) -> Tensor:
        return self.activation(self.intermediate(hidden))

    def _add_norm(
        self, branch: Linear, x: Tensor, residual: Tensor, norm: nn.LayerNorm, dropout: Dropout, site: int
    ) -> Tensor:
        return norm(dropout.add(residual, branch(x), site, self.config.hidden_dropout_prob))


def layer_class(kind: DeviceKind) -> type[PackedLayer]:
    """The layers that are built of the blocks of a device."""
    if not kind.fused_layers:
        return PackedLayer
    from bertcore_torch.fused_layers import FusedLayer

    return FusedLayer
