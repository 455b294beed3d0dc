"""The checksum of TensorFlow's and LevelDB's files.

Reference implementation: https://github.com/tensorflow/tensorflow, `core/lib/hash/crc32c.h`.
"""

from __future__ import annotations

import google_crc32c


def masked_crc32c(content: bytes) -> int:
    """CRC-32C, rotated and shifted, so that a checksum of data that holds checksums is a good one, too."""
    checksum: int = google_crc32c.value(content)
    rotated = checksum >> 15 | checksum << 17 & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF
