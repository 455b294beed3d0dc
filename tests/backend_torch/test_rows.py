"""Packed rows lose no token, and find their way back to the order of the batch."""

from __future__ import annotations

import numpy as np
import torch
from bertcore_torch.rows import MOST_BUCKETS, pack
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
    packed = pack(batch, position_offset, torch.device("cpu"))

    assert torch.equal(packed.input_ids[packed.token_of_batch], torch.arange(sum(lengths)))
    assert torch.equal(packed.token_type_ids, packed.input_ids % 2)
    assert packed.longest == max(lengths)
    firsts = packed.input_ids[packed.offsets[:-1]]
    assert firsts[packed.row_of_batch].tolist() == [row[0] for row in rows]
    start_of = {row[0]: row[0] for row in rows}
    for start, stop in zip(packed.offsets, packed.offsets[1:], strict=False):
        ids = packed.input_ids[start:stop]
        assert ids.tolist() == rows[[row[0] for row in rows].index(start_of[int(ids[0])])]
        assert packed.position_ids[start:stop].tolist() == list(range(position_offset, position_offset + len(ids)))

    assert 1 <= len(packed.buckets) <= MOST_BUCKETS
    assert [bucket.start for bucket in packed.buckets[1:]] == [bucket.stop for bucket in packed.buckets[:-1]]
    assert packed.buckets[-1].stop == sum(lengths)
    assert sum(bucket.rows for bucket in packed.buckets) == len(lengths)
    for bucket in packed.buckets:
        tokens = packed.input_ids[bucket.start : bucket.stop]
        if bucket.mask is None:
            assert len(tokens) == bucket.rows * bucket.length
            continue
        padded = tokens[bucket.token_of_position]
        assert torch.equal(padded[bucket.position_of_token], tokens)
        real = np.zeros(bucket.rows * bucket.length, dtype=bool)
        real[bucket.position_of_token] = True
        assert np.array_equal(real, bucket.mask.reshape(-1).numpy())
        assert np.array_equal(np.flatnonzero(~real), bucket.padding)
