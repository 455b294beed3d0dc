"""Encoded rows as JSON lines, for people to look into: one object per row, without padding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from bertcore.contracts.record_format import Feature, FeatureRecord, RecordFormat
from bertcore.data.tables import parse_json_lines, read_lines
from bertcore.errors import DataError, Origin


class JsonLinesFormat(RecordFormat):
    """One JSON object a line: tokens, their offsets and the names of the labels first, then the features."""

    name = "jsonl"
    description = "JSON lines with tokens, offsets and labels, to look into"
    suffix = ".jsonl"
    for_people = True

    def write(self, file: Path, records: Iterable[FeatureRecord]) -> int:  # noqa: D102
        count = 0
        with file.open("wb") as output:
            for record in records:
                lists = {
                    name: values.tolist() for name, values in record.features.items() if isinstance(values, np.ndarray)
                }
                output.write(json.dumps({**record.comments, **lists}, ensure_ascii=False).encode() + b"\n")
                count += 1
        return count

    def read(self, file: Path) -> Iterator[FeatureRecord]:  # noqa: D102
        for number, (values, _) in enumerate(parse_json_lines(read_lines(file), str(file)), 1):
            features: dict[str, Feature] = {}
            for name, value in values.items():
                if isinstance(value, list) and all(type(item) in (int, float) for item in value):
                    integers = all(type(item) is int for item in value)
                    try:
                        features[name] = np.array(value, dtype=np.int64 if integers else np.float32)
                    except OverflowError:
                        raise DataError(
                            f"{name} holds a number beyond 64 bits",
                            "write the file again",
                            origin=Origin(str(file), part=f"record {number}"),
                            code="record-wrong",
                        ) from None
            yield FeatureRecord(features)
