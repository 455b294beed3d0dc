"""Dropout whose masks depend on nothing but where and when they are used (see :mod:`bertcore.numerics.randomness`).

Where: a *site* is one place of the network at which values are dropped, a number that both backends know it by. BERT
has the embeddings, three in each layer, and the head; a site draws masks of its own in every pass.

    embeddings -> EMBEDDINGS
        layer 0: attention probabilities -> site    attention output -> site    feed-forward output -> site
        layer 1: ...
    head -> HEAD, with a dense layer before it HEAD_DENSE
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from bertcore.numerics import randomness
from torch import Tensor

if TYPE_CHECKING:
    from bertcore_torch.devices import DeviceKind


@dataclass(frozen=True)
class MaskSeed:
    """All that the masks of one forward pass depend on, but for the site.

    Attributes: as the arguments of :func:`bertcore.numerics.randomness.mask_generator`.
    """

    seed: int
    step: int
    micro_batch: int
    rank: int
    forward_pass: int = 0


class Mask(NamedTuple):
    """What a layer is going to ask for.

    Attributes:
        site: which place of the network.
        size: number of values.
        rate: probability of dropping a value.
    """

    site: int
    size: int
    rate: float


class Dropout:
    """All dropout of one forward pass.

    Args:
        mask_seed: determines every mask; None drops nothing.
        source: ``host`` or ``device``, see :class:`bertcore_torch.devices.DeviceKind`.
    """

    def __init__(self, mask_seed: MaskSeed | None = None, source: Literal["host", "device"] = "host") -> None:
        self.mask_seed = mask_seed
        self.source = source
        self._generators: dict[int, np.random.Generator | torch.Generator] = {}

    def active(self, rate: float) -> bool:
        """Whether anything is dropped at this rate."""
        return self.mask_seed is not None and rate > 0

    def prepare(self, masks: Iterable[Mask]) -> None:
        """Is told what the layers are going to ask for, in their order; whoever draws masks one by one ignores it."""

    def keep(self, shape: Sequence[int], site: int, rate: float, like: Tensor) -> Tensor:
        """Draws a mask, 1 where a value is kept and 0 elsewhere; a further call for a site continues its draws.

        Args:
            shape: shape of the mask.
            site: which place of the network.
            rate: probability of dropping a value.
            like: gives the device and the dtype.
        """
        generator = self._generator(site, like.device)
        if isinstance(generator, torch.Generator):
            mask = torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
            return mask.bernoulli_(1 / randomness.keep_scale(rate), generator=generator)
        mask = torch.from_numpy(randomness.keep_mask(generator, shape, rate))
        return mask.to(device=like.device, dtype=like.dtype)

    def key(self, site: int) -> int:
        """63 bits for a kernel that draws its own mask at this site."""
        seed = self._required()
        return randomness.mask_key(seed.seed, seed.step, seed.micro_batch, seed.rank, site, seed.forward_pass)

    def __call__(self, x: Tensor, site: int, rate: float) -> Tensor:
        """Drops values of ``x`` and scales the others."""
        if not self.active(rate):
            return x
        return x * self.keep(x.shape, site, rate, x).mul_(randomness.keep_scale(rate))

    def add(self, residual: Tensor, x: Tensor, site: int, rate: float) -> Tensor:
        """Returns ``residual`` plus ``x`` with some of its values dropped."""
        if not self.active(rate):
            return residual + x
        mask = self.keep(x.shape, site, rate, x)
        return _DropAndAdd.apply(residual, x, mask, randomness.keep_scale(rate))

    def _required(self) -> MaskSeed:
        assert self.mask_seed is not None
        return self.mask_seed

    def _generator(self, site: int, device: torch.device) -> np.random.Generator | torch.Generator:
        if site not in self._generators:
            self._generators[site] = (
                torch.Generator(device).manual_seed(self.key(site))
                if self.source == "device"
                else self._host_generator(site)
            )
        return self._generators[site]

    def _host_generator(self, site: int) -> np.random.Generator:
        seed = self._required()
        return randomness.mask_generator(seed.seed, seed.step, seed.micro_batch, seed.rank, site, seed.forward_pass)


class _DropAndAdd(torch.autograd.Function):
    """``residual + x * mask * scale`` in one pass over memory."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return torch.addcmul(residual, x, mask, value=scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        (mask,) = ctx.saved_tensors
        return gradient, (gradient * mask).mul_(ctx.scale), None, None


class FusedDropout(Dropout):
    """The same masks from the fused kernel, of a whole pass at once, so that all threads draw."""

    def __init__(self, mask_seed: MaskSeed | None = None) -> None:
        super().__init__(mask_seed)
        # By site: what draws it, and which of its sites it is.
        self._streams: dict[int, tuple[randomness.KeepMasks, int]] = {}
        self._prepared: dict[int, Tensor] = {}

    def prepare(self, masks: Iterable[Mask]) -> None:
        """Draws all of them."""
        asked = [mask for mask in masks if self.active(mask.rate)]
        streams = self._begin(asked)
        for index, (mask, drawn) in enumerate(zip(asked, streams.draw([[one.size] for one in asked]), strict=True)):
            self._streams[mask.site] = streams, index
            self._prepared[mask.site] = torch.from_numpy(drawn)

    def bools(self, mask: Mask) -> Tensor | None:
        """Returns the next values of a site, ``[size]``; None where nothing is dropped."""
        if not self.active(mask.rate):
            return None
        prepared = self._prepared.pop(mask.site, None)
        if prepared is None:
            streams, index = self._streams.get(mask.site) or (self._begin([mask]), 0)
            self._streams[mask.site] = one, _ = streams.of(index), 0
            prepared = torch.from_numpy(one.draw([[mask.size]])[0])
        assert len(prepared) == mask.size
        return prepared

    def keep(self, shape: Sequence[int], site: int, rate: float, like: Tensor) -> Tensor:
        """Draws a mask, 1 where a value is kept and 0 elsewhere, of the dtype of ``like``."""
        mask = self.bools(Mask(site, math.prod(shape), rate))
        assert mask is not None
        return mask.view(tuple(shape)).to(like.dtype)

    def _begin(self, masks: Sequence[Mask]) -> randomness.KeepMasks:
        return randomness.KeepMasks([(self._host_generator(mask.site), mask.rate) for mask in masks])


def dropout_of(kind: DeviceKind, mask_seed: MaskSeed | None) -> Dropout:
    """Returns the dropout of a pass on a device."""
    return FusedDropout(mask_seed) if kind.fused_layers else Dropout(mask_seed, kind.masks)
