"""LayerNorm, of which ``devices.py`` chooses a form, and the check that ``bertcore doctor`` makes with it.

The composed form uses only kernels that are fast on a CPU: matrix products, BiasAdd, and elementwise operators on equal
shapes. A broadcast there costs several times a product with a vector of ones: the mean of each row is a product with a
column of 1/size, and spreading it over the row again is a product with a row of ones.

    values [rows, size] @ mean [size, 1] = means [rows, 1] @ row [1, size] = means, spread [rows, size]
"""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn, ops


class _ComposedLayerNormFunction(nn.Cell):
    """LayerNorm with its gradient; apart from the parameters, since a cell that owns some can have no ``bprop``."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__(auto_prefix=False)
        self.eps = eps
        self.mean = Tensor(np.full((size, 1), 1 / size, dtype=np.float32))
        self.row = Tensor(np.ones((1, size), dtype=np.float32))
        self.product = ops.MatMul()
        self.column_sum = ops.MatMul(transpose_a=True)
        self.add = ops.BiasAdd()
        self.inverse_root = ops.Rsqrt()
        self.reshape = ops.Reshape()

    def normalize(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the normalized values and the inverse deviation of each row ``[rows, 1]``."""
        centred = values - self.product(self.product(values, self.mean), self.row)
        inverse = self.inverse_root(self.product(centred * centred, self.mean) + self.eps)
        return centred * self.product(inverse, self.row), inverse

    def construct(self, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Normalizes ``[rows, size]``."""
        centred = values - self.product(self.product(values, self.mean), self.row)
        inverse = self.inverse_root(self.product(centred * centred, self.mean) + self.eps)
        return self.add(centred * self.product(inverse, self.reshape(weight, (1, -1))), bias)

    def bprop(
        self, values: Tensor, weight: Tensor, bias: Tensor, output: Tensor, gradient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients with regard to the values, the weight and the bias."""
        normalized, inverse = self.normalize(values)
        ones = ops.ones((values.shape[0], 1), mindspore.float32)
        weight_gradient = self.reshape(self.column_sum(ones, gradient * normalized), weight.shape)
        bias_gradient = self.reshape(self.column_sum(ones, gradient), bias.shape)
        inner = gradient * self.product(ones, self.reshape(weight, (1, -1)))
        mean = self.product(self.product(inner, self.mean), self.row)
        slope = self.product(self.product(inner * normalized, self.mean), self.row)
        values_gradient = (inner - mean - normalized * slope) * self.product(inverse, self.row)
        return values_gradient, weight_gradient, bias_gradient


class ComposedLayerNorm(nn.Cell):
    """LayerNorm (Ba et al., arXiv 1607.06450) of matrix products, for a CPU."""

    def __init__(self, weight: Parameter, bias: Parameter, eps: float) -> None:
        super().__init__(auto_prefix=False)
        self.weight = weight
        self.bias = bias
        self.function = _ComposedLayerNormFunction(weight.shape[0], eps)

    def construct(self, values: Tensor) -> Tensor:
        """Normalizes ``[rows, size]``."""
        return self.function(values, self.weight, self.bias)


class FusedLayerNorm(nn.Cell):
    """LayerNorm by MindSpore's primitive, in float32."""

    def __init__(self, weight: Parameter, bias: Parameter, eps: float) -> None:
        super().__init__(auto_prefix=False)
        self.weight = weight
        self.bias = bias
        self.normalize = ops.LayerNorm(-1, -1, eps)
        self.cast = ops.Cast()

    def construct(self, values: Tensor) -> Tensor:
        """Normalizes ``[rows, size]``."""
        normalized = self.normalize(self.cast(values, mindspore.float32), self.weight, self.bias)[0]
        return self.cast(normalized, values.dtype)


class KernelLayerNorm(nn.Cell):
    """LayerNorm by a fused kernel, for a CPU that has it."""

    def __init__(self, weight: Parameter, bias: Parameter, eps: float) -> None:
        super().__init__(auto_prefix=False)
        from bertcore_mindspore import kernels

        self.weight = weight
        self.bias = bias
        self.normalize = kernels.AddNorm(eps)
        self.absent = kernels.absent()
        self.no_mask = kernels.no_mask()

    def construct(self, values: Tensor) -> Tensor:
        """Normalizes ``[rows, size]``."""
        return self.normalize(values, self.absent, self.no_mask, self.absent, self.weight, self.bias)[0]


def check_block(device: str) -> float:
    """Computes a LayerNorm of a product on the configured device; returns the largest difference from numpy."""
    from bertcore_mindspore.devices import DEVICES, split_device

    row = DEVICES[split_device(device)[0]]
    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((16, 16)).astype(np.float32) for _ in range(2))
    one, zero = Parameter(Tensor(np.ones(16, np.float32))), Parameter(Tensor(np.zeros(16, np.float32)))
    cell = globals()[row.layer_norm](one, zero, 1e-12)
    result = mindspore.jit(cell, jit_level=row.jit_level, backend="ms_backend")(ops.matmul(Tensor(left), Tensor(right)))
    product = left.astype(np.float64) @ right
    expected = (product - product.mean(-1, keepdims=True)) / product.std(-1, keepdims=True)
    return float(np.abs(result.asnumpy() - expected).max())
