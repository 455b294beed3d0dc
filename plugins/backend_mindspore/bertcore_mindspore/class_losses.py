"""Losses over classes, of a softmax and of a sigmoid for each, as :class:`LossOptions` says they are shaped.

Computed in the device's wide dtype; results are float32. What is not asked for is no part of the graph.
"""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from bertcore.contracts.loss_options import LEAST_DOUBT, LossOptions
from bertcore_mindspore.activation import LogSoftmax
from bertcore_mindspore.devices import DeviceKind


class _ClassLoss(nn.Cell):
    """What both have: the options, and the weights as a constant of the graph."""

    def __init__(self, options: LossOptions, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.smoothing = options.label_smoothing
        self.gamma = options.focal_gamma
        self.wide = getattr(mindspore, device.wide_dtype)
        self.has_weights = bool(options.class_weights)
        self.weights = Tensor(np.array(options.class_weights or (1.0,)), self.wide)
        self.exp = ops.Exp()
        self.cast = ops.Cast()


class SoftmaxLoss(_ClassLoss):
    """Loss of each label: logits and one-hot targets ``[n, classes]`` to ``[n]``, 0 where all targets are 0."""

    def __init__(self, options: LossOptions, device: DeviceKind) -> None:
        super().__init__(options, device)
        self.log_softmax = LogSoftmax()
        self.log = ops.Log()
        self.maximum = ops.Maximum()
        self.least = Tensor(LEAST_DOUBT, self.wide)
        self.sum = ops.ReduceSum()
        self.sum_kept = ops.ReduceSum(keep_dims=True)

    def construct(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns it, float32."""
        targets = self.cast(targets, self.wide)
        logarithms = self.log_softmax(self.cast(logits, self.wide))
        if self.smoothing > 0:
            shared = self.sum_kept(targets, -1) * (self.smoothing / targets.shape[-1])
            targets = targets * (1 - self.smoothing) + shared
        if self.has_weights:
            targets = targets * self.weights
        if self.gamma > 0:
            doubt = self.maximum(1 - self.exp(logarithms), self.least)
            targets = targets * self.exp(self.log(doubt) * self.gamma)
        return self.cast(-self.sum(targets * logarithms, -1), mindspore.float32)


class SigmoidLoss(_ClassLoss):
    """Loss of each label: logits and targets of 0 and 1 of one shape."""

    def __init__(self, options: LossOptions, device: DeviceKind) -> None:
        super().__init__(options, device)
        self.shaped = bool(options.given)
        self.log1p = ops.Log1p()
        self.absolute = ops.Abs()
        self.relu = ops.ReLU()

    def construct(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns it, float32."""
        logits, targets = self.cast(logits, self.wide), self.cast(targets, self.wide)
        if not self.shaped:
            return self.cast(self.relu(logits) - logits * targets + self._tail(logits), mindspore.float32)
        if self.smoothing > 0:
            targets = targets * (1 - self.smoothing) + self.smoothing / 2
        # Minus the logarithms of both probabilities.
        yes, no = self.relu(-logits) + self._tail(logits), self.relu(logits) + self._tail(logits)
        of_yes, of_no = yes * targets, no * (1 - targets)
        if self.has_weights:
            of_yes = of_yes * self.weights
        if self.gamma > 0:
            of_yes, of_no = of_yes * self.exp(-no * self.gamma), of_no * self.exp(-yes * self.gamma)
        return self.cast(of_yes + of_no, mindspore.float32)

    def _tail(self, logits: Tensor) -> Tensor:
        return self.log1p(self.exp(-self.absolute(logits)))
