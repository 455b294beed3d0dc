"""The heads of MindSpore.

A head is a cell with

- ``columns(rows) -> dict of name to numpy array`` (host): the arrays of one call that its loss reads, in the same
  static shape and under the same names whether or not the batch carries labels (zeros where it does not);
- ``construct(hidden, batch, forward_pass) -> dict of outputs`` (graph): what the description's ``outputs`` names,
  each ``[rows, ...]`` or ``[tokens, ...]`` of the static shape; the host picks the real ones;
- ``column_names`` and ``output_names``: the keys of both, in an order of the head's choice;
- ``empty_output(name)`` (host): an output of a batch without rows;
- ``losses(outputs, batch)`` (graph): float32 ``[rows]`` or ``[tokens]`` of the static shape, as ``loss_per`` says,
  zero where nothing is to be learned; their sum is the loss;
- ``divergence(outputs, towards, batch, temperature)`` (graph): float32, shaped as the losses and zero where they are;
  how far outputs are from others of the same names, KL(towards || outputs), with logits divided by the temperature.
  Needed where passes agree (R-Drop), and nowhere else;
- ``reads_first_tokens``, of the class: whether it reads the hidden states at ``batch["first_tokens"]`` alone, so that
  no others need be computed in the last layer;
- ``dropout_per``, of the class: whose hidden states it drops, see :class:`bertcore_mindspore.dropout.DropoutPlan`.

Logits and losses are float32 in every precision.
"""

from __future__ import annotations

from typing import ClassVar

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.batch import Per
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.loss_options import LossOptions
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.numerics.randomness import HEAD, HEAD_DENSE
from bertcore_mindspore import activation, crf
from bertcore_mindspore.activation import WideTanh
from bertcore_mindspore.class_losses import SigmoidLoss, SoftmaxLoss
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.divergence import BernoulliDivergence, SoftmaxDivergence
from bertcore_mindspore.dropout import Dropout, DropoutPlan
from bertcore_mindspore.encoder import Inputs, Names
from bertcore_mindspore.linear import Linear
from bertcore_mindspore.rows import PackedRows


class RowHead(nn.Cell):
    """One output per row: ``classifier`` on the pooled first token, or on what stands in the pooler's place.

    It is the base of every head whose description says ``uses_pooler`` and whose last layer is ``classifier``;
    ``config.head_variant`` says what is before that layer.
    """

    loss_per: ClassVar[Per] = "row"
    reads_first_tokens: ClassVar[bool] = True
    dropout_per: ClassVar[Per | None] = "row"
    column_names: ClassVar[tuple[str, ...]] = ("targets",)
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self, config: BertConfig, head: Head, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        first, last = {
            "pooler": (f"{config.prefix}pooler.dense", "classifier"),
            "dense": ("classifier.dense", "classifier.out_proj"),
            "summary": ("sequence_summary.summary", "classifier"),
        }[config.head_variant]
        self.head = head
        self.dense_dropout = Dropout(dropout, HEAD_DENSE)  # which drops nothing but in front of two dense layers
        self.dense = Linear(parameters[f"{first}.weight"], parameters[f"{first}.bias"])
        uses_gelu = config.head_variant != "pooler" and config.head_activation == "gelu"
        self.activation = getattr(activation, device.gelu)() if uses_gelu else WideTanh(device)
        self.dropout = Dropout(dropout, HEAD)
        self.classifier = Linear(parameters[f"{last}.weight"], parameters[f"{last}.bias"])
        self.gather = ops.Gather()
        self.wide = getattr(mindspore, device.wide_dtype)
        self.cast = ops.Cast()
        self.sum = ops.ReduceSum()

    def empty_output(self, name: str) -> NDArray[np.generic]:
        """No row, of one number for each label."""
        return np.zeros((0, self.head.output_size), dtype=np.float32)

    def construct(self, hidden: Tensor, batch: Inputs, forward_pass: int) -> dict[str, Tensor]:
        """Returns ``logits``, float32 ``[rows, labels]``."""
        masks = batch["masks"]
        first = self.dense_dropout(self.gather(hidden, batch["first_tokens"], 0), masks, forward_pass)
        pooled = self.dropout(self.activation(self.dense(first)), masks, forward_pass)
        return {"logits": self.classifier(self.cast(pooled, mindspore.float32))}


