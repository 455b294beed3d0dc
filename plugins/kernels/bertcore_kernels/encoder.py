"""A whole encoder of BERT in one call, for predictions (``source/encoder.cpp``)."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bertcore_kernels.library import NO_MEMORY, KernelError, Kernels

EMBEDDING_PARTS = (
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
)
LAYER_PARTS = tuple(
    f"{part}.{leaf}"
    for part in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    for leaf in ("weight", "bias")
)


@dataclass(frozen=True)
class EncoderSizes:
    """Sizes and constants of an encoder.

    Attributes:
        layers: their number.
        hidden: width of the states.
        heads: attention heads of a layer.
        intermediate: width between the two layers of the feed-forward network.
        tables: rows of the tables of words, positions and token types.
        eps: of LayerNorm.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    tables: tuple[int, int, int]
    eps: float


def parameter_names(layers: int) -> list[str]:
    """Names of an encoder's parameters as transformers has them, without a prefix, in the order of ``pointers``."""
    return [
        *EMBEDDING_PARTS,
        *(f"encoder.layer.{layer}.{part}" for layer in range(layers) for part in LAYER_PARTS),
    ]


class PackedEncoder:
    """An encoder with exact GeLU whose weights are packed as its products read them.

    Args:
        kernels: of the host.
        sizes: of the encoder.
        rounded: whether the inputs of products are rounded to bfloat16; everything else is float32.
        pointers: addresses of float32 arrays in the order of :func:`parameter_names`. The three tables are read where
            they lie, as long as the encoder is used; all else is copied.

    Raises:
        KernelError: the sizes fit no encoder, or there is no memory for it.
    """

    def __init__(self, kernels: Kernels, sizes: EncoderSizes, rounded: bool, pointers: Sequence[int]) -> None:
        library = kernels.library
        library.bertcore_encoder_create.restype = ctypes.c_void_p
        numbers = (sizes.layers, sizes.hidden, sizes.heads, sizes.intermediate, *sizes.tables)
        handle = library.bertcore_encoder_create(
            (ctypes.c_int64 * len(numbers))(*numbers),
            ctypes.c_double(sizes.eps),
            ctypes.c_int(rounded),
            (ctypes.c_void_p * len(pointers))(*pointers),
        )
        if not handle:
            raise KernelError("the sizes fit no encoder, or there is no memory for it")
        self._handle = ctypes.c_void_p(handle)
        self._run = library.bertcore_encoder_run
        weakref.finalize(self, library.bertcore_encoder_free, self._handle)

    def run(self, offsets: Any, ids: Sequence[Any], first_only: bool, output: int) -> None:
        """Fills float32 ``[tokens, hidden]``, or ``[texts, hidden]`` of first tokens.

        Args:
            offsets: int64 ``[texts + 1]`` of numpy, dense, where each text begins, and the end of all.
            ids: int64 ``[tokens]`` of numpy, dense: of words, token types and positions.
            first_only: whether only the first token of each text is wanted.
            output: the address of what is filled.

        Raises:
            KernelError: an id is in no table, or a text without tokens has no first one.
            MemoryError: there is none for what lies between the layers.
        """
        status = self._run(
            self._handle,
            ctypes.c_int64(len(offsets) - 1),
            ctypes.c_void_p(offsets.ctypes.data),
            *(ctypes.c_void_p(one.ctypes.data) for one in ids),
            None,
            ctypes.c_int(first_only),
            ctypes.c_void_p(output),
        )
        if status == NO_MEMORY:
            raise MemoryError("the encoder has no memory")
        if status:
            raise KernelError("a token, a type or a position is in no table of the encoder")
