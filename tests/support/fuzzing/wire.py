"""Fields of protobuf that lie."""

from __future__ import annotations

import struct

from .chance import Chance


def varint(number: int) -> bytes:
    number &= 2**70 - 1  # a negative number is longer than 64 bits in nobody's file
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def varint_field(chance: Chance, number: int | None, true: int) -> bytes:
    """A whole number, with its key or bare."""
    key = b"" if number is None else varint(chance.number(number, most=2**30) << 3 | chance.number(0, most=7))
    return key + varint(chance.number(true))


def message(chance: Chance, number: int, content: bytes) -> bytes:
    """Bytes behind their length."""
    key = varint(chance.number(number, most=2**30) << 3 | chance.number(2, most=7))
    return key + varint(chance.number(len(content))) + content


def float_field(chance: Chance, number: int, true: float) -> bytes:
    return varint(chance.number(number, most=99) << 3 | 5) + struct.pack("<f", true)
