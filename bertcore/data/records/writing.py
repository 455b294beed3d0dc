"""Rows as records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.contracts.record_format import FeatureRecord
from bertcore.data.records.layout import (
    CHUNK,
    EXAMPLE_INDEX,
    FIRST_UNIQUE_ID,
    IS_REAL,
    LABEL_MASK,
    NO_LABEL,
    RecordLayout,
)
from bertcore.heads import Regression, SequenceClassification, SpanExtraction


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
            features[LABEL_MASK] = label_mask
        if layout.example_index:
            features[EXAMPLE_INDEX] = part.example_index
        flat = {name: _storable(values).reshape(size, -1) for name, values in features.items()}
        for row in range(size):
            yield FeatureRecord({name: values[row] for name, values in flat.items()})


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
    features = {IS_REAL: np.ones(size, dtype=np.int64)}
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
    # Records know int64 and float32 alone. A float64 keeps its bits in an int64: a score that was rounded on the way
    # would make another label.
    if values.dtype == np.float64:
        return np.ascontiguousarray(values).view(np.int64)
    return np.asarray(values.astype(np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64))
