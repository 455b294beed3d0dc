"""The field on a CPU: :mod:`bertcore.numerics.crf.host`, by compiled kernels or numpy, called from the graph."""

from __future__ import annotations

from collections.abc import Sequence

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import host
from bertcore_mindspore.crf.sequences import sequences_of
from bertcore_mindspore.crf.values import Leaves, Results, Scores


class HostLosses(nn.Cell):
    """Losses and gradients by the core, on a CPU."""

    def __init__(self, legal: LegalTransitions | None) -> None:
        super().__init__(auto_prefix=False)
        self.legal = legal
        self.call = ops.Custom(self.compute, self.shapes, self.dtypes, func_type="pyfunc")

    def construct(
        self, emissions: Tensor, scores: Scores, leaves: Leaves, row_weights: Tensor, blocked: Tensor
    ) -> Results:
        """Arguments as those of the cell that gives the gradient, in :mod:`bertcore_mindspore.crf.layer`."""
        transitions, start, end = scores
        rows, tags, marks = leaves
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
        leaves, row_of_sequence, offsets = sequences_of(rows, marks)
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

    def construct(self, emissions: Tensor, scores: Scores, rows: Tensor, marks: Tensor, blocked: Tensor) -> Tensor:
        """Returns int32 ``[leaves]``."""
        transitions, start, end = scores
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
        leaves, _, offsets = sequences_of(rows, marks)
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
