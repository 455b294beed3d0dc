"""The heads of the core on torch, and what a head of a third party must be.

The code of a head for this backend is a class like those below: a torch module made by
``Class(config, head)``, whose parameters have the canonical names that the head's ``parameter_table`` adds, with

- ``reads``, of the class or the instance: ``pooled`` (the pooled first token of each row, which only models with
  ``config.head_variant == "pooler"`` have), ``first_token`` or ``tokens``;
- ``outputs(hidden, batch, dropout)``: the outputs that the head declares, in the order of the batch;
- ``losses(outputs, batch)``: float32, one loss for each row, or for each label position where ``loss_per`` says
  ``label``; zero where the label is ignored. Their sum is what is minimized, divided once by the counts of the step.
- ``divergence(outputs, towards, batch, temperature=1.0)``: float32, shaped as the losses and zero where they are; how
  far outputs are from others of the same names, KL(towards || outputs), with logits divided by the temperature. Needed
  where passes agree (R-Drop), and nowhere else.

Logits and losses are float32 in every precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from bertcore import heads
from bertcore.contracts.bert_config import BertConfig
from bertcore.errors import ModelError
from bertcore.numerics import randomness
from torch import Tensor, nn

from bertcore_torch.class_losses import ClassLoss
from bertcore_torch.crf import ConditionalRandomField, Sequences
from bertcore_torch.divergence import bernoulli_divergence, softmax_divergence
from bertcore_torch.dropout import Dropout
from bertcore_torch.linear import Linear
from bertcore_torch.rows import HeadBatch

Reads = Literal["pooled", "first_token", "tokens"]
HEAD_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "gelu": F.gelu}


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

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Returns KL(towards || outputs) of each row or label position, float32."""
        raise NotImplementedError

    def loss_sum(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Returns the sum of all losses, a float32 scalar."""
        return self.losses(outputs, batch).sum()

    def row_losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Returns each row's part of the loss sum, float32 ``[rows]``."""
        losses = self.losses(outputs, batch)
        return losses if self.loss_per == "row" else _row_sums(losses, batch)


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
        self.activation = HEAD_ACTIVATIONS[config.head_activation]
        self.out_proj = nn.Linear(config.hidden_size, output_size)

    def forward(self, hidden: Tensor, dropout: Dropout) -> Tensor:
        """Maps ``[rows, hidden]`` to ``[rows, outputs]``."""
        hidden = self.activation(self.dense(dropout(hidden, randomness.HEAD_DENSE, self.rate)))
        return last_linear(self.out_proj, dropout(hidden, randomness.HEAD, self.rate))


class SequenceSummary(nn.Module):
    """A layer of the head's own in the pooler's place (ELECTRA's multiple choice)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.activation = HEAD_ACTIVATIONS[config.head_activation]
        self.summary = Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps ``[rows, hidden]`` to the same shape."""
        return self.activation(self.summary(hidden))


class _ClassifierHead(HeadModule):
    """Dropout and one linear layer, ``classifier``."""

    def __init__(self, config: BertConfig, head: heads.Head) -> None:
        super().__init__()
        self.rate = config.head_dropout_prob
        self.label_column = head.label_column
        self.classifier: nn.Module = nn.Linear(config.hidden_size, head.output_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``."""
        return {"logits": last_linear(self.classifier, dropout(hidden, randomness.HEAD, self.rate))}


class RowHead(_ClassifierHead):
    """One output per row: ``classifier`` on the pooled first token, or on what stands in the pooler's place.

    It is the base of every head whose description says ``uses_pooler`` and whose last layer is ``classifier``;
    ``config.head_variant`` says what is before that layer.
    """

    reads: Reads = "pooled"

    def __init__(self, config: BertConfig, head: heads.Head) -> None:
        super().__init__(config, head)
        self.config = config
        if config.head_variant == "dense":
            self.reads = "first_token"
            self.classifier = DenseClassifier(config, head.output_size)
        elif config.head_variant == "summary":
            self.reads = "first_token"
            self.sequence_summary = SequenceSummary(config)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``."""
        if isinstance(self.classifier, DenseClassifier):
            return {"logits": self.classifier(hidden, dropout)}
        if self.config.head_variant == "summary":
            hidden = self.sequence_summary(hidden)
        return super().outputs(hidden, batch, dropout)


class SequenceClassificationHead(RowHead):
    """:class:`bertcore.heads.SequenceClassification`: cross entropy, or a sigmoid for each label."""

    def __init__(self, config: BertConfig, head: heads.SequenceClassification) -> None:
        super().__init__(config, head)
        self.multi_label = head.multi_label
        self.class_loss = ClassLoss(head.loss)

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        labels, ignore = batch.columns[self.label_column], batch.ignore.get(self.label_column)
        if not self.multi_label:
            return self.class_loss.of_softmax(outputs["logits"], labels, ignore)
        return self.class_loss.of_sigmoids(outputs["logits"], labels, ignore).mean(dim=1)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives that of each row: of a softmax, or the mean over a sigmoid for each label."""
        labels, ignore = batch.columns[self.label_column], batch.ignore.get(self.label_column)
        logits = (outputs["logits"], towards["logits"])
        if not self.multi_label:
            return _without(softmax_divergence(*logits, temperature), labels, ignore)
        return _without(bernoulli_divergence(*logits, temperature), labels, ignore).mean(dim=1)


class RegressionHead(RowHead):
    """:class:`bertcore.heads.Regression`: squared error."""

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        labels = batch.columns[self.label_column].float()
        losses = (outputs["logits"].squeeze(1) - labels).square()
        return _without(losses, labels, batch.ignore.get(self.label_column))

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives the squared difference of each row, of both divided by the temperature."""
        squares = ((outputs["logits"] - towards["logits"]).squeeze(1) / temperature).square()
        return _without(squares, batch.columns[self.label_column], batch.ignore.get(self.label_column))


class TokenClassificationHead(_ClassifierHead):
    """:class:`bertcore.heads.TokenClassification`: cross entropy at each label position, or a CRF over those of a row.

    With a CRF, ``tags`` are only given where no gradient is asked for: a training step does not need the best path.
    """

    reads: Reads = "tokens"

    def __init__(self, config: BertConfig, head: heads.TokenClassification) -> None:
        super().__init__(config, head)
        self.loss_per = "row" if head.crf else "label"
        self.crf = ConditionalRandomField(head) if head.crf else None
        self.class_loss = ClassLoss(head.loss)

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
            return self.class_loss.of_softmax(outputs["logits"], labels, ignore)
        kept = None if ignore is None else labels != ignore
        return self.crf.losses(outputs["logits"], labels, _sequences(batch, kept))

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives that of the softmax at each label position, or with a CRF the sum of them in each row."""
        labels, ignore = batch.columns[self.label_column], batch.ignore.get(self.label_column)
        divergences = _without(softmax_divergence(outputs["logits"], towards["logits"], temperature), labels, ignore)
        return divergences if self.crf is None else _row_sums(divergences, batch)


class SpanExtractionHead(HeadModule):
    """:class:`bertcore.heads.SpanExtraction`: cross entropies of start and end over the tokens of a row."""

    reads: Reads = "tokens"

    def __init__(self, config: BertConfig, head: heads.SpanExtraction) -> None:
        super().__init__()
        self.qa_outputs = nn.Linear(config.hidden_size, head.output_size)

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``start_logits`` and ``end_logits``."""
        start, end = last_linear(self.qa_outputs, hidden).unbind(1)
        return {"start_logits": start, "end_logits": end}

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row."""
        start, end = (
            ClassLoss().of_softmax(logits, batch.columns[column], batch.ignore.get(column))
            for column, (logits,) in self._by_row(batch, outputs)
        )
        return (start + end) / 2

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives the mean of that of start and end over the tokens of each row."""
        start, end = (
            _without(softmax_divergence(*logits, temperature), batch.columns[column], batch.ignore.get(column))
            for column, logits in self._by_row(batch, outputs, towards)
        )
        return (start + end) / 2

    def _by_row(self, batch: HeadBatch, *outputs: dict[str, Tensor]) -> Iterator[tuple[str, list[Tensor]]]:
        """Of start and of end: the column of the gold, and the logits ``[rows, longest]``, very low behind a row."""
        columns = np.arange(int(batch.lengths.max(initial=0)))
        inside = columns < batch.lengths[:, None]
        starts = np.cumsum(batch.lengths) - batch.lengths
        device = outputs[0]["start_logits"].device
        token = torch.from_numpy(np.where(inside, starts[:, None] + columns, 0)).to(device)
        outside = torch.from_numpy(~inside).to(device)
        for name in ("start", "end"):
            # Not minus infinity, whose difference from itself, in a divergence, is no number.
            yield f"{name}_positions", [one[f"{name}_logits"][token].masked_fill(outside, -1e9) for one in outputs]


def last_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """A last layer, in float32 whatever the precision of the encoder."""
    return F.linear(x.float(), layer.weight.float(), layer.bias.float())


def _sequences(batch: HeadBatch, kept: Tensor | None = None) -> Sequences:
    assert batch.label_lengths is not None
    assert batch.label_rows is not None
    return Sequences(batch.label_lengths, batch.label_rows, kept)


def _row_sums(of_labels: Tensor, batch: HeadBatch) -> Tensor:
    """Adds up what belongs to the label positions of each row."""
    assert batch.label_rows is not None
    return of_labels.new_zeros(len(batch)).index_add(0, batch.label_rows, of_labels)


def _without(losses: Tensor, labels: Tensor, ignore: float | None) -> Tensor:
    return losses if ignore is None else losses.masked_fill(labels == ignore, 0.0)
