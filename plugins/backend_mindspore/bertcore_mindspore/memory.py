"""What MindSpore says where a device has no memory for a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from bertcore.contracts.training_step import DeviceMemoryError

# Its own pool, those of Ascend and CUDA, and C++ on a CPU; it has no class of its own for them.
_WORDS = re.compile(
    r"out of memory|memory isn'?t enough|memory not enough|not enough memory|bad_alloc|(alloc\w*|malloc)[^.\n]* failed",
    re.IGNORECASE,
)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns what MindSpore raises where memory is short into the contract's error.

    Raises:
        DeviceMemoryError: memory is short.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = str(error).strip() or type(error).__name__
        found = next((line for line in words.splitlines() if _WORDS.search(line)), None)
        if not isinstance(error, MemoryError) and found is None:
            raise
        raise DeviceMemoryError((found or words.splitlines()[0]).strip()) from None
