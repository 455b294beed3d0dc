"""The wire format of protobuf messages, as far as weight files and records need it.

A message is a row of fields, and a field is a key and a value. The key is a varint, `number << 3 | wire type`; the wire
type says how long the value is, so that a reader can pass over what it does not know:

    08 96 01          field 1, VARINT: 0x96 0x01 = 0x16 + (0x01 << 7) = 150
    12 02 68 69       field 2, LENGTH_DELIMITED: 2 bytes, "hi"; texts, messages and packed numbers look alike
    1d 00 00 80 3f    field 3, FIXED_32: 1.0

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5


class DamagedMessageError(ValueError):
    """Some bytes are not the protobuf message that they should be."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message.

    Raises:
        DamagedMessageError: the bytes are no message.
    """
    position = 0
    while position < len(message):
        key, position = varint(message, position)
        number, wire_type = key >> 3, key & 0x7
        if number == 0:
            raise DamagedMessageError("a field has the number 0")
        if wire_type == VARINT:
            value, position = varint(message, position)
            yield number, value
            continue
        if wire_type == LENGTH_DELIMITED:
            size, position = varint(message, position)
        elif wire_type in (FIXED_64, FIXED_32):
            size = 8 if wire_type == FIXED_64 else 4
        else:
            raise DamagedMessageError(f"field {number} has the wire type {wire_type}")
        if size > len(message) - position:
            raise DamagedMessageError(
                f"field {number} is {size} bytes long, but only {len(message) - position} are left"
            )
        yield number, message[position : position + size]
        position += size


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of at most 64 bits, seven in each byte and the lowest first; and the position behind it.

    Raises:
        DamagedMessageError: the message ends before it, or it is longer.
    """
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise DamagedMessageError("it ends within a number")
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise DamagedMessageError("a number is longer than 64 bits")


def encoded_varint(number: int) -> bytes:
    """The bytes of an integer that is not negative."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def encoded_key(number: int, wire_type: int) -> bytes:
    """What a field begins with."""
    return encoded_varint(number << 3 | wire_type)


def delimited(number: int, content: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return encoded_key(number, LENGTH_DELIMITED) + encoded_varint(len(content)) + content
