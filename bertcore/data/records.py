"""Encoded rows as records: the contract of a file format, and how a batch becomes records and a batch again.

The features are those of google-research/bert (``run_classifier.py``, ``run_squad.py``), lists padded to one length:

- ``input_ids``, ``input_mask``, ``segment_ids``: int64 ``[length]``;
- ``label_ids``: the label of a row, int64 ``[1]`` (float ``[1]`` for a regression, int64 ``[labels]`` for several
  labels); for a head that tags tokens int64 ``[length]``, -100 wherever no label stands;
- ``is_real_example``: int64 ``[1]``, 1;
- for a head that extracts spans, instead of the last two, ``unique_ids``, and where the answers are known
  ``start_positions``, ``end_positions`` and ``is_impossible``: int64 ``[1]`` each.

What a batch holds beyond that goes into features of its own: ``label_mask`` int64 ``[length]``, 1 where a label
belongs; ``example_index`` int64 ``[1]`` where an example has several rows; every further column under its own name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.batch import Batch, Column, Per
from bertcore.errors import DataError, PluginError
from bertcore.heads import Head, Regression, SequenceClassification, SpanExtraction

Feature = NDArray[Any] | list[bytes]
"""The values of one feature of a record: an int64 or float32 vector, or a list of bytes."""

NO_LABEL = -100
"""What ``label_ids`` holds at a token without label: PyTorch and MindSpore leave it out of a loss by default."""

FIRST_UNIQUE_ID = 1_000_000_000
"""The first of ``unique_ids``, as in ``run_squad.py``."""

_TOKENS = ("input_ids", "input_mask", "segment_ids")
_LABEL_MASK = "label_mask"
_EXAMPLE_INDEX = "example_index"
_IS_REAL = "is_real_example"
_RESERVED = (*_TOKENS, _LABEL_MASK, _EXAMPLE_INDEX, _IS_REAL, "unique_ids")

# The columns that google-research/bert calls otherwise.
_FEATURE_NAMES = {"labels": "label_ids"}

# Rows that are padded, or checked, at a time.
_CHUNK = 512


@dataclass(frozen=True)
class Record:
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
    def write(self, file: Path, records: Iterable[Record]) -> int:
        """Writes records as they come, and returns their number; all have the same features.

        Raises:
            OSError: the operating system refused. The caller sees to it that nothing half-written stays.
        """

    @abstractmethod
    def read(self, file: Path) -> Iterator[Record]:
        """Yields the records as they are read.

        Raises:
            DataError: the file is missing or damaged; names the file and the record, counted from 1.
        """


@dataclass(frozen=True)
class ColumnLayout:
    """What is needed to make a column of a batch from a feature.

    Attributes:
        name: of the column.
        feature: that holds its values.
        per: what one value belongs to.
        dtype: of the column; float64 is stored by its bits, as int64.
        shape: of one value.
        ignore: of the column.
    """

    name: str
    feature: str
    per: Per
    dtype: str
    shape: tuple[int, ...] = ()
    ignore: float | None = None


@dataclass(frozen=True)
class RecordLayout:
    """What the features of a split's records mean.

    Attributes:
        columns: of the batch.
        label_positions: whether ``label_mask`` says where labels belong.
        example_index: whether the feature of this name says which example a row comes from; otherwise it is row by row.
    """

    columns: tuple[ColumnLayout, ...] = ()
    label_positions: bool = False
    example_index: bool = False


def layout_of(batch: Batch, examples: int | None) -> RecordLayout:
    """Returns how the rows of a batch are laid out in records.

    Args:
        batch: all rows of a split, or of a part of it.
        examples: number of examples that the rows come from; None for a part, of which more is to come.

    Raises:
        PluginError: a column has the name of a feature with another meaning.
    """
    columns = []
    for name, column in batch.columns.items():
        feature = _FEATURE_NAMES.get(name, name)
        if feature in _RESERVED or (feature != name and feature in batch.columns):
            raise PluginError(
                f"the column {name!r} cannot be written: {feature} means something else in a record",
                "report this to the authors of the task",
            )
        values = column.values
        columns.append(ColumnLayout(name, feature, column.per, str(values.dtype), values.shape[1:], column.ignore))
    row_by_row = examples is not None and np.array_equal(batch.example_index, np.arange(examples))
    return RecordLayout(tuple(columns), batch.label_positions is not None, not row_by_row)


def records_of(
    batch: Batch, layout: RecordLayout, head: Head, length: int | None, pad_token_id: int, first_row: int = 0
) -> Iterator[Record]:
    """Yields the rows of a batch as records.

    Args:
        batch: the rows.
        layout: of the records.
        head: that reads the columns.
        length: every list is padded to; None pads none.
        pad_token_id: fills ``input_ids``.
        first_row: number of the first row in its split.
    """
    chunk = _CHUNK if length is not None else 1
    for start in range(0, len(batch), chunk):
        part = batch.select(np.arange(start, min(start + chunk, len(batch))))
        size = len(part)
        width = int(part.lengths.max()) if length is None else length
        padded = part.padded(size, width, pad_token_id)
        features: dict[str, NDArray[Any]] = {
            "input_ids": padded.input_ids,
            "input_mask": padded.attention_mask,
            "segment_ids": padded.token_type_ids,
        }
        label_mask: NDArray[np.bool_] | None = None
        if part.label_offsets is not None and part.label_positions is not None:
            label_mask = np.zeros((size, width), dtype=np.bool_)
            rows = np.repeat(np.arange(size), np.diff(part.label_offsets))
            label_mask[rows, part.label_positions] = True
        places = {"token": padded.attention_mask, "label": label_mask}
        for column in layout.columns:
            values = _storable(part.columns[column.name].values)
            if column.per != "row":
                place = places[column.per]
                assert place is not None
                filler = NO_LABEL if column.per == "label" else 0
                wide = np.full((size, width, *column.shape), filler, dtype=values.dtype)
                wide[place] = values
                values = wide
            features[column.feature] = values
        features |= _official(head, layout, part, label_mask, first_row + start)
        if label_mask is not None:
            features[_LABEL_MASK] = label_mask
        if layout.example_index:
            features[_EXAMPLE_INDEX] = part.example_index
        flat = {name: _storable(values).reshape(size, -1) for name, values in features.items()}
        for row in range(size):
            yield Record({name: values[row] for name, values in flat.items()})


def _official(
    head: Head, layout: RecordLayout, part: Batch, label_mask: NDArray[np.bool_] | None, first_row: int
) -> dict[str, NDArray[Any]]:
    """What google-research/bert writes, and a batch does not hold."""
    size = len(part)
    if isinstance(head, SpanExtraction):
        features: dict[str, NDArray[Any]] = {"unique_ids": FIRST_UNIQUE_ID + first_row + np.arange(size)}
        if "start_positions" in part.columns and "is_impossible" not in part.columns:
            starts, ends = part.columns["start_positions"].values, part.columns["end_positions"].values
            features["is_impossible"] = (starts == 0) & (ends == 0)
        return features
    features = {_IS_REAL: np.ones(size, dtype=np.int64)}
    if all(column.feature != "label_ids" for column in layout.columns):
        # run_classifier.py has a label in its test set, too: the first one.
        if label_mask is not None:
            features["label_ids"] = np.where(label_mask, 0, NO_LABEL)
        else:
            several = isinstance(head, SequenceClassification) and head.multi_label
            dtype = np.float32 if isinstance(head, Regression) else np.int64
            features["label_ids"] = np.zeros((size, head.output_size if several else 1), dtype=dtype)
    return features


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == np.float64:
        return np.ascontiguousarray(values).view(np.int64)
    return np.asarray(values.astype(np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64))


def foreign_layout(head: Head) -> RecordLayout | None:
    """Returns the layout of records that another program wrote for this head, or None where theirs do not suffice."""
    if isinstance(head, SequenceClassification) and not head.multi_label:
        return RecordLayout((ColumnLayout(head.label_column, "label_ids", "row", "int32"),))
    if isinstance(head, Regression):
        return RecordLayout((ColumnLayout(head.label_column, "label_ids", "row", "float32"),))
    return None


@dataclass(frozen=True)
class RecordedRows:
    """The rows of a file of records.

    Attributes:
        batch: all rows.
        numbers: int64 ``[rows]``, number of the record of each row, from 1 and over all files.
        padding: records with ``is_real_example`` 0, which fill a last batch and are no rows.
    """

    batch: Batch
    numbers: NDArray[np.int64]
    padding: int


def rows_of(records: Iterable[Record], layout: RecordLayout, name: str) -> RecordedRows:
    """Returns the rows that records hold; the inverse of :func:`records_of`.

    Args:
        records: of one split.
        layout: of the records.
        name: of the file, for errors.

    Raises:
        DataError: a feature is missing, or of a wrong type, length or value; names file, record and feature.
    """
    parts: list[tuple[Batch, NDArray[np.int64]]] = []
    waiting = iter(records)
    count = padding = rows = 0
    while chunk := list(islice(waiting, _CHUNK)):
        numbers = np.arange(count + 1, count + len(chunk) + 1)
        count += len(chunk)
        marked = np.array([_IS_REAL in record.features for record in chunk])
        if marked.any():
            # The feature is optional: a record without it is a row.
            real = ~marked
            with_it = [record for record in chunk if _IS_REAL in record.features]
            real[marked] = _scalars(with_it, _IS_REAL, "int64", (), numbers[marked], name) != 0
            chunk = [record for record, is_real in zip(chunk, real, strict=True) if is_real]
            padding += int(np.count_nonzero(~real))
            numbers = numbers[real]
        if chunk:
            parts.append((_part(chunk, layout, numbers, rows, name), numbers))
            rows += len(chunk)
    batch = _joined([part for part, _ in parts], layout)
    return RecordedRows(batch, np.concatenate([np.zeros(0, dtype=np.int64), *(part for _, part in parts)]), padding)


def _part(
    chunk: Sequence[Record], layout: RecordLayout, numbers: NDArray[np.int64], first_row: int, name: str
) -> Batch:
    ids, widths = _vectors(chunk, "input_ids", "int64", numbers, name)
    flat = {"input_ids": ids}
    per_token = [column.feature for column in layout.columns if column.per != "row"]
    for feature in ("input_mask", "segment_ids", *([_LABEL_MASK] if layout.label_positions else [])):
        flat[feature], lengths = _vectors(chunk, feature, "int64", numbers, name)
        _require(lengths == widths, numbers, name, f"{feature} and input_ids differ in length")
    row_of = np.repeat(np.arange(len(chunk)), widths)
    position = np.arange(len(ids)) - np.repeat(np.cumsum(widths) - widths, widths)
    real = flat["input_mask"] == 1
    known = (flat["input_mask"] == 0) | real
    _require(_all_of(known, row_of, len(chunk)), numbers, name, "input_mask holds a value other than 0 and 1")
    lengths = np.bincount(row_of[real], minlength=len(chunk))
    _require(lengths > 0, numbers, name, "input_mask has no token")
    regular = real == (position < lengths[row_of])
    _require(_all_of(regular, row_of, len(chunk)), numbers, name, "input_mask is not ones followed by zeros")
    for feature in ("input_ids", "segment_ids"):
        fits = (flat[feature] >= 0) & (flat[feature] < 2**31)
        _require(_all_of(fits, row_of, len(chunk)), numbers, name, f"{feature} holds a value that is no id")
    label_offsets = label_positions = None
    places = {"token": real}
    if layout.label_positions:
        labelled = flat[_LABEL_MASK] == 1
        _require(_all_of(~labelled | real, row_of, len(chunk)), numbers, name, "label_mask marks padding")
        label_offsets = _offsets(np.bincount(row_of[labelled], minlength=len(chunk)))
        label_positions = position[labelled].astype(np.int32)
        places["label"] = labelled
    columns: dict[str, Column] = {}
    for column in layout.columns:
        if column.feature in per_token:
            size = int(np.prod(column.shape, dtype=np.int64))
            values, counts = _vectors(chunk, column.feature, column.dtype, numbers, name)
            _require(counts == widths * size, numbers, name, f"{column.feature} and input_ids differ in length")
            values = values.reshape(-1, *column.shape)[places[column.per]]
        else:
            values = _scalars(chunk, column.feature, column.dtype, column.shape, numbers, name)
            if column.feature == "label_ids" and np.issubdtype(values.dtype, np.floating):
                usable = np.isfinite(values) | (values == column.ignore)
                _require(
                    usable.reshape(len(chunk), -1).all(axis=1),
                    numbers,
                    name,
                    "label_ids holds NaN or infinity",
                    "give the row a finite number, or leave it out",
                )
        columns[column.name] = Column(values, column.per, column.ignore)
    index = np.arange(first_row, first_row + len(chunk))
    if layout.example_index:
        index = _scalars(chunk, _EXAMPLE_INDEX, "int64", (), numbers, name)
    return Batch(
        offsets=_offsets(lengths),
        input_ids=ids[real].astype(np.int32),
        token_type_ids=flat["segment_ids"][real].astype(np.int32),
        example_index=index,
        columns=columns,
        label_offsets=label_offsets,
        label_positions=label_positions,
    )


def _scalars(
    chunk: Sequence[Record],
    feature: str,
    dtype: str,
    shape: tuple[int, ...],
    numbers: NDArray[np.int64],
    name: str,
) -> NDArray[Any]:
    """One value of the given shape per record, ``[records, *shape]``."""
    values, counts = _vectors(chunk, feature, dtype, numbers, name)
    size = int(np.prod(shape, dtype=np.int64))
    _require(counts == size, numbers, name, f"{feature} does not hold {size} value{'s' * (size != 1)}")
    return values.reshape(-1, *shape)


def _vectors(
    chunk: Sequence[Record], feature: str, dtype: str, numbers: NDArray[np.int64], name: str
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of a feature of all records, one behind the other, and how many each record has."""
    parts: list[NDArray[Any]] = []
    floats = dtype not in ("float64", "int64") and np.issubdtype(np.dtype(dtype), np.floating)
    for record, number in zip(chunk, numbers.tolist(), strict=True):
        values = record.features.get(feature)
        if values is None:
            raise DataError(
                f"{name}: record {number}: no feature {feature!r} among {', '.join(sorted(record.features)) or 'none'}",
                "write the features of google-research/bert",
            )
        # A program that knows whole scores alone may have written a regression's labels as such.
        if isinstance(values, list) or not (values.dtype == np.int64 or (floats and values.dtype == np.float32)):
            found = "bytes" if isinstance(values, list) else "floats"
            raise DataError(
                f"{name}: record {number}: {feature} holds {found} instead of {'floats' if floats else 'int64'}",
                "write the features of google-research/bert",
            )
        parts.append(values)
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    joined = np.concatenate(parts)
    if dtype == "float64":
        return np.ascontiguousarray(joined).view(np.float64), counts
    converted = joined.astype(dtype)
    same = (converted == joined) | (converted != converted)
    records = np.repeat(np.arange(len(chunk)), counts)
    _require(_all_of(same, records, len(chunk)), numbers, name, f"{feature} holds a value that is no {dtype}")
    return converted, counts


def _require(
    good: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    name: str,
    problem: str,
    remedy: str = "write the features of google-research/bert",
) -> None:
    if not good.all():
        raise DataError(f"{name}: record {int(numbers[int(np.argmin(good))])}: {problem}", remedy)


def _all_of(good: NDArray[np.bool_], row_of: NDArray[np.int64], rows: int) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(row_of[~good], minlength=rows) == 0)


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _joined(parts: Sequence[Batch], layout: RecordLayout) -> Batch:
    """All rows of several batches as one batch."""
    nothing = np.zeros(0, dtype=np.int64)
    columns = {}
    for column in layout.columns:
        none = np.zeros((0, *column.shape), dtype=column.dtype)
        values = np.concatenate([none, *(part.columns[column.name].values for part in parts)])
        columns[column.name] = Column(values, column.per, column.ignore)
    label_offsets = label_positions = None
    if layout.label_positions:
        lengths = [np.diff(part.label_offsets) for part in parts if part.label_offsets is not None]
        positions = [part.label_positions for part in parts if part.label_positions is not None]
        label_offsets = _offsets(np.concatenate([nothing, *lengths]))
        label_positions = np.concatenate([np.zeros(0, dtype=np.int32), *positions])
    return Batch(
        offsets=_offsets(np.concatenate([nothing, *(part.lengths for part in parts)])),
        input_ids=np.concatenate([np.zeros(0, dtype=np.int32), *(part.input_ids for part in parts)]),
        token_type_ids=np.concatenate([np.zeros(0, dtype=np.int32), *(part.token_type_ids for part in parts)]),
        example_index=np.concatenate([nothing, *(part.example_index for part in parts)]),
        columns=columns,
        label_offsets=label_offsets,
        label_positions=label_positions,
    )
