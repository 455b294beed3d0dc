"""The checksum of TensorFlow's and LevelDB's files.

Reference implementation: https://github.com/tensorflow/tensorflow, `core/lib/hash/crc32c.h`.
"""

from __future__ import annotations

import google_crc32c


def masked_crc32c(content: bytes) -> int:
    """CRC-32C, rotated by 15 bits and moved by a constant.

    Why: the CRC of data that ends in its own CRC is the same for all data. Masked ones may stand among the data.
    """
    checksum: int = google_crc32c.value(content)
    rotated = checksum >> 15 | checksum << 17 & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF
