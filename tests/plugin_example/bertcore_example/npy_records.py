"""A record format: the vectors of each row as arrays of numpy, one behind the other in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from bertcore import DataError, Feature, FeatureRecord, Origin, RecordFormat


class NpyRecords(RecordFormat):
    """The names of the features first, then the vectors of every row in the order of the names."""

    name = "npy"
    description = "example: arrays of numpy, one behind the other"
    suffix = ".npy"

    def write(self, file: Path, records: Iterable[FeatureRecord]) -> int:
        """Writes each record as it comes."""
        names: list[str] = []
        count = 0
        with file.open("wb") as output:
            for record in records:
                if not names:
                    names = list(record.features)
                    np.save(output, np.array(names))
                for name in names:
                    np.save(output, record.features[name])
                count += 1
        return count

    def read(self, file: Path) -> Iterator[FeatureRecord]:
        """Yields each record as it is read."""
        if not file.is_file():
            remedy = "bertcore data convert --to npy writes it"
            raise DataError("no such file", remedy, origin=Origin(str(file)), code="file-missing")
        size = file.stat().st_size
        number = 0
        with file.open("rb") as source:
            try:
                names = np.load(source).tolist()
                while source.tell() < size:
                    number += 1
                    features: dict[str, Feature] = {name: np.load(source) for name in names}
                    yield FeatureRecord(features)
            except (EOFError, ValueError) as error:
                origin = Origin(str(file), part=f"record {number}")
                raise DataError(str(error), "write the file again", origin=origin, code="record-damaged") from None
