"""The record format ``mindrecord``: MindSpore's own files, written and read by ``mindspore.mindrecord``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from bertcore.contracts.record_format import Feature, FeatureRecord, RecordFormat
from bertcore.errors import DataError, Origin, OutputError
from bertcore_mindspore import devices
from bertcore_mindspore.backend import MindSporeBackend
from bertcore_mindspore.record_reader import read_mindrecord, reason_of

# Rows that are handed to the writer at a time.
_CHUNK = 256


class MindRecordFormat(RecordFormat):
    """One row per record, every feature a vector of the schema; beside each file lies its index, ``FILE.db``.

    The format has no checksums: a damaged header or index is found, a damaged value is not.
    """

    name = "mindrecord"
    description = "MindRecord files with the features of google-research/bert"
    suffix = ".mindrecord"
    recognized = (".mindrecord",)

    def problem(self) -> tuple[str, str] | None:  # noqa: D102
        return MindSporeBackend().problem()

    def write(self, file: Path, records: Iterable[FeatureRecord]) -> int:  # noqa: D102
        devices.quiet_framework()
        from mindspore.mindrecord import FileWriter

        writer = FileWriter(str(file), overwrite=True)
        waiting = iter(records)
        count = 0
        while chunk := [dict(record.features) for record in islice(waiting, _CHUNK)]:
            try:
                if count == 0:
                    writer.add_schema(_schema(chunk[0]), "encoded rows of bertcore")
                writer.write_raw_data(chunk)
            except RuntimeError as error:
                raise _output_error(file, error) from None
            count += len(chunk)
        try:
            if count == 0:
                writer.add_schema(_schema({"input_ids": np.zeros(1, dtype=np.int64)}), "encoded rows of bertcore")
            writer.commit()
        except RuntimeError as error:
            raise _output_error(file, error) from None
        for made in (file, _index_of(file)):
            made.chmod(file.parent.stat().st_mode & 0o666)  # MindSpore lets nobody but the owner read them
        return count

    def read(self, file: Path) -> Iterator[FeatureRecord]:  # noqa: D102
        for needed in (file, _index_of(file)):
            if not needed.is_file():
                remedy = "a MindRecord file and its index FILE.db belong together"
                raise DataError("no such file", remedy, origin=Origin(str(needed)), code="records-incomplete")
        yield from map(FeatureRecord, read_mindrecord(file))


def _index_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.db")


def _schema(features: dict[str, Feature]) -> dict[str, dict[str, object]]:
    schema: dict[str, dict[str, object]] = {}
    for name, values in features.items():
        if isinstance(values, list):
            raise TypeError(f"{name} holds bytes, and records of encoded rows hold numbers alone")
        schema[name] = {"type": str(values.dtype), "shape": [-1]}
    return schema


def _output_error(file: Path, error: RuntimeError) -> OutputError:
    problem = f"cannot be written: {reason_of(error)}"
    remedy = "free some space, or choose another place"
    return OutputError(problem, remedy, origin=Origin(str(file)), code="output-unwritable")
