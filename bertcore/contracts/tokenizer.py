"""The contract of a tokenizer: what a task may ask of it, and what a family may build one of.

:mod:`bertcore.tokenization` has the only implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True)
class TokenRows:
    """Encoded texts.

    Attributes:
        input_ids: one list of token ids per text or pair, special tokens included.
        token_type_ids: the segment of each token.
        truncated: int64, indices of the texts that were cut.
    """

    input_ids: list[list[int]]
    token_type_ids: list[list[int]]
    truncated: NDArray[np.int64]


@dataclass(frozen=True)
class TextTokens:
    """Tokens of whole texts without special tokens, with the characters that they stand for.

    Attributes:
        offsets: int64 ``[texts + 1]``; text i has the tokens ``offsets[i]:offsets[i + 1]``.
        input_ids: int32 ``[tokens]``.
        starts: int32 ``[tokens]``, first character of each token in its text.
        ends: int32 ``[tokens]``, one past its last character.
    """

    offsets: NDArray[np.int64]
    input_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around two texts, each as its id and its segment: ``[CLS] first [SEP] second [SEP]``.

    Attributes:
        before: tokens in front of the first text.
        between: tokens between both texts (two in RoBERTa).
        after: tokens behind the second text.
        segments: of the tokens of the first and of the second text.
    """

    before: tuple[tuple[int, int], ...]
    between: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]
    segments: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)


class Tokenizer(Protocol):
    """Texts as token ids.

    Attributes:
        lowercase: whether Latin letters are lower-cased, None where ``tokenizer.json`` does not say.
        vocab_size: one more than the highest id.
        fingerprint: hash of everything that determines the result of :meth:`encode`.
        notes: where the files disagree and what then counts, a line each.
    """

    lowercase: bool | None
    vocab_size: int
    fingerprint: str
    notes: tuple[str, ...]

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> TokenRows:
        """Encodes texts or pairs of texts as ``[CLS] text [SEP]`` or ``[CLS] text [SEP] pair [SEP]``.

        What is too long is cut from the longer of both texts, token by token, as in google-research/bert; at its
        beginning where the tokenizer's ``truncation_side`` is ``left``.

        Args:
            texts: first texts.
            pairs: second texts, or None.
            max_length: tokens of the longest row, special tokens included.
        """

    def encode_with_offsets(self, texts: Sequence[str]) -> TextTokens:
        """Tokenizes whole texts, without special tokens and without cutting anything."""

    def encode_units(self, units: Sequence[str]) -> list[list[int]]:
        """Encodes characters or words, each by itself and without special tokens.

        Every unit gets at least one token: what the normalizer removes (a space, a control character, a lone accent)
        becomes the unknown token. So labels of units find their tokens by position, never by text.

        Args:
            units: as they stand in the text, with the space in front of them where byte-level tokenizers need it.
        """

    def pair_template(self) -> PairTemplate:
        """The special tokens that the tokenizer's own post-processor puts around a pair.

        Raises:
            ModelError: it puts none in front of the pair, where a model of the BERT family has its ``[CLS]``.
        """

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The texts of tokens, as the vocabulary has them."""

    @property
    def special_ids(self) -> tuple[list[int], list[int]]:
        """The special tokens in front of a single text and those behind it: ``[CLS]`` and ``[SEP]``."""

    @property
    def segment_count(self) -> int:
        """How many segments rows have: those of the tokenizer's pairs, two at least, as in google-research/bert."""


@dataclass(frozen=True)
class BuiltTokenizer:
    """A tokenizer, and what its class says beyond it.

    Attributes:
        inner: the tokenizer of the ``tokenizers`` library.
        class_name: the class of transformers that it equals.
        token_types: whether the class tells the segments of tokens; where it does not, all are of segment 0.
        notes: where the files leave something open.
    """

    inner: tokenizers.Tokenizer
    class_name: str
    token_types: bool
    notes: tuple[str, ...] = ()
