"""The conditional random field (:mod:`bertcore.numerics.crf`) on torch.

On a CPU the core computes it: :mod:`bertcore.numerics.crf.host`, by numba or numpy. On an accelerator, which should
not be asked for a few small kernels per position, it is computed here in a number of steps that grows with the
logarithm of the
length: neighbouring positions are multiplied to a tree of matrices of log-sums, and what comes before and after each
position is handed down the tree again. So losses and marginals need no gradient through time, no loop over rows and
nothing from the device. Products are log-sums of exponentials of differences from the largest, exact for every finite
score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import SCORE_FLOOR, host
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Devices that have float64.
_WIDE = ("cpu", "cuda")
# Most values that a product of matrices spreads out at a time.
_MOST_VALUES = 1 << 25

Product = Callable[[Tensor, Tensor], Tensor]
RowGradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Losses ``[rows]``, and the gradients of each row: emissions ``[positions, tags]``, transitions
``[rows, tags, tags]``, start and end ``[rows, tags]``; all float32."""


@dataclass(frozen=True)
class Sequences:
    """Which label positions make up the sequence of each row.

    Attributes:
        lengths: int64 ``[rows]``, label positions of each row, on the host.
        rows: int64 ``[positions]``, the row of each label position.
        kept: bool ``[positions]``, False where a position is absent from its sequence; None where all are there.
    """

    lengths: NDArray[np.int64]
    rows: Tensor
    kept: Tensor | None = None

    @cached_property
    def longest(self) -> int:
        """No sequence is longer."""
        return int(self.lengths.max(initial=0))

    @cached_property
    def present(self) -> Tensor:
        """1 where a position belongs to its sequence and 0 where it is absent, int64 ``[positions]``."""
        return torch.ones_like(self.rows) if self.kept is None else self.kept.long()

    @cached_property
    def counts(self) -> Tensor:
        """Positions of each sequence, int64 ``[rows]``."""
        return self.rows.new_zeros(len(self.lengths)).index_add(0, self.rows, self.present)

    @cached_property
    def places(self) -> Tensor:
        """The place of each position in ``[rows, longest]``, flat; behind the last place where it is absent."""
        step = self.present.cumsum(0) - 1 - (self.counts.cumsum(0) - self.counts)[self.rows]
        places = self.rows * self.longest + step
        nowhere = len(self.lengths) * self.longest
        return places if self.kept is None else places.masked_fill(~self.kept, nowhere)

    def pad(self, values: Tensor) -> Tensor:
        """Spreads ``[positions, ...]`` to ``[rows, longest, ...]``, zero where there is no position."""
        places = len(self.lengths) * self.longest
        padded = values.new_zeros(places + 1, *values.shape[1:]).index_copy(0, self.places, values)
        return padded[:places].view(len(self.lengths), self.longest, *values.shape[1:])

    def gather(self, padded: Tensor) -> Tensor:
        """The way back: ``[positions, ...]``, zero where a position is absent."""
        flat = padded.flatten(0, 1)
        return torch.cat((flat, flat.new_zeros(1, *flat.shape[1:])))[self.places]


class ConditionalRandomField(nn.Module):
    """Losses and best tags of sequences with emissions.

    Class attributes:
        always_float32: the parameters are the float32 masters in every precision.

    Args:
        head: says how many tags there are, and what is forbidden when.
    """

    always_float32 = True

    def __init__(self, head: TokenClassification) -> None:
        super().__init__()
        size = head.output_size
        self.transitions = nn.Parameter(torch.empty(size, size))
        self.start_transitions = nn.Parameter(torch.empty(size))
        self.end_transitions = nn.Parameter(torch.empty(size))
        legal = head.legal_transitions() if head.scheme else None
        self.legal_in_loss = legal if head.forbid == "training" else None
        self.legal_in_decoding = None if head.forbid == "never" else legal

    def losses(self, emissions: Tensor, tags: Tensor, sequences: Sequences) -> Tensor:
        """Returns the loss of each row, float32 ``[rows]``.

        Args:
            emissions: ``[positions, tags]``.
            tags: gold tags ``[positions]``; anything where a position is absent.
            sequences: what belongs together.
        """
        scores = (self.transitions, self.start_transitions, self.end_transitions)
        return _Losses.apply(emissions, *scores, tags, sequences, self.legal_in_loss)

    @torch.no_grad()
    def decode(self, emissions: Tensor, sequences: Sequences) -> Tensor:
        """Returns the best tags of each row, int32 ``[positions]``."""
        scores = (self.transitions, self.start_transitions, self.end_transitions)
        decode = decode_on_host if emissions.device.type == "cpu" else decode_by_doubling
        return decode(emissions.float(), *scores, sequences, self.legal_in_decoding)


