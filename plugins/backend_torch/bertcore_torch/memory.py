"""What torch says where a device has no memory for a batch, and memory of the host that is kept between steps."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from bertcore.contracts.training_step import DeviceMemoryError

# What is no OutOfMemoryError: the allocator of the CPU, Apple's MPS, and the libraries of CUDA for their own buffers;
# oneDNN, which says no more where it has none for its code.
_WORDS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|bad_alloc|_ALLOC_FAILED|could not create a primitive",
    re.IGNORECASE,
)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_MMAP_THRESHOLD = 32 << 20


def keep_freed_memory() -> None:
    """Lets this process keep what a step frees for the next one.

    glibc would give it back to the system, and get it anew with a page fault for every 4096 bytes, which is up to a
    twentieth of a step. Another C library goes on as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


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
