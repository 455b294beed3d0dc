"""Rows as records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.head import Head
from bertcore.contracts.record_format import FeatureRecord
from bertcore.data.records.layout import (
    CHUNK,
    EXAMPLE_INDEX,
    LABEL_MASK,
    NO_LABEL,
    RecordLayout,
)


def records_of(
    batch: Batch, layout: RecordLayout, head: Head, length: int | None, pad_token_id: int, first_row: int = 0
) -> Iterator[FeatureRecord]:
    """Yields the rows of a batch as records.

    Args:
        batch: the rows.
        layout: of the records.
        head: that reads the columns.
        length: every list is padded to; None pads none.
        pad_token_id: fills ``input_ids``.
        first_row: number of the first row in its split.
    """
    # Rows of one width are written as slices of a padded chunk; without padding each row has a width of its own.
    chunk = CHUNK if length is not None else 1
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
        columns = {column.feature: part.columns[column.name] for column in layout.columns}
        for feature, column in {**columns, **head.official_features(part, first_row + start)}.items():
            features[feature] = _placed(column, places)
        if label_mask is not None:
            features[LABEL_MASK] = label_mask
        if layout.example_index:
            features[EXAMPLE_INDEX] = part.example_index
        flat = {name: _storable(values).reshape(size, -1) for name, values in features.items()}
        for row in range(size):
            yield FeatureRecord({name: values[row] for name, values in flat.items()})


def _placed(column: Column, places: Mapping[str, NDArray[np.bool_] | None]) -> NDArray[Any]:
    """The values of a column, one beside each row, or where its tokens are ``[rows, length, ...]``."""
    values = _storable(column.values)
    if column.per == "row":
        return values
    place = places[column.per]
    assert place is not None
    filler = NO_LABEL if column.per == "label" else 0
    wide = np.full((*place.shape, *values.shape[1:]), filler, dtype=values.dtype)
    wide[place] = values
    return wide


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    # Records know int64 and float32 alone. A float64 keeps its bits in an int64: a score that was rounded on the way
    # would make another label.
    if values.dtype == np.float64:
        return np.ascontiguousarray(values).view(np.int64)
    return np.asarray(values.astype(np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64))
