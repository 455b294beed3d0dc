"""The same layers by fused kernels, on a CPU."""

from __future__ import annotations

from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch import kernels
from bertcore_torch.dropout import Dropout, FusedDropout, Mask
from bertcore_torch.layers import PackedLayer
from bertcore_torch.linear import Linear
from bertcore_torch.rows import PackedRows


class FusedLayer(PackedLayer):
    """The same by fused kernels: of the products, the biases are left to the kernel behind."""

    def masks(self, rows: PackedRows, first_only: bool) -> list[Mask]:
        """What dropout masks the layer is going to ask for in one piece each."""
        tokens = len(rows.row_of_batch if first_only else rows.token_of_batch)
        attention = [] if first_only else [self._attention_mask(rows)]
        sites = randomness.attention_output(self.index), randomness.feed_forward_output(self.index)
        return attention + [self._hidden_mask(site, tokens * self.config.hidden_size) for site in sites]

    def _attention_mask(self, rows: PackedRows) -> Mask:
        site = randomness.attention_probabilities(self.index)
        return Mask(site, rows.table(self.config.num_attention_heads)[1], self.config.attention_probs_dropout_prob)

    def _hidden_mask(self, site: int, size: int) -> Mask:
        return Mask(site, size, self.config.hidden_dropout_prob)

    def _attend(self, hidden: Tensor, rows: PackedRows, dropout: Dropout, first_only: bool) -> Tensor:
        if first_only:
            return super()._attend(hidden, rows, dropout, first_only)
        assert isinstance(dropout, FusedDropout)
        heads, mask = self.config.num_attention_heads, self._attention_mask(rows)
        keep, scale = dropout.bools(mask), randomness.keep_scale(mask.rate)
        return kernels.attention(*self.query_key_value.product(hidden), rows.table(heads)[0], keep, scale, heads)

    def _activate(self, hidden: Tensor) -> Tensor:
        if self.config.hidden_act != "gelu":
            return super()._activate(hidden)
        return kernels.gelu(*self.intermediate.product(hidden))

    def _add_norm(
        self, branch: Linear, x: Tensor, residual: Tensor, norm: nn.LayerNorm, dropout: Dropout, site: int
    ) -> Tensor:
        assert isinstance(dropout, FusedDropout)
        mask = self._hidden_mask(site, residual.numel())
        keep, scale = dropout.bools(mask), randomness.keep_scale(mask.rate)
        return kernels.add_norm(*branch.product(x), keep, scale, residual, norm)
