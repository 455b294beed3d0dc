"""TFRecord files and the ``tf.train.Example`` messages in them, without TensorFlow and without protobuf.

A record is the length of its data (uint64), the masked crc32c of these eight bytes, the data, and the masked crc32c of
the data, all little-endian (``tensorflow/core/lib/io/record_writer.h``). The data is a protobuf message of
``tensorflow/core/example/example.proto``::

    Example { Features features = 1; }
    Features { map<string, Feature> feature = 1; }
    Feature { oneof { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }

where each list holds its values under number 1, packed or one by one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.record_format import Feature, FeatureRecord, RecordFormat
from bertcore.data.tables import unreadable
from bertcore.errors import DataError, Origin
from bertcore.files.bounds import LARGEST_RECORD
from bertcore.formats.crc32c import masked_crc32c
from bertcore.formats.protobuf import delimited, fields

_HEADER = struct.Struct("<QI")
_CHECKSUM_SIZE = 4

# Numbers of the fields of a Feature.
_BYTES, _FLOAT, _INT64 = 1, 2, 3

_SHIFTS = np.arange(0, 70, 7, dtype=np.uint64)


class TFRecordFormat(RecordFormat):
    """One ``tf.train.Example`` per row, with the features of google-research/bert."""

    name = "tfrecord"
    description = "TFRecord files with the features of google-research/bert"
    suffix = ".tf_record"
    recognized = (".tf_record", ".tfrecord", ".tfrecords")

    def write(self, file: Path, records: Iterable[FeatureRecord]) -> int:  # noqa: D102
        count = 0
        with file.open("wb") as output:
            for record in records:
                write_record(output, encode_example(record.features))
                count += 1
        return count

    def read(self, file: Path) -> Iterator[FeatureRecord]:  # noqa: D102
        for number, data in enumerate(read_records(file), 1):
            try:
                features = decode_example(data)
            except ValueError as error:
                raise DataError(
                    f"no tf.train.Example ({error})",
                    "write one Example per record, as google-research/bert does",
                    origin=Origin(str(file), part=f"record {number}"),
                    code="record-wrong",
                ) from None
            yield FeatureRecord(features)


def write_record(file: BinaryIO, data: bytes) -> None:
    """Writes one record, framed by its length and the checksums."""
    length = struct.pack("<Q", len(data))
    file.write(b"".join((length, _checksum(length), data, _checksum(data))))


def read_records(file: Path) -> Iterator[bytes]:
    """Yields the data of each record.

    Raises:
        DataError: the file is missing, empty, compressed or cut off, or a checksum is wrong; names the record, counted
            from 1.
    """
    try:
        with file.open("rb") as source:
            yield from _read_records(source, os.fstat(source.fileno()).st_size, str(file))
    except OSError as error:
        raise unreadable(file, error) from None


def _read_records(source: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    if size == 0:
        raise DataError("the file is empty", "write it again", origin=Origin(name), code="file-empty")
    number, position = 1, 0
    while position < size:
        header = source.read(_HEADER.size)
        if number == 1 and header.startswith(b"\x1f\x8b"):
            raise DataError(
                "the file is compressed by gzip", "unpack it first: gunzip", origin=Origin(name), code="file-kind-wrong"
            )
        if len(header) < _HEADER.size:
            raise _cut_off(name, number)
        length, checksum = _HEADER.unpack(header)
        if checksum != masked_crc32c(header[:8]):
            raise DataError(
                "its length is damaged (wrong checksum)",
                "get or write the file again"
                if number > 1
                else "check that this is a TFRecord file, or write it again",
                origin=Origin(name, part=f"record {number}"),
                code="record-damaged",
            )
        # A length beyond the end is found before anything of that size is asked for.
        if position + _HEADER.size + length + _CHECKSUM_SIZE > size:
            raise _cut_off(name, number)
        if length > LARGEST_RECORD:
            raise DataError(
                f"it has {length} bytes, and no row of a model has more than {LARGEST_RECORD}",
                "write one Example per row",
                origin=Origin(name, part=f"record {number}"),
                code="record-wrong",
            )
        data = source.read(length)
        if source.read(_CHECKSUM_SIZE) != _checksum(data):
            raise DataError(
                "its data is damaged (wrong checksum)",
                "get or write the file again",
                origin=Origin(name, part=f"record {number}"),
                code="record-damaged",
            )
        yield data
        position += _HEADER.size + length + _CHECKSUM_SIZE
        number += 1


def _cut_off(name: str, number: int) -> DataError:
    return DataError(
        f"the file is cut off in record {number}",
        "get or write the file again",
        origin=Origin(name),
        code="record-damaged",
    )


def _checksum(data: bytes) -> bytes:
    return masked_crc32c(data).to_bytes(_CHECKSUM_SIZE, "little")


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Returns a serialized ``tf.train.Example``, its features in the given order.

    Args:
        features: an int64 or float32 vector, or a list of bytes, by name.
    """
    entries = []
    for name, values in features.items():
        if isinstance(values, list):
            number, content = _BYTES, b"".join(delimited(1, value) for value in values)
        elif values.dtype == np.float32:
            number, content = _FLOAT, delimited(1, values.astype("<f4").tobytes()) if len(values) else b""
        elif values.dtype == np.int64:
            number, content = _INT64, delimited(1, _to_varints(values)) if len(values) else b""
        else:
            raise TypeError(f"{name} holds {values.dtype}: a feature is int64, float32 or bytes")
        entries.append(delimited(1, delimited(1, name.encode()) + delimited(2, delimited(number, content))))
    return delimited(1, b"".join(entries))


