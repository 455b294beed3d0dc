"""Word pieces with the ``tokenizers`` library, from ``tokenizer.json`` or ``vocab.txt``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from bertcore.errors import ModelError
from bertcore.files import atomic_write

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
            ModelError: neither file is there, or one is damaged.
        """
        config = _read_config(folder / "tokenizer_config.json")
        file, vocabulary = folder / "tokenizer.json", folder / "vocab.txt"
        try:
            if file.is_file():
                inner = tokenizers.Tokenizer.from_file(str(file))
                if lowercase is not None:
                    inner.normalizer = _normalizer(config, lowercase)
            elif vocabulary.is_file():
                inner = _from_vocabulary(vocabulary, config, lowercase)
            else:
                raise ModelError(
                    f"{folder}: neither tokenizer.json nor vocab.txt",
                    "copy the tokenizer's files into the model folder",
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
            for start in range(0, len(texts), CHUNK):
                first = texts[start : start + CHUNK]
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

    def save(self, folder: Path) -> None:
        """Writes ``tokenizer.json``, ``vocab.txt`` (word pieces only) and ``tokenizer_config.json``."""
        with atomic_write(folder / "tokenizer.json") as file:
            file.write(self._inner.to_str(pretty=True).encode())
        if isinstance(self._inner.model, tokenizers.models.WordPiece):
            tokens = sorted(self._inner.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
            with atomic_write(folder / "vocab.txt") as file:
                file.write("".join(f"{token}\n" for token, _ in tokens).encode())
        config = {"tokenizer_class": "BertTokenizer", **self._config}
        if self.lowercase is not None:
            config["do_lower_case"] = self.lowercase
        with atomic_write(folder / "tokenizer_config.json") as file:
            file.write(json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n")


def _read_config(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file}: {error}", "correct the file, or delete it to use the defaults") from None
    return config if isinstance(config, dict) else {}


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
