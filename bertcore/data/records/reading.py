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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.record_format import FeatureRecord
from bertcore.data.records.layout import CHUNK, EXAMPLE_INDEX, IS_REAL, LABEL_MASK, RecordLayout
from bertcore.errors import DataError, Origin


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


def rows_of(records: Iterable[FeatureRecord], layout: RecordLayout, name: str) -> RecordedRows:
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
    while chunk := list(islice(waiting, CHUNK)):
        numbers = np.arange(count + 1, count + len(chunk) + 1)
        count += len(chunk)
        marked = np.array([IS_REAL in record.features for record in chunk])
        if marked.any():
            # The feature is optional: a record without it is a row.
            real = ~marked
            with_it = [record for record in chunk if IS_REAL in record.features]
            real[marked] = _scalars(with_it, IS_REAL, "int64", (), numbers[marked], name) != 0
            chunk = [record for record, is_real in zip(chunk, real, strict=True) if is_real]
            padding += int(np.count_nonzero(~real))
            numbers = numbers[real]
        if chunk:
            parts.append((_part(chunk, layout, numbers, rows, name), numbers))
            rows += len(chunk)
    batch = _joined([part for part, _ in parts], layout)
    return RecordedRows(batch, np.concatenate([np.zeros(0, dtype=np.int64), *(part for _, part in parts)]), padding)


def _part(
    chunk: Sequence[FeatureRecord], layout: RecordLayout, numbers: NDArray[np.int64], first_row: int, name: str
) -> Batch:
    # The lists of all records of a chunk lie one behind the other, with the row and the place of each value:
    #
    #     input_ids    101   7 102   0 101   9   9 102
    #     input_mask     1   1   1   0   1   1   1   1
    #     row_of         0   0   0   0   1   1   1   1
    #     position       0   1   2   3   0   1   2   3
    #
    # So a check is one comparison over the chunk, which then names the first record that fails it, and what is padding
    # falls out where a batch is made.
    ids, widths = _vectors(chunk, "input_ids", "int64", numbers, name)
    flat = {"input_ids": ids}
    per_token = [column.feature for column in layout.columns if column.per != "row"]
    for feature in ("input_mask", "segment_ids", *([LABEL_MASK] if layout.label_positions else [])):
        flat[feature], lengths = _vectors(chunk, feature, "int64", numbers, name)
        _require(lengths == widths, numbers, name, f"{feature} and input_ids differ in length")
    row_of = np.repeat(np.arange(len(chunk)), widths)
    position = np.arange(len(ids)) - np.repeat(np.cumsum(widths) - widths, widths)
    real = flat["input_mask"] == 1
    known = (flat["input_mask"] == 0) | real
    _require(_all_of(known, row_of, len(chunk)), numbers, name, "input_mask holds a value other than 0 and 1")
    lengths = np.bincount(row_of[real], minlength=len(chunk))
    _require(lengths > 0, numbers, name, "input_mask has no token")
    # A batch keeps lengths instead of masks, and could not say where a gap was.
    regular = real == (position < lengths[row_of])
    _require(_all_of(regular, row_of, len(chunk)), numbers, name, "input_mask is not ones followed by zeros")
    for feature in ("input_ids", "segment_ids"):
        fits = (flat[feature] >= 0) & (flat[feature] < 2**31)
        _require(_all_of(fits, row_of, len(chunk)), numbers, name, f"{feature} holds a value that is no id")
    label_offsets = label_positions = None
    places = {"token": real}
    if layout.label_positions:
        labelled = flat[LABEL_MASK] == 1
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
        index = _scalars(chunk, EXAMPLE_INDEX, "int64", (), numbers, name)
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
    chunk: Sequence[FeatureRecord],
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
    chunk: Sequence[FeatureRecord], feature: str, dtype: str, numbers: NDArray[np.int64], name: str
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of a feature of all records, one behind the other, and how many each record has."""
    parts: list[NDArray[Any]] = []
    floats = dtype not in ("float64", "int64") and np.issubdtype(np.dtype(dtype), np.floating)
    for record, number in zip(chunk, numbers.tolist(), strict=True):
        values = record.features.get(feature)
        if values is None:
            raise DataError(
                f"no feature {feature!r} among {', '.join(sorted(record.features)) or 'none'}",
                "write the features of google-research/bert",
                origin=Origin(name, part=f"record {number}"),
                code="record-wrong",
            )
        # A program that knows whole scores alone may have written a regression's labels as such.
        if isinstance(values, list) or not (values.dtype == np.int64 or (floats and values.dtype == np.float32)):
            found = "bytes" if isinstance(values, list) else "floats"
            raise DataError(
                f"{feature} holds {found} instead of {'floats' if floats else 'int64'}",
                "write the features of google-research/bert",
                origin=Origin(name, part=f"record {number}"),
                code="record-wrong",
            )
        parts.append(values)
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    joined = np.concatenate(parts)
    if dtype == "float64":
        return np.ascontiguousarray(joined).view(np.float64), counts
    converted = joined.astype(dtype)
    # What is no number equals nothing, not even itself, and is left to the checks of the values.
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
        raise DataError(
            problem,
            remedy,
            origin=Origin(name, part=f"record {int(numbers[int(np.argmin(good))])}"),
            code="record-wrong",
        )


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
