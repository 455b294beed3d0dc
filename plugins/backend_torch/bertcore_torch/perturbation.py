"""How far the word embeddings are moved in a step, as :class:`bertcore.contracts.objective.HeadLoss` describes it.

The table itself stays as it is. Only those of its rows that the step reads can be moved, and every token is given what
its row is moved by:

    micro-batches    7 3 7 | 3 9         input_ids
    ids              3 7 9               of the whole step
    rows             d3 d7 d9            [ids, embedding width], zero before the first perturbed pass
    offsets          d7 d3 d7 | d3 d9    [tokens, embedding width]

The gradient with respect to ``rows`` is that with respect to the table, also where the table itself is not trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from bertcore.contracts.batch import Batch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertcore_torch.ranks import Communicator


class WordPerturbation:
    """What is added to the word embeddings of a step, and the gradient there.

    Args:
        micro_batches: all rows of the step that this rank computes.
        width: of the embeddings.
        device: where the tokens are.
        communicator: to the other ranks, if there are any.
        step_ids: the ids of all rows of all ranks, where there are others.

    Attributes:
        rows: float32 ``[ids, width]``; its gradient is added up until :meth:`move`.
    """

    def __init__(
        self,
        micro_batches: Sequence[Batch],
        width: int,
        device: torch.device,
        communicator: Communicator | None = None,
        step_ids: NDArray[np.int64] | None = None,
    ) -> None:
        own = [batch.input_ids for batch in micro_batches]
        self._ids = np.unique(np.concatenate(own)) if step_ids is None else step_ids
        self._communicator = communicator
        self.rows = torch.zeros(len(self._ids), width, device=device, requires_grad=True)

    def of(self, batch: Batch) -> Tensor:
        """What is added to each token of a micro-batch, ``[tokens, width]``."""
        places = torch.from_numpy(np.searchsorted(self._ids, batch.input_ids)).to(self.rows.device)
        # As a look-up in a table, whose gradient is the same in every run, also on a GPU.
        return F.embedding(places, self.rows)

    @torch.no_grad()
    def move(self, distance: float, radius: float | None) -> None:
        """Goes on by a distance along the gradient, and back to the radius; the gradient begins anew."""
        gradient, rows = self.rows.grad, self.rows.detach()
        if self._communicator is not None:  # a rank without rows has none
            gradient = torch.zeros_like(rows) if gradient is None else gradient
            self._communicator.sum([gradient])
        if gradient is not None:
            # Nothing here asks the device for a number. The loss scale of fp16, by which the gradient is too large,
            # cancels.
            norm = torch.linalg.vector_norm(gradient)
            rows = rows + gradient * torch.where(norm > 0, distance / norm, 0.0)
        if radius is not None:
            rows = rows * (radius / torch.linalg.vector_norm(rows)).clamp(max=1.0)
        self.rows = rows.requires_grad_()


@contextmanager
def untrained(parameters: Collection[nn.Parameter]) -> Iterator[None]:
    """Computes no gradient of these parameters meanwhile."""
    asked = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_()
