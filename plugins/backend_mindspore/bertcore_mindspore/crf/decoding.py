"""The best tags in the graph, in a number of steps that grows with the logarithm of the length."""

from __future__ import annotations

import mindspore
from mindspore import Tensor, ops

from bertcore_mindspore.crf.tree import TagTree
from bertcore_mindspore.crf.values import Scores


class GraphDecoding(TagTree):
    """The best tags in the graph.

    The tree holds the best scores between any two tags; then, from the top down, each matrix with known tags at both
    ends tells the tag in its middle.
    """

    def construct(self, emissions: Tensor, scores: Scores, rows: Tensor, marks: Tensor, blocked: Tensor) -> Tensor:
        """Returns int32 ``[leaves]``."""
        transitions, start, end = scores
        count, size = emissions.shape
        bins = blocked.shape[0]
        allowed = self.allowed(self.as_counted(transitions), self.as_counted(start), self.as_counted(end))
        emissions = self.cast(emissions, self.wide)
        levels = self.tree(self.leaves(emissions, allowed[0], allowed[1], allowed[2], marks, bins), best=True)
        ends = self.argmax(levels[len(levels) - 1].reshape(bins, size * size))
        left, right = (ends // size).reshape(bins, 1), (ends % size).reshape(bins, 1)
        for index in range(len(levels) - 2, -1, -1):
            nodes = levels[index].shape[1] // 2
            children = levels[index].reshape(bins, nodes, 2, size, size)
            left, right = left[:, :nodes], right[:, :nodes]
            to_middle = self.row_of(children[:, :, 0], left)
            from_middle = self.row_of(ops.transpose(children[:, :, 1], (0, 1, 3, 2)), right)
            middle = self.argmax(to_middle + from_middle)
            left, right = self.interleave(left, middle), self.interleave(middle, right)
        return self.cast(right[:, : count // bins].reshape(count), mindspore.int32)

    def row_of(self, matrices: Tensor, index: Tensor) -> Tensor:
        """The row of each matrix that its index names, ``[bins, nodes, tags]``."""
        bins, nodes, size, _ = matrices.shape
        first = ops.arange(bins * nodes).astype(mindspore.int32) * size
        chosen = self.gather(matrices.reshape(-1, size), first + index.reshape(-1), 0)
        return chosen.reshape(bins, nodes, size)
