"""Number types of weight files: their sizes, and their bytes as numpy arrays.

Types go by numpy's names, and by `bfloat16`, the upper half of a float32, which numpy does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_NUMBERS_LIMIT = 2**60  # of 8 bytes each: what numpy can address


def item_size(number_type: str) -> int:
    """Size of one number in a file, in bytes."""
    return 2 if number_type == "bfloat16" else np.dtype(number_type).itemsize


def content_size(number_type: str, shape: Sequence[int]) -> int:
    """Size of a whole tensor in a file, in bytes; for a shape that no array can have a size that no file has."""
    if min(shape, default=0) < 0:
        return -1
    full = math.prod(max(size, 1) for size in shape)  # numpy limits the other dimensions of an empty array, too
    return (full if full >= _NUMBERS_LIMIT else math.prod(shape)) * item_size(number_type)


def array_from_content(
    content: memoryview, number_type: str, shape: Sequence[int], byte_order: Literal["<", ">"] = "<"
) -> Array:
    """Give the bytes of a tensor as an array of `shape`: a view of them where possible, bfloat16 widened to float32.

    Args:
        content: exactly `content_size(number_type, shape)` bytes, in C order.
        number_type: numpy's name of the type, or `bfloat16`.
        shape: the tensor's dimensions.
        byte_order: little (`<`) or big (`>`) end first.
    """
    if number_type == "bfloat16":
        upper_halves = np.frombuffer(content, np.dtype(np.uint16).newbyteorder(byte_order))
        array: Array = (upper_halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif number_type == "bool":
        array = np.frombuffer(content, np.uint8) != 0  # any other byte would make a bool that is not its own value
    else:
        stored_type = np.dtype(number_type).newbyteorder(byte_order)
        array = np.frombuffer(content, stored_type).astype(number_type, copy=False)
    return np.require(array, requirements="A").reshape(shape)


def content_from_array(array: Array) -> memoryview:
    """The bytes of an array as the files hold them: C order, little end first; a view where possible."""
    little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little_endian.reshape(-1).view(np.uint8).data
