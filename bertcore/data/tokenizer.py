"""Word pieces with the ``tokenizers`` library, from ``tokenizer.json`` or ``vocab.txt``."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from bertcore.errors import ModelError
from bertcore.files import atomic_write
from bertcore.progress import work

# What encode_batch holds at a time; the texts of a split are encoded in pieces so that memory stays bounded.
CHUNK = 4096


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


class Tokenizer:
    """A tokenizer as the files of a model folder describe it, without their padding and truncation.

    Attributes:
        lowercase: whether Latin letters are lower-cased, None where ``tokenizer.json`` does not say.
        vocab_size: number of tokens.
        fingerprint: hash of everything that determines the result of :meth:`encode`.
    """

    def __init__(self, inner: tokenizers.Tokenizer, config: dict[str, Any]) -> None:
        # Files of sentence encoders carry a truncation and a padding of their own; both would hide what is cut.
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._config = config
        self.vocab_size: int = inner.get_vocab_size()
        self.lowercase: bool | None = getattr(inner.normalizer, "lowercase", None)
        self.fingerprint = hashlib.sha256(inner.to_str().encode()).hexdigest()

    @classmethod
    def load(cls, folder: Path, lowercase: bool | None = None) -> Tokenizer:
        """Reads ``tokenizer.json``, or else ``vocab.txt`` with what ``tokenizer_config.json`` says about it.

        Args:
            folder: the model folder.
            lowercase: overrides what the files say.

        Raises:
            ModelError: neither file is there, one is damaged, or its letters cannot be lower-cased.
        """
        config = {**_special_tokens(folder), **_read_config(folder / "tokenizer_config.json")}
        file, vocabulary = folder / "tokenizer.json", folder / "vocab.txt"
        try:
            if file.is_file():
                inner = tokenizers.Tokenizer.from_file(str(file))
                if lowercase is not None:
                    if not isinstance(inner.model, tokenizers.models.WordPiece):
                        raise ModelError(
                            f"{file}: data.lowercase is for word pieces, and this is {type(inner.model).__name__}",
                            "leave data.lowercase out",
                        )
                    inner.normalizer = _normalizer(config, lowercase)
            elif vocabulary.is_file():
                inner = _from_vocabulary(vocabulary, config, lowercase)
            else:
                raise ModelError(
                    f"{folder}: neither tokenizer.json nor vocab.txt",
                    "copy the tokenizer's files into the model folder; AutoTokenizer of transformers writes "
                    "tokenizer.json from others",
                )
        except ModelError:
            raise
        except Exception as error:  # the library raises plain Exception
            raise ModelError(f"{file if file.is_file() else vocabulary}: {error}", "get the file again") from None
        return cls(inner, config)

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> TokenRows:
        """Encodes texts or pairs of texts as ``[CLS] text [SEP]`` or ``[CLS] text [SEP] pair [SEP]``.

        What is too long is cut from the longer of both texts, token by token, as in google-research/bert.

        Args:
            texts: first texts.
            pairs: second texts, or None.
            max_length: tokens of the longest row, special tokens included.
        """
        ids: list[list[int]] = []
        types: list[list[int]] = []
        truncated: list[int] = []
        self._inner.enable_truncation(max_length, strategy="longest_first")
        try:
            for start, first in _chunks(texts):
                chunk: Sequence[Any] = (
                    first if pairs is None else list(zip(first, pairs[start : start + CHUNK], strict=True))
                )
                for index, encoding in enumerate(self._inner.encode_batch(chunk), start):
                    ids.append(encoding.ids)
                    types.append(encoding.type_ids)
                    if encoding.overflowing:
                        truncated.append(index)
        finally:
            self._inner.no_truncation()
        return TokenRows(ids, types, np.asarray(truncated, dtype=np.int64))

    def encode_with_offsets(self, texts: Sequence[str]) -> TextTokens:
        """Tokenizes whole texts, without special tokens and without cutting anything."""
        counts: list[int] = []
        ids: list[NDArray[np.int32]] = []
        spans: list[NDArray[np.int32]] = []
        for _, chunk in _chunks(texts):
            for encoding in self._inner.encode_batch(chunk, add_special_tokens=False):
                counts.append(len(encoding))
                ids.append(np.array(encoding.ids, dtype=np.int32))
                spans.append(np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2))
        offsets = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        none = np.zeros((0, 2), dtype=np.int32)
        starts, ends = np.concatenate([none, *spans]).T
        return TextTokens(offsets, np.concatenate([none[:, 0], *ids]), starts.copy(), ends.copy())

    def pair_template(self) -> PairTemplate:
        """The special tokens that the tokenizer's own post-processor puts around a pair.

        Raises:
            ModelError: it puts none in front of the pair, where a model of the BERT family has its ``[CLS]``.
        """
        encoding = self._inner.encode("a", "a")
        tokens = list(zip(encoding.ids, encoding.type_ids, strict=True))
        texts = encoding.sequence_ids
        first = [index for index, text in enumerate(texts) if text == 0]
        second = [index for index, text in enumerate(texts) if text == 1]
        if not first or not second or first[0] == 0:
            raise ModelError(
                "the tokenizer puts no [CLS] in front of a pair of texts", "check the post-processor of tokenizer.json"
            )
        return PairTemplate(
            before=tuple(tokens[: first[0]]),
            between=tuple(tokens[first[-1] + 1 : second[0]]),
            after=tuple(tokens[second[-1] + 1 :]),
            segments=(tokens[first[0]][1], tokens[second[0]][1]),
        )

    def encode_units(self, units: Sequence[str]) -> list[list[int]]:
        """Encodes characters or words, each by itself and without special tokens.

        Every unit gets at least one token: what the normalizer removes (a space, a control character, a lone accent)
        becomes the unknown token. So labels of units find their tokens by position, never by text.

        Args:
            units: as they stand in the text, with the space in front of them where byte-level tokenizers need it.
        """
        known: dict[str, list[int]] = {}
        distinct = list(dict.fromkeys(units))
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            for unit, encoding in zip(chunk, self._inner.encode_batch(chunk, add_special_tokens=False), strict=True):
                known[unit] = encoding.ids or [self._unknown_id]
        return [known[unit] for unit in units]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The texts of tokens, as the vocabulary has them."""
        return [self._inner.id_to_token(token_id) or "" for token_id in ids]

    @functools.cached_property
    def special_ids(self) -> tuple[list[int], list[int]]:
        """The special tokens in front of a single text and those behind it: ``[CLS]`` and ``[SEP]``."""
        encoding = self._inner.encode("a")
        content = encoding.special_tokens_mask.index(0)
        behind = content + encoding.special_tokens_mask.count(0)
        return encoding.ids[:content], encoding.ids[behind:]

    @functools.cached_property
    def segment_count(self) -> int:
        """How many segments rows have: those of the tokenizer's pairs, two at least, as in google-research/bert."""
        return max([1, *self._inner.encode("a", "a").type_ids]) + 1

    @property
    def _unknown_id(self) -> int:
        tokens = (getattr(self._inner.model, "unk_token", None), "[UNK]", "<unk>")
        found = [self._inner.token_to_id(token) for token in tokens if token]
        return next((token_id for token_id in found if token_id is not None), 0)

    def save(self, folder: Path) -> None:
        """Writes ``tokenizer.json``, ``vocab.txt`` (word pieces only) and ``tokenizer_config.json``."""
        with atomic_write(folder / "tokenizer.json") as file:
            file.write(self._inner.to_str(pretty=True).encode())
        if isinstance(self._inner.model, tokenizers.models.WordPiece):
            tokens = sorted(self._inner.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
            with atomic_write(folder / "vocab.txt") as file:
                file.write("".join(f"{token}\n" for token, _ in tokens).encode())
        config = dict(self._config)
        if isinstance(self._inner.model, tokenizers.models.WordPiece):
            config.setdefault("tokenizer_class", "BertTokenizer")
        if self.lowercase is not None:
            config["do_lower_case"] = self.lowercase
        with atomic_write(folder / "tokenizer_config.json") as file:
            file.write(json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n")


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yields parts of the texts, each with the index of its first, and tells of the progress."""
    with work("encoding", len(texts), "texts") as progress:
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            yield start, chunk
            progress.advance(len(chunk))


def _read_config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: {error}", "correct the file, or delete it to use the defaults") from None
    return config if isinstance(config, dict) else {}


def _special_tokens(folder: Path) -> dict[str, Any]:
    """The names of special tokens in a file of their own, as folders of older releases of transformers have it."""
    tokens = _read_config(folder / "special_tokens_map.json")
    return {name: token.get("content") if isinstance(token, dict) else token for name, token in tokens.items()}


def _normalizer(config: dict[str, Any], lowercase: bool | None) -> tokenizers.normalizers.BertNormalizer:
    return tokenizers.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True) if lowercase is None else lowercase,
    )


def _from_vocabulary(file: Path, config: dict[str, Any], lowercase: bool | None) -> tokenizers.Tokenizer:
    vocabulary = {token: index for index, token in enumerate(file.read_text(encoding="utf-8").rstrip("\n").split("\n"))}
    special = {name: str(config.get(f"{name}_token") or f"[{name.upper()}]") for name in ("unk", "cls", "sep")}
    missing = [token for token in special.values() if token not in vocabulary]
    if missing:
        raise ModelError(f"{file}: no token {', '.join(missing)}", "check that this is a BERT vocabulary")
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token=special["unk"]))
    inner.add_special_tokens([t for t in (*special.values(), "[PAD]", "[MASK]") if t in vocabulary])
    inner.normalizer = _normalizer(config, lowercase)
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    inner.decoder = tokenizers.decoders.WordPiece()
    cls_token, sep_token = special["cls"], special["sep"]
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{cls_token}:0 $A:0 {sep_token}:0",
        pair=f"{cls_token}:0 $A:0 {sep_token}:0 $B:1 {sep_token}:1",
        special_tokens=[(cls_token, vocabulary[cls_token]), (sep_token, vocabulary[sep_token])],
    )
    return inner
