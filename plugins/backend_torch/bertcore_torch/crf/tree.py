"""Products of neighbouring steps, level by level: what losses and best tags by doubling have in common.

A leaf is a matrix: the score of each tag at a position after each tag before it. Two neighbours multiply to the scores
from before the first to the second, whatever lies between; so a chain of n leaves is one matrix after log2(n) levels.
Of five leaves, with an identity (-) where a level has an odd number:

    level 3    abcde
    level 2    abcd           e-
    level 1    ab     cd      e      -
    leaves     a  b   c  d    e  -

A product is a sum over the tag in the middle: of exponentials, less the largest of each so that nothing overflows
(exact for every finite score), or the best one alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from bertcore.contracts.tagging import LegalTransitions
from bertcore.numerics.crf import SCORE_FLOOR
from torch import Tensor

from bertcore_torch.crf.values import Scores

# Devices that have float64.
_WIDE = ("cpu", "cuda")
# Most values that a product of matrices spreads out at a time.
_MOST_VALUES = 1 << 25

Product = Callable[[Tensor, Tensor], Tensor]


def leaves_of(padded: Tensor, transitions: Tensor, inner: Tensor) -> Tensor:
    """Scores of each step from tag to tag ``[rows, longest - 1, from, to]``; beyond a row's end the identity."""
    steps = transitions + padded[:, 1:, None, :]
    return torch.where(inner[:, :, None, None], steps, identity(padded))


def identity(like: Tensor) -> Tensor:
    """The matrix that changes nothing, ``[tags, tags]``."""
    size = like.shape[-1]
    return torch.full((size, size), SCORE_FLOOR, dtype=like.dtype, device=like.device).fill_diagonal_(0.0)


def tree(leaves: Tensor, product: Product) -> list[Tensor]:
    """Products of neighbours ``[rows, nodes, tags, tags]``, level by level up to one; less the largest value each.

    A level of an odd number of nodes ends with an identity more, unless it is the last.
    """
    levels = [leaves]
    while levels[-1].shape[1] > 1:
        if levels[-1].shape[1] % 2:
            padding = identity(leaves).expand(len(leaves), 1, -1, -1)
            levels[-1] = torch.cat((levels[-1], padding), dim=1)
        merged = product(levels[-1][:, 0::2], levels[-1][:, 1::2])
        levels.append(merged - merged.amax((2, 3), keepdim=True))
    return levels


def log_product(left: Tensor, right: Tensor) -> Tensor:
    """Sums over the tag in the middle."""
    return _product(left, right, lambda sums: sums.logsumexp(-2))


def best_product(left: Tensor, right: Tensor) -> Tensor:
    """The best tag in the middle alone."""
    return _product(left, right, lambda sums: sums.amax(-2))


def _product(left: Tensor, right: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Products of matrices whose sums are ``reduce`` and whose products are sums, some of them at a time."""
    size = left.shape[-1]
    at_a_time = max(1, _MOST_VALUES // size**3)
    pairs = zip(left.flatten(0, 1).split(at_a_time), right.flatten(0, 1).split(at_a_time), strict=True)
    return torch.cat([reduce(a[:, :, :, None] + b[:, None, :, :]) for a, b in pairs]).view_as(left)


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """First and second child of each node, one after the other along the nodes."""
    return torch.stack((first, second), dim=2).flatten(1, 2)


def as_counted(scores: Scores) -> Scores:
    """The scores as they count, in float64 where the device has it."""
    dtype = torch.float64 if scores[0].device.type in _WIDE else torch.float32
    transitions, start, end = (score.detach().to(dtype).clamp(min=SCORE_FLOOR) for score in scores)
    return transitions, start, end


def restricted(scores: Scores, legal: LegalTransitions | None) -> Scores:
    """The floor in the place of what is illegal."""
    if legal is None:
        return scores
    pairs, start, end = legal_tensors(legal, scores[0].device)
    return (
        scores[0].masked_fill(~pairs, SCORE_FLOOR),
        scores[1].masked_fill(~start, SCORE_FLOOR),
        scores[2].masked_fill(~end, SCORE_FLOOR),
    )


def legal_tensors(legal: LegalTransitions, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What may follow, begin and end a sequence, bool, on a device."""
    pairs, start, end = (torch.from_numpy(part).to(device) for part in (legal.pairs, legal.start, legal.end))
    return pairs, start, end
