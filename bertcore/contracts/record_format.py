"""Record formats: how encoded rows are stored in files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

Feature = NDArray[Any] | list[bytes]
"""The values of one feature of a record: an int64 or float32 vector, or a list of bytes."""


@dataclass(frozen=True)
class FeatureRecord:
    """One row.

    Attributes:
        features: what a program reads, by name.
        comments: what a person wants to read beside them (tokens, offsets, names of labels): JSON values by name.
    """

    features: Mapping[str, Feature]
    comments: Mapping[str, Any] = field(default_factory=dict)


class RecordFormat(ABC):
    """Base of all formats of record files; an instance is registered by ``bertcore_register_record_formats``.

    Class attributes:
        name: as in ``bertcore data convert --to tfrecord``.
        description: one line.
        suffix: of the files that are written, as ``.tf_record``.
        recognized: suffixes by which files are known that another program wrote; empty where a suffix says too little.
        for_people: whether the rows are written without padding and with their comments.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    suffix: ClassVar[str]
    recognized: ClassVar[tuple[str, ...]] = ()
    for_people: ClassVar[bool] = False

    def problem(self) -> tuple[str, str] | None:
        """Says why the format cannot be used here, with what to do about it, or None where it can."""
        return None

    @abstractmethod
    def write(self, file: Path, records: Iterable[FeatureRecord]) -> int:
        """Writes records as they come, and returns their number; all have the same features.

        Raises:
            OSError: the operating system refused. The caller sees to it that nothing half-written stays.
        """

    @abstractmethod
    def read(self, file: Path) -> Iterator[FeatureRecord]:
        """Yields the records as they are read.

        Raises:
            DataError: the file is missing or damaged; names the file and the record, counted from 1.
        """
