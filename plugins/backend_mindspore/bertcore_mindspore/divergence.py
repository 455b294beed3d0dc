"""How far outputs are from others, for the heads: Kullback-Leibler divergences, softened by a temperature.

Both are logits, divided by the temperature (Hinton et al. 2015, arXiv 1503.02531) before they become probabilities.
Gradients flow into both. Computed in the device's wide dtype; results are float32.
"""

from __future__ import annotations

import mindspore
from mindspore import Tensor, nn, ops

from bertcore_mindspore.activation import LogSoftmax
from bertcore_mindspore.devices import DeviceKind


class SoftmaxDivergence(nn.Cell):
    """KL(towards || outputs) over the last axis, ``[..., classes]`` to ``[...]``; logits must be finite."""

    def __init__(self, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.log_softmax = LogSoftmax()
        self.exp = ops.Exp()
        self.sum = ops.ReduceSum()
        self.cast = ops.Cast()

    def construct(self, outputs: Tensor, towards: Tensor, temperature: float) -> Tensor:
        """Returns it, float32."""
        log_outputs = self.log_softmax(self.cast(outputs, self.wide) / temperature)
        log_towards = self.log_softmax(self.cast(towards, self.wide) / temperature)
        return self.cast(self.sum(self.exp(log_towards) * (log_towards - log_outputs), -1), mindspore.float32)


class BernoulliDivergence(nn.Cell):
    """KL(towards || outputs) of a yes or no each, in the shape of the logits."""

    def __init__(self, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.exp = ops.Exp()
        self.log1p = ops.Log1p()
        self.absolute = ops.Abs()
        self.relu = ops.ReLU()
        self.cast = ops.Cast()

    def construct(self, outputs: Tensor, towards: Tensor, temperature: float) -> Tensor:
        """Returns it, float32."""
        outputs, towards = self.cast(outputs, self.wide) / temperature, self.cast(towards, self.wide) / temperature
        yes, no = self._softplus(-towards), self._softplus(towards)  # minus the logarithms of both probabilities
        of_yes = self.exp(-yes) * (self._softplus(-outputs) - yes)
        of_no = self.exp(-no) * (self._softplus(outputs) - no)
        return self.cast(of_yes + of_no, mindspore.float32)

    def _softplus(self, values: Tensor) -> Tensor:
        return self.relu(values) + self.log1p(self.exp(-self.absolute(values)))
