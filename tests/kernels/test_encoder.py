"""A whole encoder in one call, against transformers' in float64."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from bertcore_kernels import EncoderSizes, KernelError, Kernels, PackedEncoder, parameter_names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_calls import with_each_number_of_threads

VOCABULARY, POSITIONS = 97, 300
SIZES = [(1, 16, 1, 16), (2, 48, 4, 96), (3, 24, 3, 33), (1, 35, 5, 7), (2, 64, 1, 130)]


class Model:
    """A random encoder, as a kernel and as transformers has it.

    Args:
        kernels: which compute.
        layers, hidden, heads, intermediate: sizes.
        rounded: whether the kernel rounds the inputs of products.
    """

    def __init__(
        self, kernels: Kernels, layers: int, hidden: int, heads: int, intermediate: int, rounded: bool
    ) -> None:
        torch.manual_seed(hidden)
        config = transformers.BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=intermediate,
            max_position_embeddings=POSITIONS,
            attn_implementation="eager",
        )
        self.oracle = transformers.BertModel(config, add_pooling_layer=False).eval()
        for parameter in self.oracle.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        self.hidden = hidden
        state = self.oracle.state_dict()
        self._parameters = [state[name].clone() for name in parameter_names(layers)]
        self.oracle.double()
        sizes = EncoderSizes(layers, hidden, heads, intermediate, (VOCABULARY, POSITIONS, 2), config.layer_norm_eps)
        self.packed = PackedEncoder(kernels, sizes, rounded, [value.data_ptr() for value in self._parameters])

    def run(self, texts: list[list[int]], first_only: bool = False) -> np.ndarray:
        offsets = np.cumsum([0, *map(len, texts)])
        ids = np.array([token for text in texts for token in text], dtype=np.int64)
        positions = np.array([place for text in texts for place in range(len(text))], dtype=np.int64)
        output = np.full((len(texts) if first_only else len(ids), self.hidden), np.nan, dtype=np.float32)
        self.packed.run(offsets, (ids, ids % 2, positions), first_only, output.ctypes.data)
        return output

    def expected(self, texts: list[list[int]]) -> np.ndarray:
        states = []
        for text in filter(None, texts):
            ids = torch.tensor([text])
            with torch.no_grad():
                states.append(self.oracle(input_ids=ids, token_type_ids=ids % 2).last_hidden_state[0].numpy())
        return np.concatenate(states) if states else np.zeros((0, self.hidden))


@pytest.fixture(scope="module", params=SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
def exact(kernels: Kernels, request: pytest.FixtureRequest) -> Model:
    return Model(kernels, *request.param, rounded=False)


@pytest.fixture(scope="module", params=SIZES[1:3], ids=lambda sizes: "-".join(map(str, sizes)))
def rounded(kernels: Kernels, request: pytest.FixtureRequest) -> Model:
    return Model(kernels, *request.param, rounded=True)


@pytest.fixture(scope="module", params=[False, True], ids=["exact", "rounded"])
def either(kernels: Kernels, request: pytest.FixtureRequest) -> Model:
    return Model(kernels, *SIZES[2], rounded=request.param)


texts_of = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=90), max_size=12)
many = settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(texts=texts_of)
def test_states_are_those_of_transformers(exact: Model, texts: list[list[int]]) -> None:
    np.testing.assert_allclose(exact.run(texts), exact.expected(texts), rtol=0, atol=2e-5)


@many
@given(texts=texts_of)
def test_rounded_products_stay_near(rounded: Model, texts: list[list[int]]) -> None:
    found, expected = rounded.run(texts), rounded.expected(texts)
    assert np.abs(found - expected).max(initial=0) <= 0.06 * np.abs(expected).max(initial=1)


def test_long_texts_and_many_are_no_different(exact: Model) -> None:
    generator = np.random.default_rng(1)
    texts = [generator.integers(0, VOCABULARY, length).tolist() for length in (300, 1, 150, 64, 65, 200, 2, 90)]
    np.testing.assert_allclose(exact.run(texts), exact.expected(texts), rtol=0, atol=2e-5)


def test_a_text_has_the_same_bits_among_others_and_with_any_threads(kernels: Kernels, either: Model) -> None:
    generator = np.random.default_rng(2)
    texts = [generator.integers(0, VOCABULARY, length).tolist() for length in (40, 7, 130, 3, 61, 200, 33)]
    alone = np.concatenate([either.run([text]) for text in texts])
    np.testing.assert_array_equal(either.run(texts), alone)
    for found in with_each_number_of_threads(kernels, lambda: [torch.from_numpy(either.run(texts))]):
        assert found == [alone.tobytes()]


def test_first_tokens_alone_are_those_of_all(either: Model) -> None:
    texts = [list(range(length)) for length in (5, 90, 1, 33, 70)]
    first = np.cumsum([0, *map(len, texts)])[:-1]
    np.testing.assert_array_equal(either.run(texts, first_only=True), either.run(texts)[first])


@pytest.mark.parametrize("text", [[VOCABULARY], [-1], [0] * (POSITIONS + 1)])
def test_an_id_that_is_in_no_table_is_refused(exact: Model, text: list[int]) -> None:
    with pytest.raises(KernelError, match="in no table"):
        exact.run([[1, 2], text])


def test_a_text_without_tokens_has_no_first_one(exact: Model) -> None:
    with pytest.raises(KernelError):
        exact.run([[1], []], first_only=True)


def test_sizes_that_fit_no_encoder_are_refused(kernels: Kernels) -> None:
    with pytest.raises(KernelError, match="sizes"):
        PackedEncoder(kernels, EncoderSizes(1, 10, 3, 4, (5, 5, 2), 1e-12), False, [0] * 21)


SHORT_TEXT = """
import numpy as np
from bertcore_kernels import EncoderSizes, PackedEncoder, kernels

values = [np.ones(shape, np.float32) for shape in [(9, 16), (9, 16), (2, 16), 16, 16, *[(16, 16), 16] * 4, 16, 16]]
values += [np.ones(shape, np.float32) for shape in [(16, 16), 16, (16, 16), 16, 16, 16]]
encoder = PackedEncoder(
    kernels(), EncoderSizes(1, 16, 2, 16, (9, 9, 2), 1e-12), False, [value.ctypes.data for value in values]
)
ids = np.arange(9)
output = np.empty((9, 16), np.float32)
encoder.run(np.array([0, 9]), (ids, ids * 0, ids), False, output.ctypes.data)
print(np.isfinite(output).all())
"""


def test_fewer_threads_than_were_asked_for_do_not_wait_for_the_others(kernels: Kernels) -> None:
    """A limit for a whole process, as schedulers of clusters set it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SHORT_TEXT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
