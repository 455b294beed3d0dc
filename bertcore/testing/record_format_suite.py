"""Conformance of a record format: the contract of :class:`RecordFormat`, on random records."""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.record_format import FeatureRecord, RecordFormat
from bertcore.errors import DataError, OutputError
from bertcore.testing.plugin_under_test import (
    CUTS,
    FRAMEWORKS,
    NONSENSE,
    imported_modules,
    load_plugin,
    only,
    small_files_only,
)
from bertcore.testing.suite import Suite

MANY = 1500
HELD = 600
"""How many of many records may be held at once."""


@st.composite
def lists_of_records(draw: st.DrawFn) -> list[FeatureRecord]:
    """Some records with the same features: int64 over its whole range, and float32."""
    names = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
    kinds = draw(st.dictionaries(names, st.booleans(), min_size=1, max_size=4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    limits = np.iinfo(np.int64)
    return [
        FeatureRecord(
            {
                name: generator.integers(limits.min, limits.max, length, endpoint=True)
                if integers
                else generator.normal(size=length).astype(np.float32)
                for name, integers in kinds.items()
                for length in generator.integers(1, 9, 1)
            }
        )
        for _ in range(draw(st.integers(1, 5)))
    ]


class RecordFormatConformance(Suite):
    """Subclass it in a test module of the plugin, and name the plugin as its entry point does.

    Attributes:
        plugin: value of the entry point, ``module`` or ``module:attribute``.
        record_format: name of the format, where the plugin registers several.
        gaps: what the format does not do, by the name of a test (:mod:`bertcore.testing.gaps`).
    """

    plugin: ClassVar[str]
    record_format: ClassVar[str] = ""

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> RecordFormat:
        """The format under test."""
        registry = load_plugin(cls.plugin)
        return registry.record_format(only(dict(registry.record_formats), cls.record_format, "record_format"))

    def test_static_facts(self, bench: RecordFormat) -> None:
        """Name, description and suffixes are what listings and folders of records expect."""
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", bench.name)
        assert bench.description
        assert "\n" not in bench.description
        assert bench.suffix.startswith(".")
        assert all(suffix.startswith(".") for suffix in bench.recognized)
        assert bench.problem() is None

    def test_listing_needs_no_framework(self) -> None:
        """Formats are listed by commands that must start quickly."""
        code = (
            "from bertcore.testing.plugin_under_test import load_plugin\n"
            f"dict(load_plugin({self.plugin!r}).record_formats)\n"
        )
        assert imported_modules(code, FRAMEWORKS) == []

    def test_round_trip(self, bench: RecordFormat) -> None:
        """What is written comes back in the same order, with the same names, kinds and bits."""

        @settings(max_examples=25, deadline=None)
        @given(lists_of_records())
        def check(records: list[FeatureRecord]) -> None:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"dev{bench.suffix}"
                assert bench.write(file, iter(records)) == len(records)
                found = list(bench.read(file))
                assert len(found) == len(records)
                for record, expected in zip(found, records, strict=True):
                    _assert_same(record, expected)

        check()

    def test_records_are_written_as_they_come(self, bench: RecordFormat, tmp_path: Path) -> None:
        """A split may be larger than the memory."""
        held = most = 0

        def dropped() -> None:
            nonlocal held
            held -= 1

        def records() -> Iterator[FeatureRecord]:
            nonlocal held, most
            for number in range(MANY):
                input_ids = np.array([number, 1, 2])
                weakref.finalize(input_ids, dropped)
                held += 1
                most = max(most, held)
                yield FeatureRecord({"input_ids": input_ids})

        file = tmp_path / f"train{bench.suffix}"
        assert bench.write(file, records()) == MANY
        assert most <= HELD, f"{most} records were held at once"
        assert [int(np.asarray(record.features["input_ids"])[0]) for record in bench.read(file)] == list(range(MANY))

    @pytest.mark.parametrize("kept", CUTS)
    def test_a_truncated_file(self, bench: RecordFormat, tmp_path: Path, kept: float) -> None:
        """Is a data error, or has fewer records; none of those that come is another than was written.

        A last byte may be missing that says nothing, as the end of the last line.
        """
        file, records = _written(bench, tmp_path)
        content = file.read_bytes()
        file.write_bytes(content[: min(int(kept * len(content)), len(content) - 1)])
        found: list[FeatureRecord] = []
        try:
            for record in bench.read(file):
                found.append(record)
        except DataError as error:
            _assert_one_line(error, file)
        else:
            assert len(found) < len(records) or kept == max(CUTS)
        for record, expected in zip(found, records, strict=False):
            _assert_same(record, expected)

    @pytest.mark.parametrize("content", list(NONSENSE.values()), ids=list(NONSENSE))
    def test_nonsense(self, bench: RecordFormat, tmp_path: Path, content: bytes) -> None:
        """Is a data error, or holds no feature."""
        file, _ = _written(bench, tmp_path)
        file.write_bytes(content)
        try:
            assert not any(record.features for record in bench.read(file))
        except DataError as error:
            _assert_one_line(error, file)

    def test_a_missing_file_is_a_data_error(self, bench: RecordFormat, tmp_path: Path) -> None:
        """With one line of cause that names it."""
        file = tmp_path / f"absent{bench.suffix}"
        with pytest.raises(DataError) as caught:
            list(bench.read(file))
        _assert_one_line(caught.value, file)

    def test_a_full_disk_is_an_error(self, bench: RecordFormat, tmp_path: Path) -> None:
        """Of the operating system, or an output error; never a file that is thought to be whole."""
        file, records = _written(bench, tmp_path)
        with small_files_only(), pytest.raises((OSError, OutputError)) as caught:
            bench.write(file, iter(records * 40))
        if isinstance(caught.value, OutputError):
            _assert_one_line(caught.value, file)


def _written(record_format: RecordFormat, folder: Path) -> tuple[Path, list[FeatureRecord]]:
    """A file of five records, and what it holds."""
    records = [
        FeatureRecord(
            {"input_ids": np.arange(100 * number, 100 * number + 64), "score": np.array([number / 3], np.float32)}
        )
        for number in range(5)
    ]
    file = folder / f"dev{record_format.suffix}"
    assert record_format.write(file, iter(records)) == len(records)
    return file, records


def _assert_same(found: FeatureRecord, expected: FeatureRecord) -> None:
    assert set(found.features) == set(expected.features)
    for name, values in expected.features.items():
        assert isinstance(values, np.ndarray)
        assert isinstance(found.features[name], np.ndarray), name
        assert np.asarray(found.features[name]).dtype == values.dtype, name
        np.testing.assert_array_equal(found.features[name], values, err_msg=name)


def _assert_one_line(error: DataError | OutputError, file: Path) -> None:
    assert "\n" not in error.cause + error.remedy
    assert error.remedy
    assert file.name in error.cause
