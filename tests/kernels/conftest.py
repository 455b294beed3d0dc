"""The compiled kernels for every level of the instruction set that this processor has."""

from __future__ import annotations

import pytest

library = pytest.importorskip("bertcore_kernels.library")


@pytest.fixture(scope="session", params=library.usable_levels())
def kernels(request: pytest.FixtureRequest) -> library.Kernels:
    """As the installed distribution brings them, or from the user's cache, where they are compiled but once."""
    try:
        return library.load(request.param)
    except library.MissingKernelsError as error:
        pytest.skip(str(error))