def decode_example(data: bytes) -> dict[str, Feature]:
    """Returns the features of a serialized ``tf.train.Example``; fields that it does not define are passed over.

    Raises:
        ValueError: the message is no Example.
    """
    found: dict[str, Feature] = {}
    for number, features in fields(memoryview(data)):
        if number != 1:
            continue
        for inner, entry in fields(_message(features)):
            if inner == 1:
                name, values = _decode_entry(_message(entry))
                found[name] = values
    return found


def _decode_entry(entry: memoryview) -> tuple[str, Feature]:
    name, feature = "", memoryview(b"")
    for number, value in fields(entry):
        if number == 1:
            name = bytes(_message(value)).decode("utf-8")
        elif number == 2:
            feature = _message(value)
    values: Feature = np.zeros(0, dtype=np.int64)
    for number, content in fields(feature):
        if number == _BYTES:
            values = [bytes(_message(value)) for inner, value in fields(_message(content)) if inner == 1]
        elif number == _FLOAT:
            values = _decode_floats(_message(content))
        elif number == _INT64:
            values = _decode_int64(_message(content))
    return name, values


def _decode_int64(content: memoryview) -> NDArray[np.int64]:
    parts: list[NDArray[np.int64]] = []
    single: list[int] = []  # an array of each would take fifty times as much memory as the file
    for number, value in fields(content):
        if number != 1:
            continue
        if isinstance(value, int):
            single.append(value & 0xFFFF_FFFF_FFFF_FFFF)
            continue
        if single:
            parts.append(_of_unsigned(single))
            single = []
        packed = _message(value)
        if len(packed):
            parts.append(_from_varints(packed))
    if single:
        parts.append(_of_unsigned(single))
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _of_unsigned(numbers: list[int]) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.uint64).view(np.int64)


def _decode_floats(content: memoryview) -> NDArray[np.float32]:
    parts = []
    for number, value in fields(content):
        if number == 1:
            packed = _message(value)
            if len(packed) % 4:
                raise ValueError("a list of floats ends inside of one")
            parts.append(packed)
    return np.frombuffer(b"".join(parts), dtype="<f4").astype(np.float32)


def _message(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a message or a list should")
    return value


def _to_varints(values: NDArray[np.int64]) -> bytes:
    unsigned = np.ascontiguousarray(values).view(np.uint64)
    if unsigned.max() < 0x80:
        return unsigned.astype(np.uint8).tobytes()
    groups = unsigned[:, None] >> _SHIFTS
    lengths = 1 + np.count_nonzero(groups[:, 1:], axis=1)
    places = np.arange(len(_SHIFTS))
    octets = (groups & np.uint64(0x7F)).astype(np.uint8)
    octets[places < lengths[:, None] - 1] |= 0x80
    return bytes(octets[places < lengths[:, None]])


def _from_varints(packed: memoryview) -> NDArray[np.int64]:
    octets = np.frombuffer(packed, dtype=np.uint8)
    last = octets < 0x80
    if last.all():
        return octets.astype(np.int64)
    if not last[-1]:
        raise ValueError("a list of numbers ends inside of one")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > len(_SHIFTS):
        raise ValueError("a number has more than ten bytes")
    shifts = _SHIFTS[np.arange(len(octets)) - np.repeat(starts, lengths)]
    parts = (octets & 0x7F).astype(np.uint64) << shifts
    return np.bitwise_or.reduceat(parts, starts).view(np.int64)
