"""What is kept of an encoding is read again as it was."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.task import Encoding
from bertcore.data.encoding_cache import read_encoding, write_encoding


def test_groups_and_ragged_axes_are_kept(tmp_path):
    columns = {
        "labels": Column(np.array([1, 0], dtype=np.int64), "group", ignore=-100),
        "spans": Column(np.array([[0, 1], [1, 1]], dtype=np.int32), "span"),
    }
    batch = from_rows([[5, 6], [7], [8, 9]], [[0, 0], [0], [0, 1]], columns, groups=[0, 0, 1])
    batch = replace(batch, ragged={"span": np.array([0, 1, 1, 2], dtype=np.int64)})
    assert write_encoding(tmp_path / "rows.safetensors", Encoding(batch, np.zeros(0, dtype=np.int64))) is None
    kept = read_encoding(tmp_path / "rows.safetensors")
    assert kept is not None
    assert kept.batch.columns.keys() == columns.keys()
    for field in fields(batch):
        if field.name not in ("columns", "ragged"):
            np.testing.assert_array_equal(getattr(kept.batch, field.name), getattr(batch, field.name))
    assert kept.batch.ragged["span"].tolist() == [0, 1, 1, 2]
    for name, column in columns.items():
        assert (kept.batch.columns[name].per, kept.batch.columns[name].ignore) == (column.per, column.ignore)
        np.testing.assert_array_equal(kept.batch.columns[name].values, column.values)
