"""Dropout masks are pure functions of their place, independent of each other, and keep the expectation."""

from __future__ import annotations

import numpy as np
import pytest

from bertcore.numerics import randomness

PLACE = {"seed": 3, "step": 5, "micro_batch": 1, "rank": 0, "site": 8, "forward_pass": 0}


def draw(**changes: int) -> np.ndarray:
    return randomness.keep_mask(randomness.mask_generator(**{**PLACE, **changes}), (61, 37), 0.3)


def test_the_same_place_gives_the_same_mask() -> None:
    np.testing.assert_array_equal(draw(), draw())
    assert randomness.mask_key(**PLACE) == randomness.mask_key(**PLACE)


@pytest.mark.parametrize("name", PLACE)
def test_each_part_of_the_place_gives_an_independent_mask(name: str) -> None:
    other = {name: PLACE[name] + 1}
    agreement = float((draw() == draw(**other)).mean())
    assert agreement == pytest.approx(0.7**2 + 0.3**2, abs=0.04)
    assert randomness.mask_key(**PLACE) != randomness.mask_key(**{**PLACE, **other})


def test_large_seeds_and_swapped_parts_do_not_collide() -> None:
    assert not np.array_equal(draw(seed=1), draw(seed=1 + (1 << 32)))
    assert not np.array_equal(draw(step=1, micro_batch=2), draw(step=2, micro_batch=1))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_the_kept_share_times_the_scale_is_one(rate: float) -> None:
    mask = randomness.keep_mask(randomness.mask_generator(**PLACE), (1000, 1000), rate)
    error = 4 * np.sqrt(rate / (1 - rate) / mask.size)
    assert mask.mean() * randomness.keep_scale(rate) == pytest.approx(1.0, abs=error + 1e-12)


def test_the_rate_is_rounded_to_what_sixteen_bits_hold() -> None:
    assert randomness.keep_scale(0.1) == 65536 / (65536 - 6554)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        randomness.keep_scale(rate)


def test_sites_do_not_share_a_number() -> None:
    sites = [randomness.EMBEDDINGS, randomness.HEAD]
    for layer in range(24):
        sites += [
            randomness.attention_probabilities(layer),
            randomness.attention_output(layer),
            randomness.feed_forward_output(layer),
        ]
    assert len(set(sites)) == len(sites)
