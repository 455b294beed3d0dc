"""What torch says where a device has no memory for a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from bertcore.contracts.training_step import DeviceMemoryError

# What is no OutOfMemoryError: the allocator of the CPU, Apple's MPS, and the libraries of CUDA for their own buffers.
_WORDS = re.compile(r"out of memory|can't allocate memory|not enough memory|bad_alloc|_ALLOC_FAILED", re.IGNORECASE)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns what torch raises where memory is short into the contract's error.

    Raises:
        DeviceMemoryError: memory is short.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        words = str(error).strip() or type(error).__name__
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not _WORDS.search(words):
            raise
        raise DeviceMemoryError(words.splitlines()[0]) from None
