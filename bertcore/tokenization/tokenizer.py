"""Tokens with the ``tokenizers`` library, from the files that transformers reads."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from bertcore.contracts.tokenizer import BuiltTokenizer, PairTemplate, TextTokens, TokenRows
from bertcore.errors import ModelError, Origin
from bertcore.progress import work
from bertcore.tokenization.classes import build_tokenizer
from bertcore.tokenization.files import GENERIC_CLASS, VOCABULARY_FILES, TokenizerFiles, read_files
from bertcore.tokenization.kinds import bert_normalizer
from bertcore.tokenization.notes import disagreements
from bertcore.tokenization.panics import panics_as_errors
from bertcore.tokenization.saving import kept_files, save_tokenizer

# What encode_batch holds at a time; the texts of a split are encoded in pieces so that memory stays bounded.
CHUNK = 4096


class Tokenizer:
    """Gives the ids that transformers gives, without the files' padding and truncation.

    Implements :class:`bertcore.contracts.tokenizer.Tokenizer`, which says what its attributes and methods mean.
    """

    def __init__(
        self,
        built: BuiltTokenizer,
        *,
        config: Mapping[str, Any] = MappingProxyType({}),
        kept: Mapping[str, bytes] = MappingProxyType({}),
        notes: tuple[str, ...] = (),
        truncation_side: str = "right",
    ) -> None:
        self._inner = inner = built.inner
        # Files of sentence encoders carry a truncation and a padding of their own; both would hide what is cut.
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = bool(config.get("split_special_tokens", False))
        self._token_types = built.token_types
        self._truncation_side = truncation_side
        self._config = {"tokenizer_class": built.class_name, **config}
        self._kept = kept
        self.notes = notes
        self.vocab_size: int = max(inner.get_vocab().values(), default=-1) + 1
        self.lowercase: bool | None = getattr(inner.normalizer, "lowercase", None)
        unusual = [built.token_types is False, inner.encode_special_tokens, truncation_side != "right"]
        content = inner.to_str() + (repr(unusual) if any(unusual) else "")
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()

    @classmethod
    def load(
        cls,
        folder: Path,
        lowercase: bool | None = None,
        *,
        model_type: str | None = None,
        embeddings: int | None = None,
        built: BuiltTokenizer | None = None,
    ) -> Tokenizer:
        """Reads the tokenizer's files of a model folder as transformers does.

        Args:
            folder: the model folder.
            lowercase: overrides what the files say.
            model_type: of the model; by default as its ``config.json`` says.
            embeddings: number of the model's token embeddings, if that is known.
            built: a tokenizer that the model's family has made of the files itself.

        Raises:
            ModelError: there is no vocabulary, a file is damaged, or its letters cannot be lower-cased.
        """
        files = read_files(folder, model_type)
        try:
            with panics_as_errors():
                if built is None:
                    built = build_tokenizer(files, embeddings)
                if lowercase is not None:
                    _set_case(built.inner, files, lowercase)
                _try(built.inner)
                notes = disagreements(files, built, lowercase)
                kept = kept_files(folder, built.inner)
        except ModelError:
            raise
        except Exception as error:  # the library raises plain Exception
            file = next((name for name in VOCABULARY_FILES if (folder / name).is_file()), "")
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                reason,
                "get the tokenizer's files again",
                origin=Origin(str(folder / file)),
                code="tokenizer-damaged",
            ) from None
        return cls(built, config=files.config, kept=kept, notes=notes, truncation_side=files.truncation_side)

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> TokenRows:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.encode`."""
        ids: list[list[int]] = []
        types: list[list[int]] = []
        truncated: list[int] = []
        self._inner.enable_truncation(max_length, strategy="longest_first", direction=self._truncation_side)
        try:
            for start, first in _chunks(texts):
                chunk: Sequence[Any] = (
                    first if pairs is None else list(zip(first, pairs[start : start + CHUNK], strict=True))
                )
                for index, encoding in enumerate(self._encoded(chunk), start):
                    ids.append(encoding.ids)
                    types.append(encoding.type_ids if self._token_types else [0] * len(encoding.ids))
                    if encoding.overflowing:
                        truncated.append(index)
        finally:
            self._inner.no_truncation()
        return TokenRows(ids, types, np.asarray(truncated, dtype=np.int64))

    def encode_with_offsets(self, texts: Sequence[str]) -> TextTokens:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.encode_with_offsets`."""
        # Offsets are characters of the text as it was given. The library maps them back over its normalizer, which may
        # lower, split accents off or drop characters, so that text[start:end] is what a user marked or reads:
        #
        #     text     "Ein Café."           normalized  "ein cafe."
        #     tokens    ein | cafe | .       offsets      0-3 | 4-8 | 8-9
        #
        # No special tokens here: windows put their own around each part of a long text.
        counts: list[int] = []
        ids: list[NDArray[np.int32]] = []
        spans: list[NDArray[np.int32]] = []
        for _, chunk in _chunks(texts):
            for encoding in self._encoded(chunk, add_special_tokens=False):
                counts.append(len(encoding))
                ids.append(np.array(encoding.ids, dtype=np.int32))
                spans.append(np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2))
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        none = np.zeros((0, 2), dtype=np.int32)
        starts, ends = np.concatenate([none, *spans]).T
        return TextTokens(offsets, np.concatenate([none[:, 0], *ids]), starts.copy(), ends.copy())

    def _encoded(self, texts: Sequence[Any], add_special_tokens: bool = True) -> list[tokenizers.Encoding]:
        """The texts encoded by the library, which may find only here that its files do not fit together."""
        try:
            with panics_as_errors():
                return self._inner.encode_batch(texts, add_special_tokens=add_special_tokens)
        except Exception as error:  # the library raises plain Exception
            raise ModelError(
                f"the tokenizer cannot encode a text: {error}",
                "get the tokenizer's files again",
                code="tokenizer-damaged",
            ) from None

    def pair_template(self) -> PairTemplate:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.pair_template`."""
        # Asked of the post-processor by an example, since there are several kinds of it, each with settings of its own:
        # what stands around the letters is the template.
        encoding = self._inner.encode("a", "a")
        types = encoding.type_ids if self._token_types else [0] * len(encoding.ids)
        tokens = list(zip(encoding.ids, types, strict=True))
        texts = encoding.sequence_ids
        first = [index for index, text in enumerate(texts) if text == 0]
        second = [index for index, text in enumerate(texts) if text == 1]
        if not first or not second or first[0] == 0:
            raise ModelError(
                "the tokenizer puts no [CLS] in front of a pair of texts",
                "check the post-processor of tokenizer.json",
                code="tokenizer-mismatch",
            )
        return PairTemplate(
            before=tuple(tokens[: first[0]]),
            between=tuple(tokens[first[-1] + 1 : second[0]]),
            after=tuple(tokens[second[-1] + 1 :]),
            segments=(tokens[first[0]][1], tokens[second[0]][1]),
        )

    def encode_units(self, units: Sequence[str]) -> list[list[int]]:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.encode_units`."""
        # A text of characters has few different ones: each is encoded once, which is what makes this fast.
        known: dict[str, list[int]] = {}
        distinct = list(dict.fromkeys(units))
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            for unit, encoding in zip(chunk, self._encoded(chunk, add_special_tokens=False), strict=True):
                known[unit] = encoding.ids or [self._unknown_id]
        return [known[unit] for unit in units]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.tokens`."""
        return [self._inner.id_to_token(token_id) or "" for token_id in ids]

    @functools.cached_property
    def special_ids(self) -> tuple[list[int], list[int]]:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.special_ids`."""
        encoding = self._inner.encode("a")
        content = encoding.special_tokens_mask.index(0)
        behind = content + encoding.special_tokens_mask.count(0)
        return encoding.ids[:content], encoding.ids[behind:]

    @functools.cached_property
    def segment_count(self) -> int:
        """See :meth:`bertcore.contracts.tokenizer.Tokenizer.segment_count`."""
        return max([1, *self._inner.encode("a", "a").type_ids]) + 1

    @property
    def _unknown_id(self) -> int:
        tokens = (getattr(self._inner.model, "unk_token", None), "[UNK]", "<unk>")
        found = [self._inner.token_to_id(token) for token in tokens if token]
        return next((token_id for token_id in found if token_id is not None), 0)

    def save(self, folder: Path, max_length: int | None = None) -> None:
        """Writes the tokenizer's files, from any of which transformers and older tools get the same ids.

        Args:
            folder: where to write.
            max_length: tokens of the longest row that the model was trained with, for ``tokenizer_config.json``.
        """
        config = dict(self._config)
        if self._truncation_side != "right":  # said by the truncation of tokenizer.json, which is not written
            config["truncation_side"] = self._truncation_side
        if self._token_types and self._config["tokenizer_class"] == GENERIC_CLASS:  # which gives none by itself
            config.setdefault("model_input_names", ["input_ids", "token_type_ids", "attention_mask"])
        if self.lowercase is not None:
            config["do_lower_case"] = self.lowercase
        if max_length is not None:
            config["model_max_length"] = max_length
        save_tokenizer(folder, self._inner, config, self._kept)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields parts of the texts, each with the index of its first, and tells of the progress."""
    with work("encoding", len(texts), "texts") as progress:
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            yield start, chunk
            progress.advance(len(chunk))


def _set_case(inner: tokenizers.Tokenizer, files: TokenizerFiles, lowercase: bool) -> None:
    if not isinstance(inner.model, tokenizers.models.WordPiece):
        raise ModelError(
            f"data.lowercase is for word pieces, and this is {type(inner.model).__name__}",
            "leave data.lowercase out",
            origin=Origin(str(files.folder)),
            code="tokenizer-mismatch",
        )
    inner.normalizer = bert_normalizer(files.settings, lowercase)


def _try(inner: tokenizers.Tokenizer) -> None:
    """Encodes what every tokenizer must encode, so that files that do not fit together are found here."""
    inner.no_truncation()
    inner.no_padding()  # which may be to any length
    inner.encode("a")
    inner.encode("a", "\U0010fffd \U00012000")  # characters of no vocabulary: the unknown token must be there
