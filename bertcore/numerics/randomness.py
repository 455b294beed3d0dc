"""Dropout masks without any state: each is a pure function of where and when it is used.

A generator is made anew for every mask from (seed, step, micro-batch, rank, site, forward pass), so that a run that
is stopped and resumed draws the same masks as one that is not, on every backend, and nothing needs to be saved.

A site is a stable integer for one place of the network. It depends on nothing but the layer and the place:

==================================  ===========
the embeddings' output              0
in front of the head's last layer   1
in front of a head's dense layer    2
the whole of a foreign encoder      3
attention probabilities of layer n  4 n + 4
attention output of layer n         4 n + 5
feed-forward output of layer n      4 n + 6
input of an adapter                 from 2 ** 31 on, by the name of the layer that it stands beside
==================================  ===========

A foreign encoder is one whose code is not bertcore's own: it draws from a generator that is seeded for each pass.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertcore.numerics.kernels import find_kernels

EMBEDDINGS = 0
HEAD = 1
HEAD_DENSE = 2
FOREIGN_ENCODER = 3

_LEVELS = 1 << 16


def attention_probabilities(layer: int) -> int:
    """The site of a layer's attention probabilities."""
    return 4 * layer + 4


def attention_output(layer: int) -> int:
    """The site of a layer's attention output, before the residual is added."""
    return 4 * layer + 5


def feed_forward_output(layer: int) -> int:
    """The site of a layer's feed-forward output, before the residual is added."""
    return 4 * layer + 6


def adapter_input(name: str) -> int:
    """The site of what an adapter reads beside a linear layer.

    Args:
        name: canonical name of the layer, of whatever encoder: so it needs no number of its own.
    """
    return (1 << 31) | (zlib.crc32(name.encode()) >> 1)


def mask_generator(
    seed: int, step: int, micro_batch: int, rank: int, site: int, forward_pass: int = 0
) -> np.random.Generator:
    """Returns a new generator for the mask of one site.

    Args:
        seed: the run's seed, from 0.
        step: optimizer steps done before this one.
        micro_batch: which micro-batch of the step.
        rank: which process of those that train together.
        site: which place of the network, see the module's table.
        forward_pass: which pass over the same micro-batch, for objectives that need several.
    """
    # Not one stream that all sites share: the backends reach the sites in another order and another number of pieces
    # (torch by buckets, MindSpore by calls), and a stream would hand the same bits to another place.
    # SFC64 is numpy's fastest generator. That the streams of neighbouring steps have nothing in common is the work of
    # the hash in SeedSequence, not of the generator.
    return np.random.Generator(np.random.SFC64(_sequence(seed, step, micro_batch, rank, site, forward_pass)))


def mask_key(seed: int, step: int, micro_batch: int, rank: int, site: int, forward_pass: int = 0) -> int:
    """Returns 63 bits with which a device's own counter-based generator is seeded; arguments as above."""
    state = _sequence(seed, step, micro_batch, rank, site, forward_pass).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))  # torch takes a signed seed


def keep_mask(generator: np.random.Generator, shape: Sequence[int], rate: float) -> NDArray[np.bool_]:
    """Draws which values are kept, with 16 random bits for each.

    Args:
        generator: from :func:`mask_generator`.
        shape: shape of the mask.
        rate: probability of dropping a value, at least 0 and below 1; it is rounded to a multiple of 1/65536.

    Raises:
        ValueError: the rate is out of range.
    """
    # A comparison of 16 bits decides as well as one of a float64, and costs a quarter of the random bits:
    #
    #     one draw of 64 bits    | 16 | 16 | 16 | 16 |    four values of the mask
    #     rate 0.1               dropped below level 6554 of 65536, so in truth at 0.100006
    #
    # keep_scale divides by the rounded share, so that the expectation is exact, and the rate is what is rounded.
    count = math.prod(shape)
    words = generator.integers(0, 1 << 64, size=(count + 3) // 4, dtype=np.uint64)
    return (words.view(np.uint16)[:count] >= _dropped_levels(rate)).reshape(tuple(shape))


class KeepMasks:
    """The masks of several sites at once, on all threads where the compiled kernels are.

    Args:
        streams: of each site its generator, which is not used elsewhere any more, and the probability of dropping.
    """

    def __init__(self, streams: Sequence[tuple[np.random.Generator, float]]) -> None:
        self._streams = streams
        self._kernels, _ = find_kernels()
        self._levels = np.array([_dropped_levels(rate) for _, rate in streams], dtype=np.int64)
        if self._kernels is not None and streams:
            states = [generator.bit_generator.state["state"]["state"] for generator, _ in streams]
            self._states = np.array(states, dtype=np.uint64)

    def of(self, index: int) -> KeepMasks:
        """Those of one site alone, which go on where the site has come to; the site is not drawn from here any more."""
        one = KeepMasks(self._streams[index : index + 1])
        if self._kernels is not None:
            one._states = self._states[index : index + 1]
        return one

    def draw(self, shapes: Sequence[Sequence[int]]) -> list[NDArray[np.bool_]]:
        """Draws a mask for each site: the values that :func:`keep_mask` draws, and a further call continues them.

        Args:
            shapes: of the masks, in the order of the streams.
        """
        if self._kernels is None or not self._streams:
            return [
                keep_mask(generator, shape, rate)
                for (generator, rate), shape in zip(self._streams, shapes, strict=True)
            ]
        sizes = np.array([math.prod(shape) for shape in shapes], dtype=np.int64)
        masks = np.empty(sizes.sum(), dtype=np.bool_)
        self._kernels.call_arrays("keep_masks", [self._states, self._levels, sizes, masks])
        pieces = np.split(masks, np.cumsum(sizes)[:-1])
        return [piece.reshape(tuple(shape)) for piece, shape in zip(pieces, shapes, strict=True)]


def keep_scale(rate: float) -> float:
    """Returns the factor for kept values that keeps the expectation: one over the share that is really kept.

    Raises:
        ValueError: the rate is out of range.
    """
    return _LEVELS / (_LEVELS - _dropped_levels(rate))


def _dropped_levels(rate: float) -> int:
    levels = round(rate * _LEVELS)
    if not 0 <= levels < _LEVELS:
        raise ValueError(f"a dropout rate lies between 0 and 1, not at {rate}")
    return levels


def _sequence(seed: int, *position: int) -> np.random.SeedSequence:
    # numpy cuts integers into words of 32 bits and joins them: a seed beyond 32 bits would push the step to the next
    # place. So the seed always fills two words, and no two positions share their words.
    return np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32, *position])
