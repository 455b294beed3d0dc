"""TNEWS, whose labels stand in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from bertcore.config import DataConfig
from bertcore.contracts.dataset import Split
from bertcore.data.tables import parse_json_lines, read_lines
from bertcore.errors import DataError, Origin
from pydantic import Field

from bertcore_tasks.clue.base import ClueTask
from bertcore_tasks.fields import plain_text

LABELS_FILE = "labels.json"
_FORM = 'write {"label": "100"} a line'


class TnewsConfig(DataConfig):
    """Data options of TNEWS."""

    keywords: bool = Field(False, description="read the keywords as a second text")


class TnewsTask(ClueTask[TnewsConfig]):
    """TNEWS of CLUE 1.0 and 1.1, which share all but the test file."""

    optional_submissions: ClassVar[frozenset[str]] = frozenset({"test1.0"})

    def find_labels(self, files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
        """The codes of ``labels.json`` beside the other files, in its order.

        Raises:
            DataError: the file is missing or wrong.
        """
        (first, *_) = files.values()
        file = first[0].parent / LABELS_FILE
        labels: list[str] = []
        for record, origin in parse_json_lines(read_lines(file), str(file)):
            label = plain_text(record.get("label"))
            if label is None or label in labels:
                raise DataError(
                    f"the field 'label' {'is missing' if label is None else f'is {label!r} again'}",
                    _FORM,
                    origin=origin,
                    code="field-missing" if label is None else "label-repeated",
                )
            labels.append(label)
        if not labels:
            raise DataError("no labels", _FORM, origin=Origin(str(file)), code="labels-missing")
        return tuple(labels)

    def fields_read(self, data: TnewsConfig) -> tuple[str, ...]:
        """The sentence, and the keywords where they are asked for."""
        return ("sentence", "keywords") if data.keywords else ("sentence",)

    def read_split(self, split: str, file: Path, labels: tuple[str, ...], data: TnewsConfig) -> Split:
        """Counts the examples without keywords, too: the official training file was handed out with and without."""
        found = super().read_split(split, file, labels, data)
        without = sum(example.texts.get("keywords") == "" for example in found)
        note = f"{file.name}: {without} of {len(found)} examples have no keywords"
        return replace(found, notes=(*found.notes, note)) if without else found
