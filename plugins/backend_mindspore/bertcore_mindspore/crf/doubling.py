"""Losses and gradients in the graph, in a number of steps that grows with the logarithm of the length.

The tree (:mod:`bertcore_mindspore.crf.tree`) is built from the leaves up, and what comes before and after each node is
handed down again. From both a leaf has the probability of each pair of tags at its place, the *marginals*, and the
gradient is marginals less gold: none goes through the tree, and no loop over positions is compiled.

                   before |  node   | after            handed down to
    left child     before |  left   | right * after
    right child    before * left    |  right  | after
"""

from __future__ import annotations

import math

import mindspore
from mindspore import Tensor, ops

from bertcore_mindspore.crf.tree import TagTree
from bertcore_mindspore.crf.values import Leaves, Results, Scores


class GraphLosses(TagTree):
    """Losses and gradients in the graph."""

    def construct(
        self, emissions: Tensor, scores: Scores, leaves: Leaves, row_weights: Tensor, blocked: Tensor
    ) -> Results:
        """Arguments as those of the cell that gives the gradient, in :mod:`bertcore_mindspore.crf.layer`."""
        transitions, start, end = scores
        rows, tags, marks = leaves
        count, size = emissions.shape
        bins, row_count = blocked.shape[0], row_weights.shape[0]
        emissions = self.cast(emissions, self.wide)
        transitions, start, end = self.as_counted(transitions), self.as_counted(start), self.as_counted(end)
        allowed = self.allowed(transitions, start, end)
        leaves = self.leaves(emissions, allowed[0], allowed[1], allowed[2], marks, bins)
        before, after = self.hand_down(self.tree(leaves, best=False), count // bins)
        joint = (before.reshape(count, size, 1) + leaves.reshape(count, size, size)).reshape(count, size * size)
        sums = self.log_sum(joint, 1)
        both = joint + ops.broadcast_to(after.reshape(count, 1, size), (count, size, size)).reshape(count, -1)
        pairs = self.exp(both - self.largest(both, 1))
        pairs = (pairs / self.sum(pairs, 1).reshape(-1, 1)).reshape(count, size, size)

        marks = self.cast(marks, self.wide)
        inner, first, last = marks[0], marks[1], marks[2]
        previous, own = self.indicators(tags[0], size), self.indicators(tags[1], size)
        steps = self.gather(transitions.reshape(-1), tags[0] * size + tags[1], 0) * inner
        gold = self.sum(emissions * own, 1) + steps
        gold = gold + self.gather(start, tags[1], 0) * first + self.gather(end, tags[1], 0) * last
        # One number per leaf, so that nothing large is subtracted from something large.
        difference = self.by_row((sums - gold) * (inner + first), rows, row_count)
        losses, weights = difference, ops.ones((row_count,), self.wide)
        if self.restricted:
            legal_steps = self.gather(self.legal_pairs.reshape(-1), tags[0] * size + tags[1], 0)
            illegal = (1.0 - self.cast(legal_steps, self.wide)) * inner
            illegal = illegal + (1.0 - self.cast(self.gather(self.legal_start, tags[1], 0), self.wide)) * first
            illegal = illegal + (1.0 - self.cast(self.gather(self.legal_end, tags[1], 0), self.wide)) * last
            illegal = self.cast(self.by_row(illegal, rows, row_count) > 0, self.wide)
            softplus = self.relu(difference) + self.log(1.0 + self.exp(-self.absolute(difference)))
            losses = illegal * softplus + (1.0 - illegal) * difference
            weights = illegal * self.sigmoid(difference) + (1.0 - illegal)
        of_leaves = self.gather(self.padded(weights), rows, 0)
        unary = (self.sum(pairs, 1) - own) * ((inner + first) * of_leaves).reshape(-1, 1)
        uses = previous.reshape(count, size, 1) * own.reshape(count, 1, size)
        pairs = (pairs - uses) * (inner * of_leaves).reshape(-1, 1, 1)
        return (
            self.cast(losses, mindspore.float32),
            self.cast(unary, mindspore.float32),
            self.cast(self.by_row(pairs, rows, row_count), mindspore.float32),
            self.cast(self.by_row(unary * first.reshape(-1, 1), rows, row_count), mindspore.float32),
            self.cast(self.by_row(unary * last.reshape(-1, 1), rows, row_count), mindspore.float32),
        )

    def hand_down(self, levels: tuple[Tensor, ...], count: int) -> tuple[Tensor, Tensor]:
        """What comes before and after each leaf, ``[bins, leaves, tags]`` each.

        The former is the logarithm of a distribution, the latter holds up to a constant. Before a chain every tag is
        as good as any other, and behind it, too: rows bring their own start and end.
        """
        bins, _, size, _ = levels[0].shape
        before = ops.ones((bins, 1, size), self.wide) * (-math.log(size))
        after = ops.zeros((bins, 1, size), self.wide)
        for index in range(len(levels) - 2, -1, -1):
            nodes = levels[index].shape[1] // 2
            children = levels[index].reshape(bins, nodes, 2, size, size)
            before, after = before[:, :nodes], after[:, :nodes]
            through = self.log_sum(before.reshape(bins, nodes, size, 1) + children[:, :, 0], 2)
            behind = self.log_sum(children[:, :, 1] + after.reshape(bins, nodes, 1, size), 3)
            total = self.log_sum(through, 2).reshape(bins, nodes, 1)
            before = self.interleave(before, through - total)
            after = self.interleave(behind - self.largest(behind, 2), after)
        return before[:, :count], after[:, :count]

    def indicators(self, tags: Tensor, size: int) -> Tensor:
        """1 at the tag of each leaf ``[leaves, tags]``."""
        one, zero = Tensor(1.0, mindspore.float32), Tensor(0.0, mindspore.float32)
        return self.cast(self.one_hot(tags, size, one, zero), self.wide)

    def by_row(self, values: Tensor, rows: Tensor, row_count: int) -> Tensor:
        """Sums what belongs to the leaves of each row, ``[rows, ...]``."""
        return self.segment_sum(values, rows, row_count + 1)[:row_count]

    def padded(self, weights: Tensor) -> Tensor:
        """One value more, zero, for the row of the free leaves."""
        return ops.concat((weights, ops.zeros((1,), self.wide)), 0)