class SequenceClassificationHead(RowHead):
    """Cross entropy over the labels, or the mean of one binary cross entropy per label."""

    def __init__(
        self,
        config: BertConfig,
        head: SequenceClassification,
        parameters: Names,
        device: DeviceKind,
        dropout: DropoutPlan,
    ) -> None:
        super().__init__(config, head, parameters, device, dropout)
        self.multi_label = head.multi_label
        self.class_loss = SigmoidLoss(head.loss, device) if head.multi_label else SoftmaxLoss(head.loss, device)
        self.mean = ops.ReduceMean()
        self.label_divergence = BernoulliDivergence(device) if head.multi_label else SoftmaxDivergence(device)

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """``targets``: float32 ``[rows, labels]``."""
        labels = rows.batch.columns.get(self.head.label_column)
        size = self.head.output_size
        if labels is None:
            targets = np.zeros((0, size), dtype=np.float32)
        elif self.multi_label:
            targets = labels.values
        else:
            targets = _one_hot(labels.values, size, labels.ignore)
        return {"targets": rows.per_row(targets, np.float32)}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each row."""
        losses = self.class_loss(outputs["logits"], batch["targets"])
        return self.mean(losses, -1) * batch["row_weights"] if self.multi_label else losses

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """That of each row: of a softmax, or the mean over a sigmoid for each label."""
        divergences = self.label_divergence(outputs["logits"], towards["logits"], temperature)
        if self.multi_label:
            return self.mean(divergences, -1) * batch["row_weights"]
        return divergences * self.sum(batch["targets"], -1)  # all of which are zero where the label is ignored


class RegressionHead(RowHead):
    """Squared error."""

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """``targets``: float32 ``[rows]``."""
        labels = rows.batch.columns.get(self.head.label_column)
        targets = np.zeros(0, dtype=np.float32) if labels is None else labels.values
        return {"targets": rows.per_row(targets, np.float32)}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each row."""
        difference = self.sum(outputs["logits"], -1) - batch["targets"]
        return difference * difference * batch["row_weights"]

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """The squared difference of each row, of both divided by the temperature."""
        difference = self.sum(outputs["logits"] - towards["logits"], -1) / temperature
        return difference * difference * batch["row_weights"]


