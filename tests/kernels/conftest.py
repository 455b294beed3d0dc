"""The compiled kernels for every level of the instruction set that this processor has."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
import torch

library = pytest.importorskip("bertcore_kernels.library")


@pytest.fixture(scope="session", params=library.usable_levels())
def kernels(request: pytest.FixtureRequest) -> library.Kernels:
    """As the installed distribution brings them, or from the user's cache, where they are compiled but once."""
    try:
        return library.load(request.param)
    except library.MissingKernelsError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    """What a test says of threads holds for the whole process, and torch's sums depend on it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    for level in library.usable_levels()[:1]:
        ctypes.CDLL(str(library.load(level).path)).omp_set_num_threads(before)
