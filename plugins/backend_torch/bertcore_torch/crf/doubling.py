"""Losses and gradients on any device, in a number of operations that grows with the logarithm of the length.

The tree (:mod:`bertcore_torch.crf.tree`) is built from the leaves up, and what comes before and after each node is
handed down again. From both a leaf has the probability of each pair of tags at its place, the *marginals*, and the
gradient is marginals less gold: no gradient goes through the tree, there is no loop over rows, and nothing comes from
the device.

                   before |  node   | after            handed down to
    left child     before |  left   | right * after
    right child    before * left    |  right  | after
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from bertcore.contracts.tagging import LegalTransitions
from torch import Tensor, nn

from bertcore_torch.crf.sequences import Sequences
from bertcore_torch.crf.tree import as_counted, interleave, leaves_of, legal_tensors, log_product, restricted, tree
from bertcore_torch.crf.values import Results, Scores


@dataclass(frozen=True)
class Marginals:
    """The distribution over all tag sequences of each row, and the logarithm of their sum in parts.

    The sum is that of the first position, of each step, and of the end: one number per position, so that nothing large
    is subtracted from something large.

    Attributes:
        tags: probability of each tag ``[rows, longest, tags]``.
        pairs: of each pair of neighbours ``[rows, longest - 1, from, to]``.
        first_sum: ``[rows]``.
        step_sums: ``[rows, longest - 1]``.
        last_sum: ``[rows]``.
    """

    tags: Tensor
    pairs: Tensor
    first_sum: Tensor
    step_sums: Tensor
    last_sum: Tensor


def losses_by_doubling(
    emissions: Tensor, scores: Scores, tags: Tensor, sequences: Sequences, legal: LegalTransitions | None
) -> Results:
    """Losses and gradients; arguments as those of :meth:`ConditionalRandomField.losses`."""
    rows, size, longest = len(sequences.lengths), len(scores[1]), sequences.longest
    if not longest:
        empty = emissions.new_zeros
        return empty(rows), empty(emissions.shape), empty(rows, size, size), empty(rows, size), empty(rows, size)
    scores = as_counted(scores)
    padded = sequences.pad(emissions.to(scores[0].dtype))
    counts = sequences.counts
    steps = torch.arange(longest, device=emissions.device)
    present, inner = (steps < counts[:, None]).to(padded.dtype), steps[1:] < counts[:, None]
    follow = inner.to(padded.dtype)
    marginals = _marginals(padded, restricted(scores, legal), inner)

    gold = sequences.pad(tags.long())
    final = gold.gather(1, (counts[:, None] - 1).clamp(min=0))[:, 0]
    difference = _difference(marginals, padded, scores, gold, final, follow)

    one_hot = nn.functional.one_hot(gold, size).to(padded.dtype)
    tag_gradient = (marginals.tags - one_hot) * present[:, :, None]
    uses = padded.new_zeros(rows, size * size).scatter_add(1, gold[:, :-1] * size + gold[:, 1:], follow)
    pair_gradient = (marginals.pairs * follow[:, :, None, None]).sum(1) - uses.view(rows, size, size)
    # Behind the last position the identity carries its tag on to the last step.
    end_gradient = marginals.tags[:, -1] - nn.functional.one_hot(final, size)

    losses, weight = difference, torch.ones_like(difference)
    if legal is not None:
        pairs_legal, start_legal, end_legal = legal_tensors(legal, emissions.device)
        illegal = ~(start_legal[gold[:, 0]] & end_legal[final])
        illegal |= (inner & ~pairs_legal[gold[:, :-1], gold[:, 1:]]).any(1)
        losses = torch.where(illegal, nn.functional.softplus(difference), difference)
        weight = torch.where(illegal, difference.sigmoid(), weight)
    filled = counts > 0
    losses, weight = losses.masked_fill(~filled, 0.0), weight.masked_fill(~filled, 0.0)
    return (
        losses.float(),
        sequences.gather(tag_gradient * weight[:, None, None]).float(),
        (pair_gradient * weight[:, None, None]).float(),
        (tag_gradient[:, 0] * weight[:, None]).float(),
        (end_gradient * weight[:, None]).float(),
    )


def _marginals(padded: Tensor, scores: Scores, inner: Tensor) -> Marginals:
    """What all tag sequences of each row give, from emissions ``[rows, longest, tags]``."""
    rows, longest, size = padded.shape
    transitions, start, end = scores
    first = start + padded[:, 0]
    first_sum = first.logsumexp(1)
    before = first - first_sum[:, None]
    if longest == 1:
        last = before + end
        pairs, step_sums = padded.new_zeros(rows, 0, size, size), padded.new_zeros(rows, 0)
        return Marginals(last.softmax(1)[:, None], pairs, first_sum, step_sums, last.logsumexp(1))
    leaves = leaves_of(padded, transitions, inner)
    befores, afters = _hand_down(tree(leaves, log_product), before, end.expand(rows, size), longest - 1)
    joint = befores[:, :, :, None] + leaves
    step_sums = joint.flatten(2).logsumexp(2)
    last = joint[:, -1].logsumexp(1) - step_sums[:, -1:]
    pairs = (joint + afters[:, :, None, :]).flatten(2).softmax(2).view_as(leaves)
    tags = torch.cat((pairs[:, :1].sum(3), pairs.sum(2)), dim=1)
    return Marginals(tags, pairs, first_sum, step_sums, (last + end).logsumexp(1))


def _difference(
    marginals: Marginals, padded: Tensor, scores: Scores, gold: Tensor, final: Tensor, follow: Tensor
) -> Tensor:
    """The sum over all tag sequences of each row, less the score of its gold one, ``[rows]``."""
    transitions, start, end = scores
    positions = padded.gather(2, gold[:, :, None])[:, :, 0]
    ends = marginals.first_sum - start[gold[:, 0]] - positions[:, 0] + marginals.last_sum - end[final]
    following = transitions[gold[:, :-1], gold[:, 1:]] + positions[:, 1:]
    return ends + ((marginals.step_sums - following) * follow).sum(1)


def _hand_down(levels: list[Tensor], before: Tensor, after: Tensor, leaves: int) -> tuple[Tensor, Tensor]:
    """What comes before and after each leaf, ``[rows, leaves, tags]`` each, from what comes before and after all.

    The former is the logarithm of a distribution, the latter holds up to a constant.
    """
    before, after = before[:, None], after[:, None]
    for level in reversed(levels[:-1]):
        nodes = level.shape[1] // 2
        before, after = before[:, :nodes], after[:, :nodes]
        through = (before[:, :, :, None] + level[:, 0::2]).logsumexp(2)
        behind = (level[:, 1::2] + after[:, :, None, :]).logsumexp(3)
        before = interleave(before, through - through.logsumexp(2, keepdim=True))
        after = interleave(behind - behind.amax(2, keepdim=True), after)
    return before[:, :leaves], after[:, :leaves]
