"""Which features a record has, by the head and the columns of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.head import Head
from bertcore.errors import PluginError, UsageError

NO_LABEL = -100
"""What ``label_ids`` holds at a token without label: PyTorch and MindSpore leave it out of a loss by default."""

LABEL_MASK = "label_mask"
EXAMPLE_INDEX = "example_index"
IS_REAL = "is_real_example"
"""Features beside those of the columns; see :mod:`bertcore.data.records.reading`."""

CHUNK = 512
"""Rows that are padded, or checked, at a time."""

_TOKENS = ("input_ids", "input_mask", "segment_ids")
_RESERVED = (*_TOKENS, LABEL_MASK, EXAMPLE_INDEX, IS_REAL, "unique_ids")

StoredPer = Literal["row", "token", "label"]
"""What a value of a column in records may belong to."""

_FEATURE_NAMES = {"labels": "label_ids"}  # columns that google-research/bert calls otherwise


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
    per: StoredPer
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
        UsageError: the rows come in groups, or a column belongs to a further axis, for which records have no feature.
    """
    columns = []
    for name, column in batch.columns.items():
        feature = _FEATURE_NAMES.get(name, name)
        if feature in _RESERVED or (feature != name and feature in batch.columns):
            raise PluginError(
                f"the column {name!r} cannot be written: {feature} means something else in a record",
                "report this to the authors of the task",
                code="contract-broken",
            )
        values = column.values
        per = _stored_per(name, column, batch)
        columns.append(ColumnLayout(name, feature, per, str(values.dtype), values.shape[1:], column.ignore))
    row_by_row = examples is not None and np.array_equal(batch.example_index, np.arange(examples))
    return RecordLayout(tuple(columns), batch.label_positions is not None, not row_by_row)


def _stored_per(name: str, column: Column, batch: Batch) -> StoredPer:
    """What a value of a column belongs to, where that can be told in records."""
    if batch.groups is None and column.per in get_args(StoredPer):
        return cast(StoredPer, column.per)
    what = "rows that belong together, as the choices of a question," if batch.groups is not None else f"spans ({name})"
    raise UsageError(
        f"{what} are not written to records",
        "train on the files themselves; what they are encoded to is kept in the cache",
        code="not-offered",
    )


def foreign_layout(head: Head) -> RecordLayout | None:
    """Returns the layout of records that another program wrote for this head, or None where theirs do not suffice."""
    label_type = head.official_label_type
    if label_type is None:
        return None
    return RecordLayout((ColumnLayout(head.label_column, "label_ids", "row", label_type),))
