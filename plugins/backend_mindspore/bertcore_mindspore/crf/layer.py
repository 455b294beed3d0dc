"""The cell that the head uses: parameters, losses with their gradients, best tags."""

from __future__ import annotations

import mindspore
from mindspore import Parameter, Tensor, nn, ops

from bertcore.heads import TokenClassification
from bertcore_mindspore.crf.decoding import GraphDecoding
from bertcore_mindspore.crf.doubling import GraphLosses
from bertcore_mindspore.crf.host import HostDecoding, HostLosses
from bertcore_mindspore.crf.values import Leaves, Results, Scores
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.encoder import Inputs


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
        self.sum = ops.ReduceSum()
        self.segment_sum = ops.UnsortedSegmentSum()

    def losses(self, logits: Tensor, batch: Inputs) -> Tensor:
        """Returns the loss of each row, float32 ``[rows]``, from ``[tokens, tags]``."""
        emissions = self.gather(logits, batch["leaf_tokens"], 0)
        scores = (self.transitions, self.start, self.end)
        leaves = (batch["leaf_rows"], batch["leaf_tags"], batch["sequence_marks"])
        return self.row_losses(emissions, scores, leaves, batch["row_weights"], batch["blocked"])[0]

    def decode(self, logits: Tensor, batch: Inputs) -> Tensor:
        """Returns the best tags of each row, int32 ``[tokens]``, from ``[tokens, tags]``."""
        emissions = self.gather(logits, batch["leaf_tokens"], 0)
        scores = (self.transitions, self.start, self.end)
        of_leaves = self.best_tags(emissions, scores, batch["leaf_rows"], batch["position_marks"], batch["blocked"])
        return self.gather(of_leaves, batch["token_leaves"], 0)

    def row_sums(self, of_tokens: Tensor, batch: Inputs) -> Tensor:
        """Adds up ``[tokens]`` over the label positions of each row that are in its sequence, float32 ``[rows]``."""
        in_sequence = self.sum(batch["sequence_marks"][:2], 0)
        of_leaves = self.gather(of_tokens, batch["leaf_tokens"], 0) * in_sequence
        rows = batch["row_weights"].shape[0]
        return self.segment_sum(of_leaves, batch["leaf_rows"], rows + 1)[:rows]


class _WithGradient(nn.Cell):
    """Losses whose gradients were computed along with them."""

    def __init__(self, losses: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.compute = losses
        self.gather = ops.Gather()
        self.concat = ops.Concat(0)
        self.zeros_like = ops.ZerosLike()

    def construct(
        self, emissions: Tensor, scores: Scores, leaves: Leaves, row_weights: Tensor, blocked: Tensor
    ) -> Results:
        """Returns losses, and gradients that are no outputs to differentiate.

        Args:
            emissions: ``[leaves, tags]``.
            scores: the parameters.
            leaves: what belongs together.
            row_weights: says how many rows the shape has; nothing else is read of it.
            blocked: the same of bins.
        """
        return self.compute(emissions, scores, leaves, row_weights, blocked)

    def bprop(
        self,
        emissions: Tensor,
        scores: Scores,
        leaves: Leaves,
        row_weights: Tensor,
        blocked: Tensor,
        outputs: Results,
        gradients: Results,
    ) -> tuple[Tensor | tuple[Tensor, ...], ...]:
        """Gradients with regard to emissions and scores: those computed along, times the weight of each row's loss."""
        rows, tags, marks = leaves
        weights = gradients[0]
        of_leaves = self.gather(self.concat((weights, ops.zeros((1,), mindspore.float32))), rows, 0)
        return (
            outputs[1] * of_leaves.reshape(-1, 1),
            (
                (outputs[2] * weights.reshape(-1, 1, 1)).sum(0),
                (outputs[3] * weights.reshape(-1, 1)).sum(0),
                (outputs[4] * weights.reshape(-1, 1)).sum(0),
            ),
            (self.zeros_like(rows), self.zeros_like(tags), self.zeros_like(marks)),
            self.zeros_like(row_weights),
            self.zeros_like(blocked),
        )
