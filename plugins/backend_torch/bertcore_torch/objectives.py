"""What a training step minimizes on torch, and what an objective of a third party must be.

The code of an objective for this backend is a class, made once for a session by ``Class(objective)`` from the
objective's description, with one method

    loss_sum(forward, batch) -> Tensor

that returns the loss sum of a micro-batch, a float32 scalar with its gradient graph. It imports nothing from here:
``forward`` (below, :class:`Forward`) gives all that it needs. R-Drop, say, calls ``forward(batch)`` and
``forward(batch, forward_pass=1)`` and adds the divergence between both logits to the sum of both losses.
"""

from __future__ import annotations

import torch
from bertcore.contracts.batch import Batch
from bertcore.contracts.objective import HeadLoss
from torch import Tensor

from bertcore_torch.dropout import Dropout, Place
from bertcore_torch.encoder import PackedModel
from bertcore_torch.foreign_encoder import ForeignModel
from bertcore_torch.layout import HeadBatch, Layout, PaddedRows, head_batch


class Forward:
    """Forward passes of one micro-batch of a step.

    Args:
        model: the model.
        device: where it lies.
        place: when the passes take place; None for no dropout.
    """

    def __init__(self, model: PackedModel | ForeignModel, device: torch.device, place: Place | None) -> None:
        self._model = model
        self._device = device
        self._place = place
        self._laid_out: dict[int, tuple[Batch, Layout | PaddedRows | None, HeadBatch]] = {}

    def __call__(
        self, batch: Batch, forward_pass: int = 0, embedding_offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Runs the model.

        Args:
            batch: the rows.
            forward_pass: which dropout masks; the same number gives the same masks.
            embedding_offset: added to the sum of the embeddings before it is normalized, ``[tokens, embedding
                width]`` in the order of the batch, to perturb them (FGM) or to read their gradient.

        Returns:
            The head's outputs in the order of the batch.
        """
        layout, columns = self._lay_out(batch)
        place = self._place
        if place is not None:
            place = Place(place.seed, place.step, place.micro_batch, place.rank, forward_pass)
        dropout = Dropout(place, self._model.kind.masks)
        return self._model(layout, columns, dropout, embedding_offset)

    def loss_sum(self, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        """Returns the head's loss sum of these outputs, a float32 scalar."""
        return self._model.head.loss_sum(outputs, self._lay_out(batch)[1])

    def row_losses(self, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        """Returns each row's part of the head's loss sum, float32 ``[rows]``."""
        return self._model.head.row_losses(outputs, self._lay_out(batch)[1])

    def columns(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the named columns of a batch as tensors, for objectives that read more than the head does."""
        return dict(self._lay_out(batch)[1].columns)

    def zero_embedding_offset(self, batch: Batch) -> Tensor:
        """Returns zeros ``[tokens, embedding width]`` that ask for a gradient, for ``embedding_offset``."""
        width = self._model.embedding_width
        return torch.zeros(len(batch.input_ids), width, device=self._device, requires_grad=True)

    def _lay_out(self, batch: Batch) -> tuple[Layout | PaddedRows | None, HeadBatch]:
        if id(batch) not in self._laid_out:
            layout = self._model.lay_out(batch, self._device) if len(batch) else None
            # The batch is kept so that its id stays its own.
            self._laid_out[id(batch)] = (batch, layout, head_batch(batch, self._device))
        return self._laid_out[id(batch)][1:]


class HeadLossObjective:
    """:class:`bertcore.contracts.objective.HeadLoss`: the head's own loss, one forward pass."""

    def __init__(self, objective: HeadLoss) -> None:
        pass

    def loss_sum(self, forward: Forward, batch: Batch) -> Tensor:
        """Returns the head's loss sum."""
        return forward.loss_sum(forward(batch), batch)
