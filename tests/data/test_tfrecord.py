"""TFRecord files: read and written by the tfrecord package, and every kind of damage named by its record."""

from __future__ import annotations

import gzip
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.contracts.record_format import FeatureRecord
from bertcore.data.records.tfrecord import TFRecordFormat, decode_example, encode_example, read_records
from bertcore.errors import DataError

tfrecord = pytest.importorskip("tfrecord")

INT64 = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=40)


def records(count: int) -> list[FeatureRecord]:
    """Rows of several widths of varints, with floats and bytes."""
    return [
        FeatureRecord(
            {
                "input_ids": np.array([101, 7592 + row, 2**31, 102, 0], dtype=np.int64),
                "negative": np.array([-100, -(2**63), 2**63 - 1], dtype=np.int64),
                "score": np.array([row / 3], dtype=np.float32),
                "guid": [f"dev-{row}".encode()],
            }
        )
        for row in range(count)
    ]


def assert_same(found: object, expected: FeatureRecord) -> None:
    assert isinstance(found, dict)
    assert set(found) == set(expected.features)
    for name, values in expected.features.items():
        if isinstance(values, list):
            assert found[name] == values
        else:
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values, err_msg=name)


# Against the tfrecord package, which uses protobuf


def test_our_files_are_read_by_the_tfrecord_package(tmp_path: Path) -> None:
    file = tmp_path / "dev.tf_record"
    assert TFRecordFormat().write(file, iter(records(5))) == 5
    found = list(tfrecord.tfrecord_loader(str(file), None))
    assert len(found) == 5
    for row, expected in zip(found, records(5), strict=True):
        row["guid"] = [bytes(row["guid"])]
        assert_same(row, expected)


def test_files_of_the_tfrecord_package_are_read_by_us(tmp_path: Path) -> None:
    file = tmp_path / "dev.tf_record"
    writer = tfrecord.TFRecordWriter(str(file))
    kinds = {"input_ids": "int", "negative": "int", "score": "float", "guid": "byte"}
    for record in records(5):
        writer.write({name: (values, kinds[name]) for name, values in record.features.items()})
    writer.close()
    for found, expected in zip(TFRecordFormat().read(file), records(5), strict=True):
        assert_same(found.features, expected)


@given(integers=INT64, floats=FLOATS, octets=st.lists(st.binary(max_size=300), max_size=3), name=st.text(max_size=20))
def test_messages_are_those_of_protobuf(
    integers: list[int], floats: list[float], octets: list[bytes], name: str
) -> None:
    from tfrecord import example_pb2

    ours = encode_example(
        {
            f"i{name}": np.array(integers, dtype=np.int64),
            f"f{name}": np.array(floats, dtype=np.float32),
            f"b{name}": octets,
        }
    )
    example = example_pb2.Example.FromString(ours)
    feature = example.features.feature
    assert list(feature[f"i{name}"].int64_list.value) == integers
    assert list(feature[f"f{name}"].float_list.value) == floats
    assert list(feature[f"b{name}"].bytes_list.value) == octets
    found = decode_example(example.SerializeToString())
    assert np.asarray(found[f"i{name}"]).tolist() == integers
    assert np.asarray(found[f"f{name}"]).tolist() == floats
    assert found[f"b{name}"] == octets


def test_lists_that_are_not_packed_and_unknown_fields_are_read() -> None:
    """Some writers put each value into a field of its own; later versions may add fields."""
    unpacked = bytes([0x08, 0x05, 0x08, 0xAC, 0x02])  # two values of field 1, as varints: 5, 300
    packed = bytes([0x0A, 0x02, 0x07, 0x09])  # 7, 9
    unknown = bytes([0x7D, 1, 2, 3, 4])  # field 15, four bytes
    feature = bytes([0x1A, len(unpacked + packed)]) + unpacked + packed
    entry = bytes([0x0A, 1]) + b"x" + bytes([0x12, len(feature)]) + feature + unknown
    features = bytes([0x0A, len(entry)]) + entry
    found = decode_example(unknown + bytes([0x0A, len(features)]) + features)
    assert np.asarray(found["x"]).tolist() == [5, 300, 7, 9]
    floats = bytes([0x0D]) + struct.pack("<f", 1.5) + bytes([0x0A, 4]) + struct.pack("<f", 2.5)
    feature = bytes([0x12, len(floats)]) + floats
    entry = bytes([0x0A, 1]) + b"y" + bytes([0x12, len(feature)]) + feature
    features = bytes([0x0A, len(entry)]) + entry
    assert np.asarray(decode_example(bytes([0x0A, len(features)]) + features)["y"]).tolist() == [1.5, 2.5]


# Damage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dev.tf_record"
    TFRecordFormat().write(path, records(4))
    return path


def error_of(file: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(TFRecordFormat().read(file))
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert str(file) in caught.value.cause
    assert caught.value.remedy
    return caught.value


def start_of(file: Path, record: int) -> int:
    """Where a record begins."""
    position = 0
    content = file.read_bytes()
    for _ in range(record - 1):
        position += 16 + struct.unpack_from("<Q", content, position)[0]
    return position


@pytest.mark.parametrize("record", [1, 2, 4])
@pytest.mark.parametrize(("offset", "part"), [(0, "length"), (9, "length"), (12, "data"), (40, "data")])
def test_a_flipped_bit_is_found_and_its_record_named(file: Path, record: int, offset: int, part: str) -> None:
    content = bytearray(file.read_bytes())
    content[start_of(file, record) + offset] ^= 0x10
    file.write_bytes(content)
    cause = error_of(file).cause
    assert f"record {record}: its {part} is damaged" in cause


def test_a_wrong_checksum_of_the_data_is_found(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert "record 4: its data is damaged" in error_of(file).cause


def test_every_cut_is_found_and_its_record_named(file: Path) -> None:
    content = file.read_bytes()
    starts = [start_of(file, record) for record in (1, 2, 3, 4)]
    for size in range(1, len(content)):
        if size in starts:
            continue  # whole records are a whole file: records.json counts them
        file.write_bytes(content[:size])
        record = sum(start < size for start in starts)
        assert f"cut off in record {record}" in error_of(file).cause


def test_a_length_beyond_the_file_asks_for_no_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bertcore.data.records import tfrecord as module

    monkeypatch.setattr(module, "masked_crc32c", lambda data: 0)
    file.write_bytes(struct.pack("<QI", 2**62, 0) + b"x" * 100)
    assert "cut off in record 1" in error_of(file).cause


def test_what_is_no_tfrecord_file(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"")
    assert "is empty" in error_of(file).cause
    file.write_bytes(gzip.compress(content))
    error = error_of(file)
    assert "compressed by gzip" in error.cause
    assert "gunzip" in error.remedy
    file.write_bytes(b"index\tsentence\tlabel\n" * 9)
    assert "record 1" in error_of(file).cause
    file.unlink()
    assert "No such file" in error_of(file).cause


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0b", b"\x0a", b"\xff" * 11, b"\x08\x01\x0a\x02\x0a\x7f"])
def test_a_record_that_is_no_example_is_named(file: Path, data: bytes) -> None:
    from bertcore.data.records.tfrecord import write_record

    with file.open("ab") as output:
        write_record(output, data)
    assert "record 5: no tf.train.Example" in error_of(file).cause


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        decode_example(data)


def test_records_without_data_are_records(tmp_path: Path) -> None:
    file = tmp_path / "x.tf_record"
    TFRecordFormat().write(file, [FeatureRecord({}), FeatureRecord({})])
    assert len(list(read_records(file))) == 2
    assert [record.features for record in TFRecordFormat().read(file)] == [{}, {}]
