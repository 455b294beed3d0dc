"""Dropout masks are, bit by bit, those that numpy draws."""

from __future__ import annotations

import numpy as np
from bertcore_kernels import Array, Kernels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import set_threads

from bertcore.numerics.randomness import keep_mask, mask_generator

SITES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 20), st.integers(250, 260), st.integers(500, 1100)),
        st.sampled_from([0.0, 0.1, 0.5, 0.9999]),
    ),
    max_size=6,
)


def array(values: np.ndarray) -> Array:
    return Array(values.ctypes.data, values.shape, str(values.dtype))


def state_of(generator: np.random.Generator) -> list[int]:
    return [int(word) for word in generator.bit_generator.state["state"]["state"]]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sites=SITES, threads=st.integers(1, 4), seed=st.integers(0, 2**40))
def test_masks_and_states_are_those_of_numpy(
    kernels: Kernels, sites: list[tuple[int, float]], threads: int, seed: int
) -> None:
    generators = [mask_generator(seed, 3, 0, 0, site) for site in range(len(sites))]
    states = np.array([state_of(generator) for generator in generators], dtype=np.uint64).reshape(-1, 4)
    sizes = np.array([size for size, _ in sites], dtype=np.int64)
    levels = np.array([round(rate * 65536) for _, rate in sites], dtype=np.int64)
    keep = np.full(sizes.sum(), 7, dtype=np.uint8)
    set_threads(kernels, threads)
    kernels.call("keep_masks", [array(states), array(levels), array(sizes), array(keep)])
    expected = [keep_mask(generator, (size,), rate) for generator, (size, rate) in zip(generators, sites, strict=True)]
    np.testing.assert_array_equal(keep, np.concatenate([*expected, np.zeros(0, bool)]))
    np.testing.assert_array_equal(states, np.array([state_of(each) for each in generators], np.uint64).reshape(-1, 4))
