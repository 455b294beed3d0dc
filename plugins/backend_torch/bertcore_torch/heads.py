"""The heads of the core on torch, and what a head of a third party must be.

The code of a head for this backend is a class like those below: a torch module made by
``Class(config, head)``, whose parameters have the canonical names that the head's ``parameter_table`` adds, with

- ``reads``, of the class or the instance: ``pooled`` (the pooled first token of each row, which only models with
  ``config.head_variant == "pooler"`` have), ``first_token`` or ``tokens``;
- ``outputs(hidden, batch, dropout)``: the outputs that the head declares, in the order of the batch;
- ``losses(outputs, batch)``: float32, one loss for each row, or for each label position where ``loss_per`` says
  ``label``; zero where the label is ignored. Their sum is what is minimized, divided once by the counts of the step.

Logits and losses are float32 in every precision.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from bertcore import heads
from bertcore.contracts.bert_config import BertConfig
from bertcore.errors import ModelError
from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch.crf import ConditionalRandomField, Sequences
from bertcore_torch.dropout import Dropout
from bertcore_torch.linear import Linear
from bertcore_torch.rows import HeadBatch

Reads = Literal["pooled", "first_token", "tokens"]


class HeadModule(nn.Module):
    """Base of the heads below.

    Class attributes:
        reads: what ``hidden`` is: ``[rows, hidden]`` for ``pooled`` and ``first_token``, ``[tokens, hidden]`` for
            ``tokens``.
        loss_per: what one loss belongs to.
    """

    reads: Reads
    loss_per: Literal["row", "label"] = "row"

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Returns the declared outputs in the order of the batch."""
        raise NotImplementedError

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Returns the loss of each row or label position, float32."""
        raise NotImplementedError

    def loss_sum(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Returns the sum of all losses, a float32 scalar."""
        return self.losses(outputs, batch).sum()

    def row_losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Returns each row's part of the loss sum, float32 ``[rows]``."""
        losses = self.losses(outputs, batch)
        if self.loss_per == "row":
            return losses
        assert batch.label_rows is not None
        return losses.new_zeros(len(batch)).index_add(0, batch.label_rows, losses)


def refuse_pooler_of_others(config: BertConfig, head: HeadModule) -> None:
    """Refuses a head that reads a pooler on a model of a family that has none.

    Raises:
        ModelError: the head and the model do not fit.
    """
    if head.reads == "pooled" and config.head_variant != "pooler":
        raise ModelError(
            f"{type(head).__name__} reads a pooler, and models of the family {config.family} have none",
            "use a head that reads the first token there, or a model of the family bert",
            code="head-mismatch",
        )


class DenseClassifier(nn.Module):
    """Two linear layers with an activation between them, each behind dropout (RoBERTa, ELECTRA)."""

    def __init__(self, config: BertConfig, output_size: int) -> None:
        super().__init__()
        self.rate = config.head_dropout_prob
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.activation = {"tanh": torch.tanh, "gelu": F.gelu}[config.head_activation]
        self.out_proj = nn.Linear(config.hidden_size, output_size)

    def forward(self, hidden: Tensor, dropout: Dropout) -> Tensor:
        """Maps ``[rows, hidden]`` to ``[rows, outputs]``."""
        hidden = self.activation(self.dense(dropout(hidden, randomness.HEAD_DENSE, self.rate)))
        return _linear(self.out_proj, dropout(hidden, randomness.HEAD, self.rate))


