"""The module that the head uses: parameters, losses with their gradients, best tags."""

from __future__ import annotations

from typing import Any

import torch
from bertcore.contracts.tagging import LegalTransitions
from bertcore.heads import TokenClassification
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bertcore_torch.crf.decoding import decode_by_doubling
from bertcore_torch.crf.doubling import losses_by_doubling
from bertcore_torch.crf.host import decode_on_host, losses_on_host
from bertcore_torch.crf.sequences import Sequences
from bertcore_torch.crf.values import Scores


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
        return _Losses.apply(emissions, *self._scores(), tags, sequences, self.legal_in_loss)

    @torch.no_grad()
    def decode(self, emissions: Tensor, sequences: Sequences) -> Tensor:
        """Returns the best tags of each row, int32 ``[positions]``."""
        decode = decode_on_host if emissions.device.type == "cpu" else decode_by_doubling
        return decode(emissions.float(), self._scores(), sequences, self.legal_in_decoding)

    def _scores(self) -> Scores:
        return self.transitions, self.start_transitions, self.end_transitions


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
        losses, *gradients = compute(emissions.float(), (transitions, start, end), tags, sequences, legal)
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