class TokenClassificationHead(nn.Cell):
    """Cross entropy over the tags of each label position, or a conditional random field over those of a row."""

    loss_per: Per = "token"
    reads_first_tokens: ClassVar[bool] = False
    dropout_per: ClassVar[Per | None] = "token"
    output_names: ClassVar[tuple[str, ...]] = ("logits", "tags")

    def __init__(
        self, config: BertConfig, head: TokenClassification, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        self.head = head
        self.classifier = Linear(parameters["classifier.weight"], parameters["classifier.bias"])
        self.dropout = Dropout(dropout, HEAD)
        self.has_crf = head.crf
        self.column_names = crf.COLUMN_NAMES if head.crf else ("targets",)
        if head.crf:
            self.loss_per = "row"
            self.crf = crf.ConditionalRandomField(head, parameters, device)
        self.class_loss = SoftmaxLoss(head.loss, device)
        self.softmax_divergence = SoftmaxDivergence(device)
        self.argmax = ops.Argmax(-1, mindspore.int32)
        self.cast = ops.Cast()
        self.sum = ops.ReduceSum()

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """``targets``: float32 ``[tokens, labels]``, all zero on tokens without a label; or those of ``crf``."""
        if self.has_crf:
            return crf.columns(rows, self.head.label_column)
        targets = np.zeros((rows.shape.tokens, self.head.output_size), dtype=np.float32)
        labels = rows.batch.columns.get(self.head.label_column)
        if labels is not None:
            targets[rows.label_positions] = _one_hot(labels.values, self.head.output_size, labels.ignore)
        return {"targets": targets}

    def empty_output(self, name: str) -> NDArray[np.generic]:
        """No label position, of one tag, or of one number for each label."""
        if name == "tags":
            return np.zeros(0, dtype=np.int32)
        return np.zeros((0, self.head.output_size), dtype=np.float32)

    def construct(self, hidden: Tensor, batch: Inputs, forward_pass: int) -> dict[str, Tensor]:
        """Returns ``logits``, float32 ``[tokens, labels]``, and ``tags``, int32 ``[tokens]``."""
        dropped = self.dropout(hidden, batch["masks"], forward_pass)
        logits = self.classifier(self.cast(dropped, mindspore.float32))
        tags = self.crf.decode(logits, batch) if self.has_crf else self.argmax(logits)
        return {"logits": logits, "tags": tags}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each token, or with a conditional random field of each row."""
        if self.has_crf:
            return self.crf.losses(outputs["logits"], batch)
        return self.class_loss(outputs["logits"], batch["targets"])

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """That of the softmax of each token with a label, or with a conditional random field the sum of each row."""
        divergences = self.softmax_divergence(outputs["logits"], towards["logits"], temperature)
        if self.has_crf:
            return self.crf.row_sums(divergences, batch)
        return divergences * self.sum(batch["targets"], -1)


class SpanExtractionHead(nn.Cell):
    """Cross entropy of start and end over the tokens of a row, and their mean."""

    loss_per: ClassVar[Per] = "row"
    reads_first_tokens: ClassVar[bool] = False
    dropout_per: ClassVar[Per | None] = None  # transformers has no dropout in front of this layer
    column_names: ClassVar[tuple[str, ...]] = ("row_tokens", "row_blocked", "start_targets", "end_targets")
    output_names: ClassVar[tuple[str, ...]] = ("start_logits", "end_logits")

    def __init__(
        self, config: BertConfig, head: Head, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(auto_prefix=False)
        self.head = head
        self.qa_outputs = Linear(parameters["qa_outputs.weight"], parameters["qa_outputs.bias"])
        self.cross_entropy = SoftmaxLoss(LossOptions(), device)
        self.softmax_divergence = SoftmaxDivergence(device)
        self.gather = ops.Gather()
        self.cast = ops.Cast()
        self.sum = ops.ReduceSum()

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """``row_tokens``: int32 ``[rows * length]``, the position of each token of each row; ``row_blocked``: float32
        ``[rows, length]``, 1 beyond the row's end; the targets: float32 ``[rows, length]``.
        """
        shape, batch = rows.shape, rows.batch
        row_tokens, row_blocked = rows.by_row()
        columns: dict[str, NDArray[np.generic]] = {"row_tokens": row_tokens, "row_blocked": row_blocked}
        for side in ("start", "end"):
            positions = batch.columns.get(f"{side}_positions")
            targets = np.zeros((0, shape.length), dtype=np.float32)
            if positions is not None:
                targets = _one_hot(positions.values, shape.length, positions.ignore)
            columns[f"{side}_targets"] = rows.per_row(targets, np.float32)
        return columns

    def empty_output(self, name: str) -> NDArray[np.generic]:
        """No token, of one number."""
        return np.zeros(0, dtype=np.float32)

    def construct(self, hidden: Tensor, batch: Inputs, forward_pass: int) -> dict[str, Tensor]:
        """Returns ``start_logits`` and ``end_logits``, float32 ``[tokens]``."""
        logits = self.qa_outputs(self.cast(hidden, mindspore.float32))
        return {"start_logits": logits[:, 0], "end_logits": logits[:, 1]}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each row."""
        start = self.cross_entropy(self._by_row(outputs["start_logits"], batch), batch["start_targets"])
        end = self.cross_entropy(self._by_row(outputs["end_logits"], batch), batch["end_targets"])
        return (start + end) * 0.5

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """The mean of that of start and end over the tokens of each row."""
        total = batch["row_weights"] * 0.0
        for name in ("start", "end"):
            logits, others = outputs[f"{name}_logits"], towards[f"{name}_logits"]
            divergences = self.softmax_divergence(self._by_row(logits, batch), self._by_row(others, batch), temperature)
            total = total + divergences * self.sum(batch[f"{name}_targets"], -1)
        return total * 0.5

    def _by_row(self, logits: Tensor, batch: Inputs) -> Tensor:
        """Logits ``[rows, length]``, very low behind a row."""
        blocked = batch["row_blocked"]
        return self.gather(logits, batch["row_tokens"], 0).reshape(blocked.shape) + blocked * -1e9


def _one_hot(labels: NDArray[np.generic], size: int, ignore: float | None) -> NDArray[np.float32]:
    """One row per label: 1 at the label, all zero where it is ignored."""
    rows = np.zeros((len(labels), size), dtype=np.float32)
    counted = np.arange(len(labels)) if ignore is None else np.flatnonzero(labels != ignore)
    rows[counted, labels[counted].astype(np.int64)] = 1.0
    return rows
