"""What a training step minimizes on torch, and what an objective of a third party must be.

The code of an objective for this backend is a class, made once for a session by ``Class(objective)`` from the
objective's description, with one method

    loss_sum(forward, batch) -> Tensor

that returns the loss sum of a micro-batch, a float32 scalar with its gradient graph. It imports nothing from here:
``forward`` (below, :class:`Forward`) gives all that it needs. R-Drop, say, calls ``forward(batch)`` and
``forward(batch, forward_pass=1)`` and adds the divergence between both logits to the sum of both losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import permutations

import torch
from bertcore.contracts.batch import Batch
from bertcore.contracts.objective import TEACHER, HeadLoss, Pass
from torch import Tensor

from bertcore_torch.dropout import MaskSeed, dropout_of
from bertcore_torch.encoder import PackedModel
from bertcore_torch.foreign_encoder import ForeignModel
from bertcore_torch.perturbation import WordPerturbation
from bertcore_torch.rows import HeadBatch, PackedRows, PaddedRows, head_batch


class Forward:
    """Forward passes of one micro-batch of a step.

    Args:
        model: the model.
        device: where it lies.
        mask_seed: what determines the dropout masks; None for no dropout.
        words: how far the word embeddings are moved, where the objective has perturbed passes.
    """

    def __init__(
        self,
        model: PackedModel | ForeignModel,
        device: torch.device,
        mask_seed: MaskSeed | None,
        words: WordPerturbation | None = None,
    ) -> None:
        self._model = model
        self._device = device
        self._mask_seed = mask_seed
        self._words = words
        self._placed: dict[int, tuple[Batch, PackedRows | PaddedRows | None, HeadBatch]] = {}

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
        rows, columns = self._on_device(batch)
        seed = self._mask_seed
        dropout = dropout_of(self._model.kind, None if seed is None else replace(seed, forward_pass=forward_pass))
        if self._words is not None and len(batch):
            moved = self._words.of(batch)
            embedding_offset = moved if embedding_offset is None else embedding_offset + moved
        return self._model(rows, columns, dropout, embedding_offset)

    def loss_sum(self, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        """Returns the head's loss sum of these outputs, a float32 scalar."""
        return self._model.head.loss_sum(outputs, self._on_device(batch)[1])

    def divergence_sum(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Batch, temperature: float = 1.0
    ) -> Tensor:
        """Returns the sum of the head's KL(towards || outputs), a float32 scalar."""
        return self._model.head.divergence(outputs, towards, self._on_device(batch)[1], temperature).sum()

    def row_losses(self, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        """Returns each row's part of the head's loss sum, float32 ``[rows]``."""
        return self._model.head.row_losses(outputs, self._on_device(batch)[1])

    def columns(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the named columns of a batch as tensors, for objectives that read more than the head does."""
        return dict(self._on_device(batch)[1].columns)

    def zero_embedding_offset(self, batch: Batch) -> Tensor:
        """Returns zeros ``[tokens, embedding width]`` that ask for a gradient, for ``embedding_offset``."""
        width = self._model.embedding_width
        return torch.zeros(len(batch.input_ids), width, device=self._device, requires_grad=True)

    def _on_device(self, batch: Batch) -> tuple[PackedRows | PaddedRows | None, HeadBatch]:
        if id(batch) not in self._placed:
            rows = self._model.rows_of(batch, self._device) if len(batch) else None
            # The batch is kept so that its id stays its own.
            self._placed[id(batch)] = (batch, rows, head_batch(batch, self._device))
        return self._placed[id(batch)][1:]


class HeadLossObjective:
    """:class:`bertcore.contracts.objective.HeadLoss`: the head's own loss over clean passes, and their agreement."""

    def __init__(self, objective: HeadLoss) -> None:
        self._passes = objective.clean_passes
        self._agreement = objective.agreement
        self._distillation = objective.distillation
        self._temperature = objective.temperature

    def loss_sum(self, forward: Forward, batch: Batch) -> Tensor:
        """Returns the loss sum of all clean passes."""
        outputs = [forward(batch, one.dropout) for one in self._passes]
        losses = [
            _weighted(self._taught(forward, of_pass, batch), one.weight)
            for one, of_pass in zip(self._passes, outputs, strict=True)
        ]
        if self._agreement:
            losses.append(self._agreement * _disagreement(forward, outputs, batch))
        return reduce(torch.add, losses)

    def _taught(self, forward: Forward, outputs: dict[str, Tensor], batch: Batch) -> Tensor:
        """The head's loss, mixed with what the outputs are from the teacher's, if there is one."""
        loss = forward.loss_sum(outputs, batch)
        if not self._distillation:
            return loss
        columns = forward.columns(batch)
        towards = {name: columns[f"{TEACHER}{name}"] for name in outputs if f"{TEACHER}{name}" in columns}
        distance = forward.divergence_sum(outputs, towards, batch, self._temperature) * self._temperature**2
        return torch.lerp(loss, distance, self._distillation)


LossOf = Callable[[Forward, Batch], Tensor]
"""Gives the loss sum of a micro-batch."""


def perturbed_loss_sum(perturbed: Pass) -> LossOf:
    """The head's loss in one pass at moved embeddings, which ``forward`` knows; as it is, where its weight is 0."""

    def loss_sum(forward: Forward, batch: Batch) -> Tensor:
        return _weighted(forward.loss_sum(forward(batch, perturbed.dropout), batch), perturbed.weight or 1.0)

    return loss_sum


def _weighted(loss: Tensor, weight: float) -> Tensor:
    return loss if weight == 1.0 else loss * weight


def _disagreement(forward: Forward, outputs: Sequence[dict[str, Tensor]], batch: Batch) -> Tensor:
    """The mean over all pairs of passes of half the divergence both ways."""
    pairs = list(permutations(outputs, 2))
    return reduce(torch.add, [forward.divergence_sum(*pair, batch) for pair in pairs]) / len(pairs)
