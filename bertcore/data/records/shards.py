"""Which files of a folder hold the records of which split."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from bertcore.contracts.record_format import RecordFormat
from bertcore.data.records.description import DESCRIPTION
from bertcore.errors import DataError, Origin

_SHARD = re.compile(r"(?P<front>.*?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<back>.*)")


def holds_records(folder: Path, formats: Mapping[str, RecordFormat]) -> bool:
    """Whether a folder is read as records: it has a ``records.json``, or files with the suffix of a format."""
    if not folder.is_dir():
        return False
    return (folder / DESCRIPTION).is_file() or bool(record_files(folder, formats))


def record_files(folder: Path, formats: Mapping[str, RecordFormat]) -> dict[str, dict[str, list[Path]]]:
    """Files that carry the suffix of a format: by format and stem, the shards of one stem in their order.

    Raises:
        DataError: a shard is missing, or two files or sets of shards have the same stem.
    """
    found: dict[str, dict[str, dict[Path, re.Match[str] | None]]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.iterdir()):
        name = file.name
        shard = _SHARD.fullmatch(name)
        if shard is not None:
            name = shard["front"] + shard["back"]
        for format_name, record_format in formats.items():
            suffix = next((suffix for suffix in record_format.recognized if name.endswith(suffix)), None)
            if suffix is not None and file.is_file():
                found[format_name][name.removesuffix(suffix)][file] = shard
    return {
        format_name: {stem: _whole_split(stem, files) for stem, files in by_stem.items()}
        for format_name, by_stem in found.items()
    }


def _whole_split(stem: str, files: Mapping[Path, re.Match[str] | None]) -> list[Path]:
    """The one file of a stem, or all shards of one set in their order; the files come sorted, each with its shard."""
    (first, first_shard), *others = files.items()
    for file, shard in others:
        # Sets may differ in their count, or in the suffix alone; a part of another set is other data.
        if first_shard is None or shard is None or _set_of(first_shard) != _set_of(shard):
            raise claimed_twice(first, file, stem)
    if first_shard is None:
        return [first]
    front, count, back = _set_of(first_shard)
    parts = {int(shard["number"]): file for file, shard in files.items() if shard is not None}
    for number, file in parts.items():
        if number >= int(count):
            raise DataError(
                f"there is no part {number} of {int(count)}, because the first is part 0",
                "remove the file, or give it the number of its part",
                origin=Origin(str(file)),
                code="records-incomplete",
            )
    missing = next((number for number in range(int(count)) if number not in parts), None)
    if missing is not None:
        file = first.with_name(f"{front}-{missing:05d}-of-{count}{back}")
        raise DataError(
            f"no such file, and {len(parts)} of {int(count)} parts are there",
            "get the parts that are missing",
            origin=Origin(str(file)),
            code="records-incomplete",
        )
    return list(files)


def _set_of(shard: re.Match[str]) -> tuple[str, str, str]:
    """What the shards of one set have in common."""
    return shard["front"], shard["count"], shard["back"]


def claimed_twice(first: Path, second: Path, split: str) -> DataError:
    """The error about two files that are one split."""
    return DataError(
        f"{second.name} claims the split {split!r} too",
        "remove one of the two; of a split in parts, keep the parts of one set",
        origin=Origin(str(first)),
        code="file-ambiguous",
    )
