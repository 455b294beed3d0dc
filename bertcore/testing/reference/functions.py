"""The functions that layers are made of, each with its gradient.

Sources:
    Ba et al. 2016, "Layer Normalization", arXiv 1607.06450.
    Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", arXiv 1606.08415.
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])  # numpy has none


def gelu(x: Array) -> Array:
    """`x * Phi(x)`, Phi being the distribution function of the standard normal (Hendrycks and Gimpel 2016)."""
    return x * _normal_distribution(x)


def gelu_gradient(x: Array, output_gradient: Array) -> Array:
    """`d(x * Phi(x)) / dx = Phi(x) + x * phi(x)`, phi being the density of the standard normal."""
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return output_gradient * (_normal_distribution(x) + x * density)


def _normal_distribution(x: Array) -> Array:
    return (1 + _erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Array) -> Array:
    """`x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, the approximation given in Hendrycks and Gimpel 2016."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_gradient(x: Array, output_gradient: Array) -> Array:
    """Product and chain rule applied to `gelu_tanh`, with `tanh' = 1 - tanh^2`."""
    tanh = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    inner_gradient = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return output_gradient * ((1 + tanh) / 2 + x / 2 * (1 - tanh**2) * inner_gradient)


def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    return np.maximum(x, 0)


def relu_gradient(x: Array, output_gradient: Array) -> Array:
    """1 where `x > 0`, else 0."""
    return output_gradient * (x > 0)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def tanh_gradient(x: Array, output_gradient: Array) -> Array:
    """`tanh' = 1 - tanh^2`."""
    return output_gradient * (1 - np.tanh(x) ** 2)


# By the names that `hidden_act` has in a Hugging Face config.json.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "gelu": (gelu, gelu_gradient),
    "gelu_new": (gelu_tanh, gelu_tanh_gradient),
    "relu": (relu, relu_gradient),
}
# Between the two layers of a dense head.
HEAD_ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "tanh": (tanh, tanh_gradient),
    "gelu": (gelu, gelu_gradient),
}


def softmax(scores: Array) -> Array:
    """`exp(s_i) / sum_j exp(s_j)` over the last axis; subtracting the maximum changes only the range."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def softmax_gradient(scores: Array, output_gradient: Array) -> Array:
    """`ds_i = p_i * (dp_i - sum_j dp_j p_j)` with `p = softmax(s)`."""
    probabilities = softmax(scores)
    inner = (output_gradient * probabilities).sum(axis=-1, keepdims=True)
    return probabilities * (output_gradient - inner)


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """`weight * (x - mean) / sqrt(variance + eps) + bias` over the last axis (Ba et al. 2016).

    The variance is the mean squared deviation (divided by n, not by n - 1), and `eps` stands inside the root.
    """
    normalized, _ = _normalize(x, eps)
    return normalized * weight + bias


def layer_norm_gradient(x: Array, weight: Array, eps: float, output_gradient: Array) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm` with respect to x, weight and bias.

    With `n = (x - mean) / deviation` and `dn = dy * weight`:
    `dx = (dn - mean(dn) - n * mean(dn * n)) / deviation`, `dweight = sum(dy * n)`, `dbias = sum(dy)` over all rows.
    """
    normalized, deviation = _normalize(x, eps)
    scaled = output_gradient * weight
    along = (scaled * normalized).mean(axis=-1, keepdims=True)
    x_gradient = (scaled - scaled.mean(axis=-1, keepdims=True) - normalized * along) / deviation
    return x_gradient, (output_gradient * normalized).sum(axis=0), output_gradient.sum(axis=0)


def _normalize(x: Array, eps: float) -> tuple[Array, Array]:
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / deviation, deviation