class _ClassifierHead(HeadModule):
    """Dropout and one linear layer, ``classifier``."""

    def __init__(self, config: BertConfig, head: heads.Head) -> None:
        super().__init__()
        self.rate = config.head_dropout_prob
        self.label_column = head.label_column
        self.classifier: nn.Module = nn.Linear(config.hidden_size, head.output_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``."""
        return {"logits": _linear(self.classifier, dropout(hidden, randomness.HEAD, self.rate))}


class _RowHead(_ClassifierHead):
    """One output per row: ``classifier`` on the pooled first token, or two dense layers on the first token itself."""

    reads: Reads = "pooled"

    def __init__(self, config: BertConfig, head: heads.Head) -> None:
        super().__init__(config, head)
        if config.head_variant == "dense":
            self.reads = "first_token"
            self.classifier = DenseClassifier(config, head.output_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``."""
        if isinstance(self.classifier, DenseClassifier):
            return {"logits": self.classifier(hidden, dropout)}
        return super().outputs(hidden, batch, dropout)


class SequenceClassificationHead(_RowHead):
    """:class:`bertcore.heads.SequenceClassification`: cross entropy, or a sigmoid for each label."""

    def __init__(self, config: BertConfig, head: heads.SequenceClassification) -> None:
        super().__init__(config, head)
        self.multi_label = head.multi_label

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        labels, ignore = batch.columns[self.label_column], batch.ignore.get(self.label_column)
        if not self.multi_label:
            return _cross_entropy(outputs["logits"], labels, ignore)
        labels = labels.float()
        losses = F.binary_cross_entropy_with_logits(outputs["logits"], labels, reduction="none")
        return _without(losses, labels, ignore).mean(dim=1)


class RegressionHead(_RowHead):
    """:class:`bertcore.heads.Regression`: squared error."""

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        labels = batch.columns[self.label_column].float()
        losses = (outputs["logits"].squeeze(1) - labels).square()
        return _without(losses, labels, batch.ignore.get(self.label_column))


class TokenClassificationHead(_ClassifierHead):
    """:class:`bertcore.heads.TokenClassification`: cross entropy at each label position, or a CRF over those of a row.

    With a CRF, ``tags`` are only given where no gradient is asked for: a training step does not need the best path.
    """

    reads: Reads = "tokens"

    def __init__(self, config: BertConfig, head: heads.TokenClassification) -> None:
        super().__init__(config, head)
        self.loss_per = "row" if head.crf else "label"
        self.crf = ConditionalRandomField(head) if head.crf else None

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits`` and ``tags``, the best label or the best path, at the label positions."""
        assert batch.label_tokens is not None, "the batch has no label positions"
        outputs = super().outputs(hidden.index_select(0, batch.label_tokens), batch, dropout)
        if self.crf is None:
            return {**outputs, "tags": outputs["logits"].argmax(dim=1).int()}
        if torch.is_grad_enabled():
            return outputs
        return {**outputs, "tags": self.crf.decode(outputs["logits"], _sequences(batch))}

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each label position, or with a CRF for each row."""
        labels, ignore = batch.columns[self.label_column], batch.ignore.get(self.label_column)
        if self.crf is None:
            return _cross_entropy(outputs["logits"], labels, ignore)
        kept = None if ignore is None else labels != ignore
        return self.crf.losses(outputs["logits"], labels, _sequences(batch, kept))


class SpanExtractionHead(HeadModule):
    """:class:`bertcore.heads.SpanExtraction`: cross entropies of start and end over the tokens of a row."""

    reads: Reads = "tokens"

    def __init__(self, config: BertConfig, head: heads.SpanExtraction) -> None:
        super().__init__()
        self.qa_outputs = nn.Linear(config.hidden_size, head.output_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``start_logits`` and ``end_logits``."""
        start, end = _linear(self.qa_outputs, hidden).unbind(1)
        return {"start_logits": start, "end_logits": end}

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        columns = np.arange(int(batch.lengths.max(initial=0)))
        inside = columns < batch.lengths[:, None]
        starts = np.cumsum(batch.lengths) - batch.lengths
        device = outputs["start_logits"].device
        token = torch.from_numpy(np.where(inside, starts[:, None] + columns, 0)).to(device)
        outside = torch.from_numpy(~inside).to(device)
        total = torch.zeros(len(batch), device=device)
        for name in ("start", "end"):
            by_row = outputs[f"{name}_logits"][token].masked_fill(outside, float("-inf"))
            column = f"{name}_positions"
            total = total + _cross_entropy(by_row, batch.columns[column], batch.ignore.get(column)) / 2
        return total


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """A last layer, in float32 whatever the precision of the encoder."""
    return F.linear(x.float(), layer.weight.float(), layer.bias.float())


def _sequences(batch: HeadBatch, kept: Tensor | None = None) -> Sequences:
    assert batch.label_lengths is not None
    assert batch.label_rows is not None
    return Sequences(batch.label_lengths, batch.label_rows, kept)


def _cross_entropy(logits: Tensor, labels: Tensor, ignore: float | None) -> Tensor:
    return F.cross_entropy(
        logits, labels.long(), ignore_index=-100 if ignore is None else int(ignore), reduction="none"
    )


def _without(losses: Tensor, labels: Tensor, ignore: float | None) -> Tensor:
    return losses if ignore is None else losses.masked_fill(labels == ignore, 0.0)
