"""Dropout masks, drawn on the host and fed to the compiled graph as inputs.

MindSpore's random state cannot be restored on a CPU, and applying a given mask is several times faster there than
its Dropout. Each mask is a pure function of (seed, step, micro-batch, rank, site, forward pass). A *site* is one place
of the network at which values are dropped, a number that both backends know it by: the embeddings, three in each layer
(attention probabilities, attention output, feed-forward output), and the head.

A compiled graph takes the masks as inputs, one behind the other, pass by pass:

    masks      pass 0: EMBEDDINGS, layer 0, 0, 0, layer 1, ..., HEAD | pass 1: EMBEDDINGS, ...
    position           0           1        2  3  4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.batch import Per
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.training_step import StepContext
from bertcore.numerics.randomness import (
    EMBEDDINGS,
    HEAD,
    HEAD_DENSE,
    KeepMasks,
    attention_output,
    attention_probabilities,
    feed_forward_output,
    keep_scale,
    mask_generator,
)
from bertcore_mindspore.rows import PackedRows

if TYPE_CHECKING:
    from bertcore_mindspore.adapters import LoraLinears


@dataclass(frozen=True)
class DropoutPlan:
    """Which masks a compiled step takes, in order.

    Attributes:
        config: the rates.
        head_per: whose hidden states the head drops: of each ``row`` (its first token), of each ``token``, or None
            where it drops none.
        active: False where nothing is dropped; there are no masks then.
        adapter: the code of an adapter, which may drop what it reads.
        as_bytes: whether a mask is uint8, 1 where a value is kept, and not float32 with the keeping scale there.
    """

    config: BertConfig
    head_per: Per | None
    active: bool
    adapter: LoraLinears | None = None
    as_bytes: bool = False

    @cached_property
    def rates(self) -> dict[int, float]:
        """Site to rate, of the sites that drop anything, in the order of the masks."""
        config = self.config
        rates = {EMBEDDINGS: config.hidden_dropout_prob}
        for layer in range(config.num_hidden_layers):
            rates[attention_probabilities(layer)] = config.attention_probs_dropout_prob
            rates[attention_output(layer)] = config.hidden_dropout_prob
            rates[feed_forward_output(layer)] = config.hidden_dropout_prob
        if self.head_per == "row" and config.head_variant == "dense":
            rates[HEAD_DENSE] = config.head_dropout_prob
        if self.head_per is not None:
            rates[HEAD] = config.head_dropout_prob
        if self.adapter is not None:
            rates |= {site: rate for site, (rate, _) in self.adapter.masks.items()}
        return {site: rate for site, rate in rates.items() if self.active and rate > 0}

    def position(self, site: int) -> int | None:
        """Place of a site's mask among those of one pass, or None where nothing is dropped."""
        return list(self.rates).index(site) if site in self.rates else None

    def mask_shape(self, site: int, rows: PackedRows) -> tuple[int, ...]:
        """Shape of a site's mask for the rows of a call; of attention probabilities it has those within rows alone."""
        shape = rows.shape
        if self.adapter is not None and site in self.adapter.masks:
            return (shape.tokens, self.adapter.masks[site][1])
        if site in (HEAD, HEAD_DENSE):
            return (shape.rows if self.head_per == "row" else shape.tokens, self.config.hidden_size)
        if site == EMBEDDINGS:
            return (shape.tokens, self.config.embedding_width)
        if self.drops_probabilities(site):
            return (rows.mask_size(self.config.num_attention_heads),)
        return (shape.tokens, self.config.hidden_size)

    def drops_probabilities(self, site: int) -> bool:
        """Whether it is attention probabilities that are dropped at a site."""
        layers = range(self.config.num_hidden_layers)
        return site in {attention_probabilities(layer) for layer in layers}

    def in_shape(self, site: int, mask: NDArray[np.generic], rows: PackedRows) -> NDArray[np.generic]:
        """What a graph of the call's static shape takes for a mask."""
        if not self.drops_probabilities(site):
            return mask
        heads, shape = self.config.num_attention_heads, rows.shape
        if not self.as_bytes:
            return rows.mask_of_bins(mask, heads)
        padded = np.empty(heads * shape.tokens * shape.length, dtype=mask.dtype)  # no row table leads behind the mask
        padded[: mask.size] = mask
        return padded


class MaskSource:
    """Draws the masks of one micro-batch, call by call.

    Args:
        plan: which masks a step takes.
        context: step, seed and rank.
        micro_batch: index of the micro-batch in its step.
        forward_passes: numbers of the passes, each with masks of its own.
    """

    def __init__(
        self, plan: DropoutPlan, context: StepContext, micro_batch: int, forward_passes: Sequence[int]
    ) -> None:
        self._plan = plan
        # One generator for each site serves all calls of the micro-batch, one after the other.
        generators = [
            (site, rate, mask_generator(context.seed, context.step, micro_batch, context.rank, site, forward_pass))
            for forward_pass in forward_passes
            for site, rate in plan.rates.items()
        ]
        self._streams = KeepMasks([(generator, rate) for _, rate, generator in generators])
        self._sites = [site for site, _, _ in generators]
        self._scales = [keep_scale(rate) for _, rate, _ in generators]

    def draw(self, rows: PackedRows) -> list[NDArray[np.generic]]:
        """Returns the masks of the next call: 0 where a value is dropped, and 1 or the keeping scale elsewhere."""
        plan = self._plan
        drawn = self._streams.draw([plan.mask_shape(site, rows) for site in self._sites])
        masks = [plan.in_shape(site, mask, rows) for site, mask in zip(self._sites, drawn, strict=True)]
        if plan.as_bytes:
            return [mask.view(np.uint8) for mask in masks]
        return [
            np.multiply(mask, np.float32(scale), dtype=np.float32)
            for mask, scale in zip(masks, self._scales, strict=True)
        ]


class Dropout(nn.Cell):
    """Multiplies with the mask of one site, or does nothing where the plan has none."""

    def __init__(self, plan: DropoutPlan, site: int) -> None:
        super().__init__(auto_prefix=False)
        position = plan.position(site)
        self.active = position is not None
        self.position = position or 0
        self.per_pass = len(plan.rates)
        self.scale = keep_scale(plan.rates[site]) if self.active else 1.0
        self.as_bytes = plan.as_bytes
        self.cast = ops.Cast()

    def construct(self, values: Tensor, masks: Sequence[Tensor], forward_pass: int) -> Tensor:
        """Applies the mask to values of the same shape."""
        if not self.active:
            return values
        mask = self.cast(self.mask(masks, forward_pass), values.dtype)
        return values * (mask * self.scale) if self.as_bytes else values * mask

    def mask(self, masks: Sequence[Tensor], forward_pass: int) -> Tensor:
        """The mask of this site, of one that is active."""
        return masks[forward_pass * self.per_pass + self.position]
