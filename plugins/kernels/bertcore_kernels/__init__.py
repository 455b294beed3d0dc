"""Kernels in C++ for BERT on a CPU, which both backends call; without any framework.

    from bertcore_kernels import Array, MissingKernelsError, kernels

    kernels().call("gelu_forward", [values, bias, output])

What each kernel takes stands above it in ``source/``.
"""

from bertcore_kernels.encoder import EncoderSizes, PackedEncoder, parameter_names
from bertcore_kernels.library import Array, KernelError, Kernels, MissingKernelsError, kernels

__all__ = [
    "Array",
    "EncoderSizes",
    "KernelError",
    "Kernels",
    "MissingKernelsError",
    "PackedEncoder",
    "kernels",
    "parameter_names",
]
__version__ = "0.1.0"
