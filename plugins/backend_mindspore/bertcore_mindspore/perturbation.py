"""How far the word embeddings are moved in a step, as :class:`bertcore.contracts.objective.HeadLoss` describes it.

The table itself stays as it is. Only those of its rows that the step reads can be moved, and every token is given what
its row is moved by:

    micro-batches    7 3 7 | 3 9         input_ids
    ids              3 7 9               of the whole step
    rows             d3 d7 d9            [ids, embedding width], zero before the first perturbed pass
    offsets          d7 d3 d7 | d3 d9    at the places of these tokens in the static shape, zero elsewhere

The compiled graph takes the offsets as an input and hands out the gradient of its word vectors. What lies between is
computed here on the host, in numpy: how many ids a step has is no static shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch
from bertcore_mindspore.ranks import Communicator
from bertcore_mindspore.rows import PackedRows


class WordPerturbation:
    """What is added to the word embeddings of a step, and the gradient there.

    Args:
        micro_batches: all rows of the step that this rank computes.
        width: of the embeddings.
        communicator: to the other ranks, if there are any.
        step_ids: the ids of all rows of all ranks, where there are others.
    """

    def __init__(
        self,
        micro_batches: Sequence[Batch],
        width: int,
        communicator: Communicator | None = None,
        step_ids: NDArray[np.int64] | None = None,
    ) -> None:
        own = [batch.input_ids for batch in micro_batches]
        self._ids = np.unique(np.concatenate(own)) if step_ids is None else step_ids
        self._communicator = communicator
        self._rows = np.zeros((len(self._ids), width))
        self._gradient = np.zeros_like(self._rows)

    def of(self, rows: PackedRows) -> NDArray[np.float32]:
        """What is added to each position of a call, ``[tokens, width]`` of the shape."""
        offsets = np.zeros((rows.shape.tokens, self._rows.shape[1]), dtype=np.float32)
        offsets[rows.token_positions] = self._rows[self._places(rows)]
        return offsets

    def add(self, rows: PackedRows, gradient: NDArray[np.generic]) -> None:
        """Takes the gradient of the word vectors of a call, ``[tokens, width]`` of the shape."""
        places = self._places(rows)
        order = np.argsort(places, kind="stable")
        present, starts = np.unique(places[order], return_index=True)
        of_tokens = gradient[rows.token_positions[order]].astype(np.float64)
        self._gradient[present] += np.add.reduceat(of_tokens, starts, axis=0)

    def move(self, distance: float, radius: float | None) -> None:
        """Goes on by a distance along the gradient, and back to the radius; the gradient begins anew."""
        if self._communicator is not None and distance:
            self._gradient = self._communicator.sum(self._gradient.astype(np.float32)).astype(np.float64)
        norm = np.linalg.norm(self._gradient)
        if norm > 0:  # the loss scale of fp16, by which the gradient is too large, cancels
            self._rows += distance * self._gradient / norm
        length = np.linalg.norm(self._rows)
        if radius is not None and length > radius:
            self._rows *= radius / length
        self._gradient[:] = 0

    def _places(self, rows: PackedRows) -> NDArray[np.int64]:
        return np.searchsorted(self._ids, rows.batch.input_ids)
