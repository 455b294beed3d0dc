"""The best tags on any device, in a number of operations that grows with the logarithm of the length."""

from __future__ import annotations

import torch
from bertcore.contracts.tagging import LegalTransitions
from torch import Tensor

from bertcore_torch.crf.sequences import Sequences
from bertcore_torch.crf.tree import as_counted, best_product, interleave, leaves_of, restricted, tree
from bertcore_torch.crf.values import Scores


def decode_by_doubling(
    emissions: Tensor,
    scores: Scores,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> Tensor:
    """The best tags in a number of operations that grows with the logarithm of the length, on any device.

    The tree holds the best scores between any two tags; then, from the top down, each matrix with known tags at both
    ends tells the tag in its middle.
    """
    rows, longest = len(sequences.lengths), sequences.longest
    if not longest:
        return torch.zeros(0, dtype=torch.int32, device=emissions.device)
    allowed = restricted(as_counted(scores), legal)
    padded = sequences.pad(emissions.to(allowed[0].dtype))
    first = allowed[1] + padded[:, 0]
    if longest == 1:
        return sequences.gather((first + allowed[2]).argmax(1)[:, None]).int()
    inner = torch.arange(1, longest, device=emissions.device) < sequences.counts[:, None]
    levels = tree(leaves_of(padded, allowed[0], inner), best_product)
    size = padded.shape[2]
    ends = (first[:, :, None] + levels[-1][:, 0] + allowed[2]).flatten(1).argmax(1)
    first_tag = ends // size
    left, right = first_tag[:, None], (ends % size)[:, None]
    for level in reversed(levels[:-1]):
        nodes = level.shape[1] // 2
        left, right = left[:, :nodes], right[:, :nodes]
        choice = (rows, nodes, 1, size)
        to_middle = level[:, 0::2].gather(2, left[:, :, None, None].expand(choice))[:, :, 0]
        from_middle = level[:, 1::2].gather(3, right[:, :, None, None].expand(rows, nodes, size, 1))[:, :, :, 0]
        middle = (to_middle + from_middle).argmax(2)
        left, right = interleave(left, middle), interleave(middle, right)
    return sequences.gather(torch.cat((first_tag[:, None], right[:, : longest - 1]), dim=1)).int()