class _Losses(torch.autograd.Function):
    """Losses of rows, their gradients computed along with them."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        tags: Tensor,
        sequences: Sequences,
        legal: LegalTransitions | None,
    ) -> Tensor:
        compute = losses_on_host if emissions.device.type == "cpu" else losses_by_doubling
        losses, *gradients = compute(emissions.float(), transitions, start, end, tags, sequences, legal)
        ctx.save_for_backward(sequences.rows, *gradients)
        ctx.emission_dtype = emissions.dtype
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, emissions, transitions, start, end = ctx.saved_tensors
        return (
            (emissions * gradient[rows, None]).to(ctx.emission_dtype),
            (transitions * gradient[:, None, None]).sum(0),
            (start * gradient[:, None]).sum(0),
            (end * gradient[:, None]).sum(0),
            None,
            None,
            None,
        )


def losses_on_host(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    tags: Tensor,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> RowGradients:
    """Losses and gradients by the core, for tensors on a CPU."""
    kept = slice(None) if sequences.kept is None else sequences.kept.numpy()
    result = host.losses(
        emissions.detach().numpy()[kept],
        tags.numpy()[kept],
        _offsets(sequences.counts.numpy()),
        _scores(transitions, start, end),
        legal,
    )
    gradient = torch.zeros_like(emissions)
    gradient[slice(None) if sequences.kept is None else sequences.kept] = torch.from_numpy(result.emissions)
    others = (result.transitions, result.start, result.end)
    return torch.from_numpy(result.losses), gradient, *map(torch.from_numpy, others)


def decode_on_host(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> Tensor:
    """The best tags by the core, for tensors on a CPU."""
    offsets = _offsets(sequences.lengths)
    return torch.from_numpy(host.decode(emissions.numpy(), offsets, _scores(transitions, start, end), legal))


def losses_by_doubling(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    tags: Tensor,
    sequences: Sequences,
    legal: LegalTransitions | None,
) -> RowGradients:
    """Losses and gradients in a number of operations that grows with the logarithm of the length, on any device."""
    rows, size, longest = len(sequences.lengths), len(start), sequences.longest
    if not longest:
        empty = emissions.new_zeros
        return empty(rows), empty(emissions.shape), empty(rows, size, size), empty(rows, size), empty(rows, size)
    scores = _as_counted(emissions, transitions, start, end)
    allowed = _restricted(scores, legal)
    padded = sequences.pad(emissions.to(scores[0].dtype))
    counts = sequences.counts
    steps = torch.arange(longest, device=emissions.device)
    present, inner = (steps < counts[:, None]).to(padded.dtype), steps[1:] < counts[:, None]

    # Sums over all tag sequences.
    leaves = _leaves(padded, allowed[0], inner)
    first = allowed[1] + padded[:, 0]
    first_sum = first.logsumexp(1)
    before = first - first_sum[:, None]
    if longest == 1:
        last, step_sums = before, padded.new_zeros(rows, 0)
        unary = (last + allowed[2]).softmax(1)[:, None]
        pairs = padded.new_zeros(rows, 0, size, size)
    else:
        levels = _tree(leaves, _log_product)
        befores, afters = _hand_down(levels, before, allowed[2].expand(rows, size), longest - 1)
        joint = befores[:, :, :, None] + leaves
        step_sums = joint.flatten(2).logsumexp(2)
        last = joint[:, -1].logsumexp(1) - step_sums[:, -1:]
        pairs = (joint + afters[:, :, None, :]).flatten(2).softmax(2).view_as(leaves)
        unary = torch.cat((pairs[:, :1].sum(3), pairs.sum(2)), dim=1)
    last_sum = (last + allowed[2]).logsumexp(1)

    # The gold sequences: one number per position, so that nothing large is subtracted from something large.
    gold = sequences.pad(tags.long())
    final = gold.gather(1, (counts[:, None] - 1).clamp(min=0))[:, 0]
    position_scores = padded.gather(2, gold[:, :, None])[:, :, 0]
    follow = inner.to(padded.dtype)
    difference = first_sum - scores[1][gold[:, 0]] - position_scores[:, 0] + last_sum - scores[2][final]
    following = scores[0][gold[:, :-1], gold[:, 1:]] + position_scores[:, 1:]
    difference = difference + ((step_sums - following) * follow).sum(1)

    one_hot = nn.functional.one_hot(gold, size).to(padded.dtype)
    unary_gradient = (unary - one_hot) * present[:, :, None]
    uses = padded.new_zeros(rows, size * size).scatter_add(1, gold[:, :-1] * size + gold[:, 1:], follow)
    pair_gradient = (pairs * follow[:, :, None, None]).sum(1) - uses.view(rows, size, size)
    start_gradient = unary_gradient[:, 0]
    # Behind the last position the identity carries its tag on to the last step.
    end_gradient = unary[:, -1] - nn.functional.one_hot(final, size)

    losses, weight = difference, torch.ones_like(difference)
    if legal is not None:
        pairs_legal, start_legal, end_legal = _legal_tensors(legal, emissions.device)
        illegal = ~(start_legal[gold[:, 0]] & end_legal[final])
        illegal |= (inner & ~pairs_legal[gold[:, :-1], gold[:, 1:]]).any(1)
        losses = torch.where(illegal, nn.functional.softplus(difference), difference)
        weight = torch.where(illegal, difference.sigmoid(), weight)
    filled = counts > 0
    losses, weight = losses.masked_fill(~filled, 0.0), weight.masked_fill(~filled, 0.0)
    return (
        losses.float(),
        sequences.gather(unary_gradient * weight[:, None, None]).float(),
        (pair_gradient * weight[:, None, None]).float(),
        (start_gradient * weight[:, None]).float(),
        (end_gradient * weight[:, None]).float(),
    )


def decode_by_doubling(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
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
    allowed = _restricted(_as_counted(emissions, transitions, start, end), legal)
    padded = sequences.pad(emissions.to(allowed[0].dtype))
    first = allowed[1] + padded[:, 0]
    if longest == 1:
        return sequences.gather((first + allowed[2]).argmax(1)[:, None]).int()
    inner = torch.arange(1, longest, device=emissions.device) < sequences.counts[:, None]
    levels = _tree(_leaves(padded, allowed[0], inner), _best_product)
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
        left, right = _interleave(left, middle), _interleave(middle, right)
    return sequences.gather(torch.cat((first_tag[:, None], right[:, : longest - 1]), dim=1)).int()


def _leaves(padded: Tensor, transitions: Tensor, inner: Tensor) -> Tensor:
    """Scores of each step from tag to tag ``[rows, longest - 1, from, to]``; beyond a row's end the identity."""
    steps = transitions + padded[:, 1:, None, :]
    return torch.where(inner[:, :, None, None], steps, _identity(padded))


