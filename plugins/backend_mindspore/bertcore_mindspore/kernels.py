"""The fused kernels of ``bertcore_kernels`` as cells of a graph on a CPU, each with its gradient.

A kernel is called by ``ops.Custom`` as MindSpore calls a kernel of its own, with the memory of its arrays. It reads
dense arrays only; a view by ``mint`` would reach it as the memory of the whole, so that nothing here takes such a view.
A cell with parameters can have no ``bprop``: they are handed to the cells of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from bertcore.numerics.kernels import find_kernels


def _kernel(name: str, shape: Callable[..., object], dtype: Callable[..., object]) -> ops.Custom:
    """One kernel; both functions give what all outputs have from what all inputs have."""
    kernels, detail = find_kernels()
    assert kernels is not None, detail
    return ops.Custom(f"{kernels.path}:bertcore_{name}", shape, dtype, func_type="aot")


def use_products_of_mindspore() -> bool:
    """Lets the kernels take products from the oneDNN that MindSpore brings; returns whether it is there."""
    kernels, _ = find_kernels()
    library = Path(mindspore.__file__).parent / "lib" / "libdnnl.so.3"
    return kernels is not None and library.exists() and kernels.use_onednn(library)


def absent() -> Tensor:
    """Stands for an array that a kernel is to do without."""
    return Tensor(np.zeros(1, dtype=np.float32))


def no_mask() -> Tensor:
    """Stands for a mask where nothing is dropped."""
    return Tensor(np.zeros(1, dtype=np.uint8))


class Product(nn.Cell):
    """``values weight^T`` of float32 ``[rows, in]`` and ``[out, in]``.

    Args:
        rounded: whether both are rounded to bfloat16; sums are float32 in any case.
    """

    def __init__(self, rounded: bool) -> None:
        super().__init__(auto_prefix=False)
        self.rounded = Tensor(np.full(2, rounded, dtype=np.float32))
        self.forward = _kernel("product_forward", lambda x, w, c: [x[0], w[0]], lambda x, w, c: x)
        self.backward = _kernel("product_backward", lambda x, w, g, c: (x, w), lambda x, w, g, c: (x, x))

    def construct(self, values: Tensor, weight: Tensor) -> Tensor:
        """Returns ``[rows, out]``."""
        return self.forward(values, weight, self.rounded)

    def bprop(self, values: Tensor, weight: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with regard to both."""
        return self.backward(values, weight, gradient, self.rounded)


class AddNorm(nn.Cell):
    """LayerNorm of a residual and a branch, with its bias and dropout.

    Args:
        eps: of LayerNorm.
        keep_scale: factor of what is not dropped.
    """

    def __init__(self, eps: float, keep_scale: float = 1.0) -> None:
        super().__init__(auto_prefix=False)
        self.constants = Tensor(np.array([eps, keep_scale], dtype=np.float32))
        self.forward = _kernel(
            "add_norm_forward",
            lambda x, b, k, r, w, s, c: (x, x, [x[0]], [x[0]]),
            lambda x, b, k, r, w, s, c: (x, x, x, x),
        )
        self.backward = _kernel(
            "add_norm_backward",
            lambda z, m, i, k, w, c, g: (z, z, w, w, w),
            lambda z, m, i, k, w, c, g: (z, z, z, z, z),
        )

    def construct(
        self, values: Tensor, bias: Tensor, keep: Tensor, residual: Tensor, weight: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the result ``[rows, width]``, and what the gradient reads."""
        return self.forward(values, bias, keep, residual, weight, shift, self.constants)

    def bprop(
        self,
        values: Tensor,
        bias: Tensor,
        keep: Tensor,
        residual: Tensor,
        weight: Tensor,
        shift: Tensor,
        output: tuple[Tensor, Tensor, Tensor, Tensor],
        gradient: tuple[Tensor, Tensor, Tensor, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Gradients with regard to all of them."""
        of_values, of_residual, of_bias, of_weight, of_shift = self.backward(
            output[1], output[2], output[3], keep, weight, self.constants, gradient[0]
        )
        # What was absent has a gradient of one element that nobody reads.
        of_bias = of_bias if bias.shape == weight.shape else ops.zeros_like(bias)
        of_residual = of_residual if residual.shape == values.shape else ops.zeros_like(residual)
        return of_values, of_bias, ops.zeros_like(keep), of_residual, of_weight, of_shift


class BiasGelu(nn.Cell):
    """The exact GeLU of values and a bias."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.forward = _kernel("gelu_forward", lambda x, b: x, lambda x, b: x)
        self.backward = _kernel("gelu_backward", lambda x, b, g: (x, b), lambda x, b, g: (x, x))

    def construct(self, values: Tensor, bias: Tensor) -> Tensor:
        """Maps ``[rows, width]`` to the same shape."""
        return self.forward(values, bias)

    def bprop(self, values: Tensor, bias: Tensor, output: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients with regard to both."""
        return self.backward(values, bias, gradient)


class RowAttention(nn.Cell):
    """Self-attention within rows, wherever among the positions they lie, with dropout.

    Args:
        heads: number of attention heads.
        keep_scale: factor of the probabilities that are not dropped.
    """

    def __init__(self, heads: int, keep_scale: float = 1.0) -> None:
        super().__init__(auto_prefix=False)
        self.constants = Tensor(np.array([heads, keep_scale], dtype=np.float32))
        self.forward = _kernel(
            "attention_forward",
            lambda x, b, t, k, c: ([x[0], x[1] // 3], [heads, x[0]]),
            lambda x, b, t, k, c: (x, x),
        )
        self.backward = _kernel(
            "attention_backward", lambda x, b, t, k, c, s, g: (x, b), lambda x, b, t, k, c, s, g: (x, x)
        )

    def construct(
        self, query_key_value: Tensor, bias: Tensor, row_table: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Maps ``[tokens, 3 * hidden]`` to the context ``[tokens, hidden]``; and what the gradient reads."""
        return self.forward(query_key_value, bias, row_table, keep, self.constants)

    def bprop(
        self,
        query_key_value: Tensor,
        bias: Tensor,
        row_table: Tensor,
        keep: Tensor,
        output: tuple[Tensor, Tensor],
        gradient: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients with regard to the first two."""
        of_values, of_bias = self.backward(
            query_key_value, bias, row_table, keep, self.constants, output[1], gradient[0]
        )
        return of_values, of_bias, ops.zeros_like(row_table), ops.zeros_like(keep)
