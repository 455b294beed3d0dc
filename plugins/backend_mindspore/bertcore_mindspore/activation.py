"""Activation functions, and the logarithm of the softmax; ``devices.py`` chooses the form of the exact GeLU.

A CPU has slow kernels for GeLU and Erf, and inexact ones for Tanh and LogSoftmax, so these are written out.
"""

from __future__ import annotations

import math

import mindspore
from mindspore import Tensor, nn, ops

from bertcore_mindspore.devices import DeviceKind

# Coefficients of P in Phi(x) = sigmoid(2 x P(x^2)), the normal distribution function, highest power first: a weighted
# least-squares fit on [0, 6], error of x Phi(x) below 1.3e-7.
_NORMAL_COEFFICIENTS = (
    1.99697752e-09,
    -1.41136215e-07,
    4.08231279e-06,
    -5.60053772e-05,
    -3.06946792e-05,
    3.63309616e-02,
    7.97885638e-01,
)


class _NormalDistribution(nn.Cell):
    """The distribution function of the normal distribution, with its density as the gradient."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.coefficients = tuple(2 * coefficient for coefficient in _NORMAL_COEFFICIENTS)
        self.sigmoid = ops.Sigmoid()
        self.exp = ops.Exp()

    def construct(self, values: Tensor) -> Tensor:
        """Returns Phi of each value."""
        square = values * values
        polynomial = square * self.coefficients[0] + self.coefficients[1]
        for coefficient in self.coefficients[2:]:
            polynomial = polynomial * square + coefficient
        return self.sigmoid(values * polynomial)

    def bprop(self, values: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """Gradient with regard to the values."""
        return (gradient * (self.exp(values * values * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))),)


class ComposedGelu(nn.Cell):
    """GeLU (Hendrycks and Gimpel, arXiv 1606.08415) in its exact form, ``x Phi(x)``, for a CPU."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.distribution = _NormalDistribution()

    def construct(self, values: Tensor) -> Tensor:
        """Applies it to each value."""
        return values * self.distribution(values)


class FusedGelu(nn.Cell):
    """GeLU in its exact form by MindSpore's error function."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.error_function = ops.Erf()

    def construct(self, values: Tensor) -> Tensor:
        """Applies it to each value."""
        return values * 0.5 * (self.error_function(values * math.sqrt(0.5)) + 1.0)


class TanhGelu(nn.Cell):
    """The approximation of GeLU by tanh (``gelu_new``); tanh as a sigmoid, since the CPU's Tanh errs by 1e-4."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.sigmoid = ops.Sigmoid()

    def construct(self, values: Tensor) -> Tensor:
        """Applies it to each value."""
        scale = 2.0 * math.sqrt(2.0 / math.pi)
        return values * self.sigmoid(values * (values * values * (0.044715 * scale) + scale))


class LogSoftmax(nn.Cell):
    """Logarithm of the softmax over the last dimension, in the dtype of its input.

    Written out, since the CPU's LogSoftmax computes in float32 with an error of 1e-5.
    """

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.largest = ops.ReduceMax(keep_dims=True)
        self.sum = ops.ReduceSum(keep_dims=True)
        self.exp = ops.Exp()
        self.log = ops.Log()

    def construct(self, values: Tensor) -> Tensor:
        """Maps ``[..., size]`` to the same shape."""
        shifted = values - self.largest(values, -1)
        return shifted - self.log(self.sum(self.exp(shifted), -1))

    def bprop(self, values: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """Gradient with regard to the values."""
        return (gradient - self.exp(output) * self.sum(gradient, -1),)


class WideTanh(nn.Cell):
    """Tanh in the device's wide dtype."""

    def __init__(self, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.tanh = ops.Tanh()
        self.cast = ops.Cast()

    def construct(self, values: Tensor) -> Tensor:
        """Applies it to each value."""
        return self.cast(self.tanh(self.cast(values, self.wide)), values.dtype)


class _AfterBias(nn.Cell):
    """An activation of values and a bias."""

    def __init__(self, activation: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.activation = activation
        self.add = ops.BiasAdd()

    def construct(self, values: Tensor, bias: Tensor) -> Tensor:
        """Applies it to each value; the bias may be absent, with one element."""
        return self.activation(self.add(values, bias) if bias.shape[0] == values.shape[1] else values)


def fused_activation_of(name: str) -> nn.Cell:
    """Returns the cell of a ``hidden_act`` of values and a bias, for a CPU with the fused kernels."""
    if name == "gelu":
        from bertcore_mindspore import kernels

        return kernels.BiasGelu()
    return _AfterBias(activation_of(name, ComposedGelu))


def activation_of(name: str, gelu: type[nn.Cell]) -> nn.Cell:
    """Returns the cell of a ``hidden_act``; ``gelu`` is the device's exact one."""
    return {"gelu": gelu, "gelu_new": TanhGelu, "relu": ops.ReLU}[name]()
