"""BERT written down from its equations: the oracle that every backend is compared with.

numpy in float64, one sequence at a time, no padding, no mask, no dropout, no batch: slow and plainly correct. Nothing
here is shared with a backend, and nothing but numpy, the standard library and the description of a configuration is
imported.

A function `NAME_gradient` belongs to the function NAME: it takes NAME's inputs and, unless NAME is itself a loss, the
gradient of the loss with respect to NAME's output, and gives the gradient with respect to NAME's inputs.
"""

from __future__ import annotations

from bertcore.testing.reference.encoder import ReferenceEncoder
from bertcore.testing.reference.functions import ACTIVATIONS, HEAD_ACTIVATIONS, Array
from bertcore.testing.reference.losses import (
    Shape,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    binary_divergence,
    binary_divergence_gradient,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
    softmax_divergence,
    softmax_divergence_gradient,
    squared_error,
    squared_error_gradient,
)
from bertcore.testing.reference.model import LogitsKind, ReferenceModel
from bertcore.testing.reference.perturbation import perturbed
from bertcore.testing.reference.update import AdamW, clip_by_global_norm, moving_average

__all__ = [
    "ACTIVATIONS",
    "HEAD_ACTIVATIONS",
    "AdamW",
    "Array",
    "LogitsKind",
    "ReferenceEncoder",
    "ReferenceModel",
    "Shape",
    "binary_cross_entropy",
    "binary_cross_entropy_gradient",
    "binary_divergence",
    "binary_divergence_gradient",
    "clip_by_global_norm",
    "moving_average",
    "perturbed",
    "softmax_cross_entropy",
    "softmax_cross_entropy_gradient",
    "softmax_divergence",
    "softmax_divergence_gradient",
    "squared_error",
    "squared_error_gradient",
]
