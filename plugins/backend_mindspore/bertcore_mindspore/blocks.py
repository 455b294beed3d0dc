"""The building blocks among which ``devices.py`` chooses, and the linear layer that all devices share.

The composed blocks use only kernels that are fast on a CPU: matrix products, BiasAdd, and elementwise operators on
equal shapes. A broadcast there costs several times a product with a vector of ones, and the gradients of softmax and
LayerNorm are slow, so both are written out.
"""

from __future__ import annotations

import math

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from bertcore.contracts.bert_config import BertConfig

_BLOCKED = -1e9


class Linear(nn.Cell):
    """``x weight^T + bias``, computed in the dtype of ``x``."""

    def __init__(self, weight: Parameter, bias: Parameter) -> None:
        super().__init__(auto_prefix=False)
        self.weight = weight
        self.bias = bias
        self.product = ops.MatMul(transpose_b=True)
        self.add = ops.BiasAdd()
        self.cast = ops.Cast()

    def construct(self, values: Tensor) -> Tensor:
        """Maps ``[rows, in]`` to ``[rows, out]``."""
        weight = self.cast(self.weight, values.dtype)
        return self.add(self.product(values, weight), self.cast(self.bias, values.dtype))


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


class _ComposedSoftmax(nn.Cell):
    """Softmax over the last dimension; the gradient sums rows by products with ones."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.softmax = ops.Softmax(-1)
        self.product = ops.MatMul()
        self.reshape = ops.Reshape()

    def construct(self, values: Tensor) -> Tensor:
        """Normalizes ``[..., length]``."""
        return self.softmax(values)

    def bprop(self, values: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """Gradient with regard to the values."""
        length = values.shape[-1]
        weighted = output * gradient
        sums = self.product(self.reshape(weighted, (-1, length)), ops.ones((length, 1), mindspore.float32))
        spread = self.reshape(self.product(sums, ops.ones((1, length), mindspore.float32)), values.shape)
        return (weighted - output * spread,)


class ComposedAttention(nn.Cell):
    """Scaled dot-product attention of matrix products and a softmax in float32."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(auto_prefix=False)
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        self.scale = 1.0 / math.sqrt(self.head_size)
        self.softmax = _ComposedSoftmax()
        self.scores = ops.BatchMatMul(transpose_b=True)
        self.context = ops.BatchMatMul()
        self.transpose = ops.Transpose()
        self.reshape = ops.Reshape()
        self.cast = ops.Cast()

    def prepare(self, blocked: Tensor) -> Tensor:
        """Turns ``[bins, 1, length, length]`` into what is added to the scores of every layer, spread over heads."""
        shape = blocked.shape
        additive = self.cast(blocked, mindspore.float32) * _BLOCKED
        return ops.broadcast_to(additive, (shape[0], self.heads, shape[2], shape[3]))

    def split(self, values: Tensor, bins: int, length: int) -> Tensor:
        """Maps ``[tokens, hidden]`` to ``[bins, heads, length, head size]``."""
        return self.transpose(self.reshape(values, (bins, length, self.heads, self.head_size)), (0, 2, 1, 3))

    def construct(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        dropout: nn.Cell,
        dropout_masks: tuple[Tensor, ...],
        forward_pass: int,
    ) -> Tensor:
        """Maps ``[tokens, hidden]`` three times to the context ``[tokens, hidden]``."""
        bins, length = mask.shape[0], mask.shape[2]
        scores = self.scores(self.split(query * self.scale, bins, length), self.split(key, bins, length))
        probabilities = self.softmax(self.cast(scores, mindspore.float32) + mask)
        kept = dropout(self.cast(probabilities, query.dtype), dropout_masks, forward_pass)
        context = self.context(kept, self.split(value, bins, length))
        return self.reshape(self.transpose(context, (0, 2, 1, 3)), query.shape)


class FlashAttention(nn.Cell):
    """Fused attention of Ascend where no probability is dropped, and composed attention where some are."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(auto_prefix=False)
        self.heads = config.num_attention_heads
        self.scale = 1.0 / math.sqrt(config.hidden_size // config.num_attention_heads)
        self.composed = ComposedAttention(config)
        self.reshape = ops.Reshape()

    def prepare(self, blocked: Tensor) -> Tensor:
        """Keeps the mask as it is; the primitive reads 1 as blocked."""
        return blocked

    def construct(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        dropout: nn.Cell,
        dropout_masks: tuple[Tensor, ...],
        forward_pass: int,
    ) -> Tensor:
        """Maps ``[tokens, hidden]`` three times to the context ``[tokens, hidden]``."""
        if dropout.active or query.dtype == mindspore.float32:
            additive = self.composed.prepare(mask)
            return self.composed(query, key, value, additive, dropout, dropout_masks, forward_pass)
        shape = (mask.shape[0], mask.shape[2], query.shape[1])
        context = ops.flash_attention_score(
            self.reshape(query, shape),
            self.reshape(key, shape),
            self.reshape(value, shape),
            self.heads,
            attn_mask=mask,
            scalar_value=self.scale,
            input_layout="BSH",
        )
        return self.reshape(context, query.shape)


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


def activation(name: str, gelu: type[nn.Cell]) -> nn.Cell:
    """Returns the cell of a ``hidden_act``; ``gelu`` is the device's exact one."""
    return {"gelu": gelu, "gelu_new": TanhGelu, "relu": ops.ReLU}[name]()


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
