"""Losses over classes, of a softmax and of a sigmoid for each, as :class:`LossOptions` says they are shaped.

Where there is no focal loss, they are torch's own functions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bertcore.contracts.loss_options import LEAST_DOUBT, LossOptions
from torch import Tensor


class ClassLoss:
    """The options on a device.

    Args:
        options: how the losses are shaped; by default not at all.
    """

    def __init__(self, options: LossOptions | None = None) -> None:
        self._options = options or LossOptions()
        self._weights: Tensor | None = None

    def of_softmax(self, logits: Tensor, labels: Tensor, ignore: float | None) -> Tensor:
        """Loss of each label: logits ``[n, classes]`` and labels ``[n]`` to ``[n]``, 0 where the label is ignored."""
        options, labels = self._options, labels.long()
        ignored = -100 if ignore is None else int(ignore)
        if not options.focal_gamma:
            weights, smoothing = self._weights_on(logits.device), options.label_smoothing
            return F.cross_entropy(
                logits, labels, weights, ignore_index=ignored, reduction="none", label_smoothing=smoothing
            )
        logarithms = F.log_softmax(logits, dim=-1)
        doubt = (-logarithms.expm1()).clamp_min(LEAST_DOUBT)
        losses = -logarithms * doubt.pow(options.focal_gamma)
        kept = labels != ignored
        return (losses * self._targets(labels.where(kept, 0), logits)).sum(dim=-1).where(kept, 0.0)

    def of_sigmoids(self, logits: Tensor, labels: Tensor, ignore: float | None) -> Tensor:
        """Loss of each label: logits and labels of 0 and 1 of one shape, 0 where the label is ignored."""
        options, weights = self._options, self._weights_on(logits.device)
        targets = labels.float()
        if options.label_smoothing:
            targets = targets * (1 - options.label_smoothing) + options.label_smoothing / 2
        if not options.focal_gamma:
            losses = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="none")
        else:
            yes, no = F.logsigmoid(logits), F.logsigmoid(-logits)
            of_yes, of_no = (yes * (no * options.focal_gamma).exp(), no * (yes * options.focal_gamma).exp())
            losses = -(of_yes * (targets if weights is None else targets * weights) + of_no * (1 - targets))
        return losses if ignore is None else losses.masked_fill(labels == ignore, 0.0)

    def _targets(self, labels: Tensor, logits: Tensor) -> Tensor:
        """How much each class of each label counts, ``[n, classes]``."""
        smoothing, classes = self._options.label_smoothing, logits.shape[-1]
        targets = torch.full_like(logits, smoothing / classes)
        targets = targets.scatter_add(-1, labels[..., None], torch.full_like(logits[..., :1], 1 - smoothing))
        weights = self._weights_on(logits.device)
        return targets if weights is None else targets * weights

    def _weights_on(self, device: torch.device) -> Tensor | None:
        # Not a buffer of the head, which precisions below float32 would round.
        weights = self._options.class_weights
        if weights and (self._weights is None or self._weights.device != device):
            with torch.inference_mode(False):  # a prediction may ask for them before a training step does
                self._weights = torch.tensor(weights, dtype=torch.float32, device=device)
        return self._weights
