"""The layout loses no token, and finds its way back to the order of the batch."""

from __future__ import annotations

import numpy as np
import torch
from bertcore_torch.layout import MOST_BUCKETS, lay_out
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.batch import from_rows


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 2))
def test_layout(lengths: list[int], position_offset: int) -> None:
    # Every token is its own number, so that each can be followed.
    numbers = iter(range(sum(lengths)))
    rows = [[next(numbers) for _ in range(length)] for length in lengths]
    batch = from_rows(rows, [[number % 2 for number in row] for row in rows])
    layout = lay_out(batch, position_offset, torch.device("cpu"))

    assert torch.equal(layout.input_ids[layout.token_of_batch], torch.arange(sum(lengths)))
    assert torch.equal(layout.token_type_ids, layout.input_ids % 2)
    assert layout.longest == max(lengths)
    firsts = layout.input_ids[layout.offsets[:-1]]
    assert firsts[layout.row_of_batch].tolist() == [row[0] for row in rows]
    start_of = {row[0]: row[0] for row in rows}
    for start, stop in zip(layout.offsets, layout.offsets[1:], strict=False):
        ids = layout.input_ids[start:stop]
        assert ids.tolist() == rows[[row[0] for row in rows].index(start_of[int(ids[0])])]
        assert layout.position_ids[start:stop].tolist() == list(range(position_offset, position_offset + len(ids)))

    assert 1 <= len(layout.buckets) <= MOST_BUCKETS
    assert [bucket.start for bucket in layout.buckets[1:]] == [bucket.stop for bucket in layout.buckets[:-1]]
    assert layout.buckets[-1].stop == sum(lengths)
    assert sum(bucket.rows for bucket in layout.buckets) == len(lengths)
    for bucket in layout.buckets:
        tokens = layout.input_ids[bucket.start : bucket.stop]
        if bucket.mask is None:
            assert len(tokens) == bucket.rows * bucket.length
            continue
        padded = tokens[bucket.token_of_position]
        assert torch.equal(padded[bucket.position_of_token], tokens)
        real = np.zeros(bucket.rows * bucket.length, dtype=bool)
        real[bucket.position_of_token] = True
        assert np.array_equal(real, bucket.mask.reshape(-1).numpy())
        assert np.array_equal(np.flatnonzero(~real), bucket.padding)
