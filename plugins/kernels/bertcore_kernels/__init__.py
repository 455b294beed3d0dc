"""Kernels in C++ for BERT on a CPU, which both backends call; without any framework.

    from bertcore_kernels import Array, KernelsMissing, kernels

    kernels().call("gelu_forward", [values, bias, output])

What each kernel takes stands above it in ``source/``.
"""

from bertcore_kernels.library import Array, KernelError, Kernels, KernelsMissing, kernels

__all__ = ["Array", "KernelError", "Kernels", "KernelsMissing", "kernels"]
__version__ = "0.1.0"
