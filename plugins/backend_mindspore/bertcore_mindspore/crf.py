"""The conditional random field (:mod:`bertcore.numerics.crf`) on MindSpore.

The label positions of the rows lie one after the other in the bins of the static shape (a *leaf* each): a bin is one
chain, in which a row begins anew whatever comes before it, and free leaves and absent positions change nothing. On a
CPU the core computes it, :mod:`bertcore.numerics.crf.host` by numba or numpy, called from the graph. On an
accelerator it is computed in the graph, in a number of steps that grows with the logarithm of the length:
neighbouring leaves are multiplied to a tree of matrices of log-sums, and what comes before and after each leaf is
handed down the tree again. Products are log-sums of exponentials of differences from the largest, exact for every
finite score; the gradient is that of the marginals and not one through the tree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import SCORE_FLOOR, host
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.encoder import Inputs
from bertcore_mindspore.layout import Layout

COLUMN_NAMES = ("leaf_tokens", "token_leaves", "leaf_rows", "leaf_tags", "sequence_marks", "position_marks")

Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Losses ``[rows]``, and the gradients of each row: emissions ``[leaves, tags]``, transitions ``[rows, tags, tags]``,
start and end ``[rows, tags]``; all float32."""


def columns(layout: Layout, label_column: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of ``COLUMN_NAMES`` (host); there are as many leaves as positions in the shape.

    ``leaf_tokens``: int32 ``[leaves]``, where the label position's token is; 0 for a free leaf. ``token_leaves``: int32
    ``[tokens]``, the way back; 0 where there is none. ``leaf_rows``: int32 ``[leaves]``, the row among those of the
    call, or their number for a free leaf. ``leaf_tags``: int32 ``[2, leaves]``, the gold tag of the position before it
    in its sequence, and its own; 0 where there is none. ``sequence_marks``: float32 ``[3, leaves]``, 1 where the leaf
    follows a position of its sequence, where it begins one, and where it ends one; all zero where it is absent because
    its label is ignored. ``position_marks``: the same for sequences of all label positions.
    """
    shape, batch = layout.shape, layout.batch
    assert batch.label_offsets is not None
    lengths = np.diff(batch.label_offsets)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    leaves = np.arange(batch.label_offsets[-1]) + (layout.starts - batch.label_offsets[:-1])[rows]
    leaf_tokens, token_leaves = np.zeros((2, shape.tokens), dtype=np.int32)
    leaf_tokens[leaves], token_leaves[layout.label_positions] = layout.label_positions, leaves
    leaf_rows = np.full(shape.tokens, shape.rows, dtype=np.int32)
    leaf_rows[leaves] = rows
    labels = batch.columns.get(label_column)
    tags, kept = np.zeros(len(rows), dtype=np.int32), np.ones(len(rows), dtype=bool)
    if labels is not None:
        if labels.ignore is not None:
            kept = labels.values != labels.ignore
        tags[kept] = labels.values[kept]
    leaf_tags = np.zeros((2, shape.tokens), dtype=np.int32)
    sequence_marks = _marks(rows[kept], leaves[kept], shape.tokens)
    leaf_tags[1, leaves[kept]] = tags[kept]
    leaf_tags[0, leaves[kept][1:]] = tags[kept][:-1] * sequence_marks[0, leaves[kept][1:]]
    return {
        "leaf_tokens": leaf_tokens,
        "token_leaves": token_leaves,
        "leaf_rows": leaf_rows,
        "leaf_tags": leaf_tags,
        "sequence_marks": sequence_marks,
        "position_marks": _marks(rows, leaves, shape.tokens),
    }


def _marks(rows: NDArray[np.int64], leaves: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    marks = np.zeros((3, size), dtype=np.float32)
    same = rows[1:] == rows[:-1]
    marks[0, leaves[1:][same]] = 1
    marks[1, leaves] = 1 - marks[0, leaves]
    marks[2, leaves] = 1
    marks[2, leaves[:-1][same]] = 0
    return marks


class ConditionalRandomField(nn.Cell):
    """Losses and best tags of the rows of a call.

    Args:
        head: says how many tags there are, and what is forbidden when.
        parameters: holds ``crf.transitions``, ``crf.start_transitions`` and ``crf.end_transitions``.
        device: says who computes it, and in which dtype.
    """

    def __init__(self, head: TokenClassification, parameters: dict[str, Parameter], device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.transitions = parameters["crf.transitions"]
        self.start = parameters["crf.start_transitions"]
        self.end = parameters["crf.end_transitions"]
        legal = head.legal_transitions() if head.scheme else None
        in_loss = legal if head.forbid == "training" else None
        in_decoding = None if head.forbid == "never" else legal
        if device.crf == "host":
            losses, decode = HostLosses(in_loss), HostDecoding(in_decoding)
        else:
            losses, decode = GraphLosses(in_loss, device), GraphDecoding(in_decoding, device)
        self.row_losses = _WithGradient(losses)
        self.best_tags = decode
        self.gather = ops.Gather()

    def losses(self, logits: Tensor, batch: Inputs) -> Tensor:
        """Returns the loss of each row, float32 ``[rows]``, from ``[tokens, tags]``."""
        emissions = self.gather(logits, batch["leaf_tokens"], 0)
        results = self.row_losses(
            emissions,
            self.transitions,
            self.start,
            self.end,
            batch["leaf_rows"],
            batch["leaf_tags"],
            batch["sequence_marks"],
            batch["row_weights"],
            batch["blocked"],
        )
        return results[0]

    def decode(self, logits: Tensor, batch: Inputs) -> Tensor:
        """Returns the best tags of each row, int32 ``[tokens]``, from ``[tokens, tags]``."""
        emissions = self.gather(logits, batch["leaf_tokens"], 0)
        of_leaves = self.best_tags(
            emissions,
            self.transitions,
            self.start,
            self.end,
            batch["leaf_rows"],
            batch["position_marks"],
            batch["blocked"],
        )
        return self.gather(of_leaves, batch["token_leaves"], 0)


class _WithGradient(nn.Cell):
    """Losses whose gradients were computed along with them."""

    def __init__(self, losses: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.compute = losses
        self.gather = ops.Gather()
        self.concat = ops.Concat(0)
        self.zeros_like = ops.ZerosLike()

    def construct(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        tags: Tensor,
        marks: Tensor,
        row_weights: Tensor,
        blocked: Tensor,
    ) -> Results:
        """Returns losses, and gradients that are no outputs to differentiate."""
        return self.compute(emissions, transitions, start, end, rows, tags, marks, row_weights, blocked)

    def bprop(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        tags: Tensor,
        marks: Tensor,
        row_weights: Tensor,
        blocked: Tensor,
        outputs: Results,
        gradients: Results,
    ) -> tuple[Tensor, ...]:
        """Gradients with regard to emissions and scores."""
        weights = gradients[0]
        of_leaves = self.gather(self.concat((weights, ops.zeros((1,), mindspore.float32))), rows, 0)
        return (
            outputs[1] * of_leaves.reshape(-1, 1),
            (outputs[2] * weights.reshape(-1, 1, 1)).sum(0),
            (outputs[3] * weights.reshape(-1, 1)).sum(0),
            (outputs[4] * weights.reshape(-1, 1)).sum(0),
            self.zeros_like(rows),
            self.zeros_like(tags),
            self.zeros_like(marks),
            self.zeros_like(row_weights),
            self.zeros_like(blocked),
        )


class HostLosses(nn.Cell):
    """Losses and gradients by the core, on a CPU."""

    def __init__(self, legal: LegalTransitions | None) -> None:
        super().__init__(auto_prefix=False)
        self.legal = legal
        self.call = ops.Custom(self.compute, self.shapes, self.dtypes, func_type="pyfunc")

    def construct(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        tags: Tensor,
        marks: Tensor,
        row_weights: Tensor,
        blocked: Tensor,
    ) -> Results:
        """See ``Results``; arguments as in :func:`columns`, and ``row_weights`` and ``blocked`` for their shapes."""
        results = self.call(emissions, transitions, start, end, rows, tags, marks, row_weights)
        return results[0], results[1], results[2], results[3], results[4]

    def compute(
        self,
        emissions: NDArray[np.float32],
        transitions: NDArray[np.float32],
        start: NDArray[np.float32],
        end: NDArray[np.float32],
        rows: NDArray[np.int32],
        tags: NDArray[np.int32],
        marks: NDArray[np.float32],
        row_weights: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], ...]:
        """Called by MindSpore with arrays that it lends."""
        leaves, row_of_sequence, offsets = _sequences(rows, marks)
        result = host.losses(
            emissions[leaves], tags[1, leaves], offsets, TransitionScores(start, transitions, end), self.legal
        )
        size = len(start)
        losses, per_leaf = np.zeros(len(row_weights), np.float32), np.zeros(emissions.shape, np.float32)
        per_pair = np.zeros((len(row_weights), size, size), np.float32)
        per_start, per_end = np.zeros((2, len(row_weights), size), np.float32)
        per_leaf[leaves] = result.emissions
        losses[row_of_sequence], per_pair[row_of_sequence] = result.losses, result.transitions
        per_start[row_of_sequence], per_end[row_of_sequence] = result.start, result.end
        return losses, per_leaf, per_pair, per_start, per_end

    @staticmethod
    def shapes(*inputs: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Shapes of the results from those of the inputs."""
        (leaves, size), rows = inputs[0], inputs[7][0]
        return (rows,), (leaves, size), (rows, size, size), (rows, size), (rows, size)

    @staticmethod
    def dtypes(*inputs: mindspore.Type) -> tuple[mindspore.Type, ...]:
        """All results have the dtype of the emissions."""
        return (inputs[0],) * 5


class HostDecoding(nn.Cell):
    """The best tags by the core, on a CPU."""

    def __init__(self, legal: LegalTransitions | None) -> None:
        super().__init__(auto_prefix=False)
        self.legal = legal
        self.call = ops.Custom(self.compute, self.shape, self.dtype, func_type="pyfunc")

    def construct(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        marks: Tensor,
        blocked: Tensor,
    ) -> Tensor:
        """Returns int32 ``[leaves]``."""
        return self.call(emissions, transitions, start, end, rows, marks)

    def compute(
        self,
        emissions: NDArray[np.float32],
        transitions: NDArray[np.float32],
        start: NDArray[np.float32],
        end: NDArray[np.float32],
        rows: NDArray[np.int32],
        marks: NDArray[np.float32],
    ) -> NDArray[np.int32]:
        """Called by MindSpore with arrays that it lends."""
        leaves, _, offsets = _sequences(rows, marks)
        tags = np.zeros(len(rows), dtype=np.int32)
        tags[leaves] = host.decode(emissions[leaves], offsets, TransitionScores(start, transitions, end), self.legal)
        return tags

    @staticmethod
    def shape(*inputs: Sequence[int]) -> tuple[int, ...]:
        """One tag for each leaf."""
        return (inputs[4][0],)

    @staticmethod
    def dtype(*inputs: mindspore.Type) -> mindspore.Type:
        """The dtype of the rows, int32."""
        return inputs[4]


def _sequences(
    rows: NDArray[np.generic], marks: NDArray[np.generic]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Leaves that belong to sequences, the row of each sequence, and where each begins among these leaves."""
    leaves = np.flatnonzero(marks[0] + marks[1])
    firsts = np.flatnonzero(marks[1, leaves])
    return leaves, rows[leaves[firsts]], np.append(firsts, len(leaves))


class _Graph(nn.Cell):
    """What losses and best tags in the graph have in common.

    Args:
        legal: what to forbid, or None.
        device: says in which dtype to compute.
    """

    def __init__(self, legal: LegalTransitions | None, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.restricted = legal is not None
        if legal is not None:
            self.legal_pairs = Tensor(legal.pairs.astype(np.float32))
            self.legal_start = Tensor(legal.start.astype(np.float32))
            self.legal_end = Tensor(legal.end.astype(np.float32))
        self.cast = ops.Cast()
        self.exp = ops.Exp()
        self.log = ops.Log()
        self.maximum = ops.Maximum()
        self.largest = ops.ReduceMax(keep_dims=True)
        self.best = ops.ReduceMax()
        self.sum = ops.ReduceSum()
        self.concat = ops.Concat(1)
        self.stack = ops.Stack(2)
        self.gather = ops.Gather()
        self.one_hot = ops.OneHot()
        self.sigmoid = ops.Sigmoid()
        self.relu = ops.ReLU()
        self.absolute = ops.Abs()
        self.segment_sum = ops.UnsortedSegmentSum()
        self.argmax = ops.Argmax(-1, mindspore.int32)

    def as_counted(self, scores: Tensor) -> Tensor:
        """The scores as they count, in the wide dtype."""
        return self.maximum(self.cast(scores, self.wide), Tensor(SCORE_FLOOR, self.wide))

    def restrict(self, scores: Tensor, legal: Tensor) -> Tensor:
        """The floor in the place of what is illegal."""
        legal = self.cast(legal, self.wide)
        return scores * legal + (1.0 - legal) * SCORE_FLOOR

    def allowed(self, transitions: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What may count: transitions, start and end."""
        if self.restricted:
            return (
                self.restrict(transitions, self.legal_pairs),
                self.restrict(start, self.legal_start),
                self.restrict(end, self.legal_end),
            )
        return transitions, start, end

    def identity(self, size: int) -> Tensor:
        """The matrix that changes nothing."""
        return (1.0 - ops.eye(size, size, self.wide)) * SCORE_FLOOR

    def leaves(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, marks: Tensor, bins: int
    ) -> Tensor:
        """Scores of each leaf from tag to tag ``[bins, leaves, from, to]``.

        The first of a row does not ask what comes before it; the last has the score of the end; a leaf that belongs to
        no sequence is the identity.
        """
        count, size = emissions.shape
        marks = self.cast(marks, self.wide)
        inner, first, last = marks[0].reshape(-1, 1, 1), marks[1].reshape(-1, 1, 1), marks[2].reshape(-1, 1, 1)
        scores = emissions.reshape(count, 1, size) + last * end.reshape(1, 1, size)
        steps = inner * transitions.reshape(1, size, size) + first * start.reshape(1, 1, size)
        present = inner + first
        matrices = present * (scores + steps) + (1.0 - present) * self.identity(size).reshape(1, size, size)
        return matrices.reshape(bins, count // bins, size, size)

    def log_sum(self, values: Tensor, axis: int) -> Tensor:
        """Logarithm of the sum of exponentials along an axis."""
        largest = self.largest(values, axis)
        return self.log(self.sum(self.exp(values - largest), axis)) + self.best(values, axis)

    def product(self, left: Tensor, right: Tensor, *, best: bool) -> Tensor:
        """Products of matrices of log-sums, or of best scores, less the largest value of each."""
        bins, nodes, size, _ = left.shape
        sums = left.reshape(-1, size, size, 1) + right.reshape(-1, 1, size, size)
        merged = self.best(sums, 2) if best else self.log_sum(sums, 2)
        merged = merged.reshape(bins, nodes, size, size)
        return merged - self.largest(merged, (2, 3))

    def tree(self, leaves: Tensor, *, best: bool) -> tuple[Tensor, ...]:
        """Products of neighbours, level by level; each but the last has an even number of nodes."""
        bins, count, size, _ = leaves.shape
        levels, current = (), leaves
        while count > 1:
            if count % 2 == 1:
                padding = ops.broadcast_to(self.identity(size).reshape(1, 1, size, size), (bins, 1, size, size))
                current = self.concat((current, padding))
                count = count + 1
            levels = (*levels, current)
            children = current.reshape(bins, count // 2, 2, size, size)
            current = self.product(children[:, :, 0], children[:, :, 1], best=best)
            count = count // 2
        return (*levels, current)

    def interleave(self, first: Tensor, second: Tensor) -> Tensor:
        """First and second child of each node, one after the other."""
        shape = first.shape
        return self.stack((first, second)).reshape(shape[0], shape[1] * 2, *shape[2:])


class GraphLosses(_Graph):
    """Losses and gradients in the graph."""

    def construct(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        tags: Tensor,
        marks: Tensor,
        row_weights: Tensor,
        blocked: Tensor,
    ) -> Results:
        """See ``Results``; arguments as in :func:`columns`, and ``row_weights`` and ``blocked`` for their shapes."""
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


class GraphDecoding(_Graph):
    """The best tags in the graph.

    The tree holds the best scores between any two tags; then, from the top down, each matrix with known tags at both
    ends tells the tag in its middle.
    """

    def construct(
        self,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        rows: Tensor,
        marks: Tensor,
        blocked: Tensor,
    ) -> Tensor:
        """Returns int32 ``[leaves]``."""
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