def _identity(like: Tensor) -> Tensor:
    size = like.shape[-1]
    return torch.full((size, size), SCORE_FLOOR, dtype=like.dtype, device=like.device).fill_diagonal_(0.0)


def _tree(leaves: Tensor, product: Product) -> list[Tensor]:
    """Products of neighbours ``[rows, nodes, tags, tags]``, level by level up to one; less the largest value each.

    A level of an odd number of nodes ends with an identity more, unless it is the last.
    """
    levels = [leaves]
    while levels[-1].shape[1] > 1:
        if levels[-1].shape[1] % 2:
            identity = _identity(leaves).expand(len(leaves), 1, -1, -1)
            levels[-1] = torch.cat((levels[-1], identity), dim=1)
        merged = product(levels[-1][:, 0::2], levels[-1][:, 1::2])
        levels.append(merged - merged.amax((2, 3), keepdim=True))
    return levels


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
        before = _interleave(before, through - through.logsumexp(2, keepdim=True))
        after = _interleave(behind - behind.amax(2, keepdim=True), after)
    return before[:, :leaves], after[:, :leaves]


def _log_product(left: Tensor, right: Tensor) -> Tensor:
    return _product(left, right, lambda sums: sums.logsumexp(-2))


def _best_product(left: Tensor, right: Tensor) -> Tensor:
    return _product(left, right, lambda sums: sums.amax(-2))


def _product(left: Tensor, right: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Products of matrices whose sums are ``reduce`` and whose products are sums, some of them at a time."""
    size = left.shape[-1]
    at_a_time = max(1, _MOST_VALUES // size**3)
    pairs = zip(left.flatten(0, 1).split(at_a_time), right.flatten(0, 1).split(at_a_time), strict=True)
    return torch.cat([reduce(a[:, :, :, None] + b[:, None, :, :]) for a, b in pairs]).view_as(left)


def _interleave(first: Tensor, second: Tensor) -> Tensor:
    """First and second child of each node, one after the other along the nodes."""
    return torch.stack((first, second), dim=2).flatten(1, 2)


def _as_counted(emissions: Tensor, *scores: Tensor) -> tuple[Tensor, ...]:
    """The scores as they count, in float64 where the device has it."""
    dtype = torch.float64 if emissions.device.type in _WIDE else torch.float32
    return tuple(score.detach().to(dtype).clamp(min=SCORE_FLOOR) for score in scores)


def _restricted(scores: tuple[Tensor, ...], legal: LegalTransitions | None) -> tuple[Tensor, ...]:
    if legal is None:
        return scores
    masks = _legal_tensors(legal, scores[0].device)
    return tuple(score.masked_fill(~mask, SCORE_FLOOR) for score, mask in zip(scores, masks, strict=True))


def _legal_tensors(legal: LegalTransitions, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    pairs, start, end = (torch.from_numpy(part).to(device) for part in (legal.pairs, legal.start, legal.end))
    return pairs, start, end


def _scores(transitions: Tensor, start: Tensor, end: Tensor) -> TransitionScores:
    return TransitionScores(*(part.detach().numpy() for part in (start, transitions, end)))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])
