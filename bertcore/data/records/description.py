"""``records.json``: what the records of a folder mean."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from bertcore.config import OPTIONS_BESIDE_ROWS, DataConfig, Setting
from bertcore.contracts.dataset import LeftOut
from bertcore.data.records.layout import ColumnLayout, RecordLayout, StoredPer
from bertcore.errors import DataError, Origin
from bertcore.files.bounds import LARGEST_CONFIG, LARGEST_RECORD, shape_problem
from bertcore.files.foreign_json import read_json

DESCRIPTION = "records.json"
VERSION = 1

LENGTH_OPTION = "max_length"
"""The one data option that may differ: a run may allow longer rows than there are, or shorter ones where none is."""

CONVERT_ANEW = "write the records anew: bertcore data convert"
"""What to do about records that do not fit."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _number_type(name: str) -> str:
    try:
        kind = np.dtype(name).kind
    except TypeError:
        kind = "none"
    if kind not in {"b", "i", "u", "f"}:
        raise ValueError(f"{name!r} is no type of numbers")
    return name


def _small_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    problem = shape_problem(shape)
    if problem is not None or math.prod(max(size, 1) for size in shape) > LARGEST_RECORD:
        raise ValueError(f"no value has {problem or 'so many numbers'}")
    return shape


class ColumnDescription(_Part):
    """See :class:`bertcore.data.records.layout.ColumnLayout`."""

    name: str
    feature: str
    per: StoredPer
    dtype: Annotated[str, AfterValidator(_number_type)]
    shape: Annotated[tuple[NonNegativeInt, ...], AfterValidator(_small_shape)] = ()
    ignore: float | None = None


class SplitDescription(_Part):
    """One split of a folder: its files, their sizes, the layout of the records, and what was noted on the way."""

    file: str
    examples: str
    example_count: int
    record_count: int
    columns: tuple[ColumnDescription, ...]
    label_positions: bool
    example_index: bool
    reading_notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _labels_have_positions(self) -> SplitDescription:
        astray = [column.name for column in self.columns if column.per == "label"]
        if astray and not self.label_positions:
            raise ValueError(f"{astray[0]} has a value per label, and label_positions is false")
        return self

    @property
    def layout(self) -> RecordLayout:
        """As the records module has it."""
        columns = tuple(ColumnLayout(**column.model_dump()) for column in self.columns)
        return RecordLayout(columns, self.label_positions, self.example_index)


class FolderDescription(_Part):
    """The content of ``records.json``; another program writes ``labels`` alone.

    Attributes:
        version: of this description.
        bertcore: version of the program.
        format: name of the record format.
        task: name of the task.
        encoding_version: of the task.
        head: name of the head whose columns the records hold.
        labels: of the dataset, in the order of their ids.
        head_labels: of the head, which may tell them apart in other terms (another tag scheme).
        discovered: as in :class:`bertcore.contracts.dataset.Dataset`.
        tokenizer: fingerprint of the tokenizer.
        max_length: tokens of the longest row allowed; lists are padded to it.
        options: the task's data options.
        notes: of the dataset.
        splits: by name.
    """

    version: int = VERSION
    bertcore: str = ""
    format: str = ""
    task: str = ""
    encoding_version: int = 0
    head: str = ""
    labels: tuple[str, ...] = ()
    head_labels: tuple[str, ...] = ()
    discovered: bool = False
    tokenizer: str = ""
    max_length: int = 0
    options: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    splits: dict[str, SplitDescription] = {}


def data_options(data: DataConfig) -> dict[str, Any]:
    """The data options that determine what rows are made of an example, as JSON has them."""
    return data.model_dump(mode="json", exclude=set(OPTIONS_BESIDE_ROWS))


def read_description(folder: Path) -> FolderDescription | None:
    """Reads ``records.json``, or returns None where there is none.

    Raises:
        DataError: it is damaged, or of a later version, or two labels have the same name.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        return None
    try:
        content = read_json(file, LARGEST_CONFIG)
        version = content.get("version", VERSION) if isinstance(content, dict) else VERSION
        if version != VERSION:
            raise DataError(
                f"version {version} is not known",
                "update bertcore, or convert the data anew",
                origin=Origin(str(file)),
                code="version-unknown",
            )
        description = FolderDescription.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"{first['msg'][0].lower()}{first['msg'][1:]}",
            CONVERT_ANEW,
            origin=Origin(str(file), part=field),
            code="records-description-wrong",
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(str(error), CONVERT_ANEW, origin=Origin(str(file)), code="records-description-wrong") from None
    # Scores and predictions go by the names of labels: two classes of one name would be counted as one.
    for field, labels in (("labels", description.labels), ("head_labels", description.head_labels)):
        twice = next((label for label, count in Counter(labels).items() if count > 1), None)
        if twice is not None:
            raise DataError(
                f"two labels are named {twice!r}",
                CONVERT_ANEW if description.splits else "give every label a name of its own, in the order of the ids",
                origin=Origin(str(file), part=field),
                code="label-repeated",
            )
    return description


def recorded_settings(path: str, task: str) -> list[Setting]:
    """The data options that the records of a folder were made with, for a task that reads them again.

    They stand below whatever else sets an option, so that a run does not have to repeat them.
    """
    description = read_description(Path(path))
    if description is None or description.task != task:
        return []
    origin = str(Path(path) / DESCRIPTION)
    return [Setting(f"data.{name}", value, origin) for name, value in description.options.items() if value is not None]
