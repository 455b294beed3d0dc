"""The compiled kernels of ``bertcore_kernels``, a distribution that a user may have or not."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bertcore.contracts.backend import KernelChoice

if TYPE_CHECKING:
    from bertcore_kernels import Kernels

REMEDY = "pip install bertcore-kernels, or a C++ compiler, makes a CPU faster"


@cache
def find_kernels() -> tuple[Kernels | None, str]:
    """Looks for the kernels, and compiles them where there is only their source.

    Returns:
        The kernels, or None; and for which level of the instruction set they are compiled, or why there are none.
    """
    try:
        from bertcore_kernels import MissingKernelsError, kernels
    except ImportError:
        return None, "bertcore-kernels is not installed"
    try:
        found = kernels()
    except MissingKernelsError as error:
        return None, str(error)
    return found, found.level


def chosen_kernels(choice: KernelChoice) -> Kernels | None:
    """The kernels that a session on a CPU computes with; None for the framework's own operators."""
    return find_kernels()[0] if choice == "fused" else None


def describe_kernels(choice: KernelChoice) -> str:
    """Says so in a line, for the header of a run."""
    if choice == "reference":
        return "the framework's own (run.kernels=reference)"
    found, detail = find_kernels()
    return f"fused ({detail})" if found is not None else f"the framework's own: {detail}; {REMEDY}"
