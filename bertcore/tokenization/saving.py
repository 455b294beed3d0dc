"""Writes the files of a tokenizer, so that whoever reads any one of them gets the same ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from bertcore.files.writing import atomic_write
from bertcore.tokenization.files import ADDED_TOKENS_FILE, CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_FILES
from bertcore.tokenization.kinds import read_word_pieces


def kept_files(folder: Path, inner: Tokenizer) -> dict[str, bytes]:
    """The files that are written as they were read, by name: those that say what the tokenizer does.

    A ``tokenizer.json``, ``vocab.txt`` or ``added_tokens.json`` that says otherwise, since another file counted, is
    none of them.
    """
    files = {name: folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}
    files.pop(CONFIG_FILE, None)
    if shares_ids(inner):
        return {name: file.read_bytes() for name, file in files.items()}
    files.pop(TOKENIZER_FILE, None)
    if "vocab.txt" in files and isinstance(inner.model, models.WordPiece):
        try:
            agrees = read_word_pieces(files["vocab.txt"]) == inner.get_vocab(with_added_tokens=False)
        except Exception:  # the library raises plain Exception
            agrees = False
        if not agrees:
            del files["vocab.txt"]
    contents = {name: file.read_bytes() for name, file in files.items()}
    if ADDED_TOKENS_FILE in contents:
        given = json.loads(contents[ADDED_TOKENS_FILE])
        if any(inner.token_to_id(token) != index for token, index in given.items()):
            del contents[ADDED_TOKENS_FILE]
    return contents


def save_tokenizer(folder: Path, inner: Tokenizer, config: Mapping[str, Any], kept: Mapping[str, bytes]) -> None:
    """Writes ``tokenizer.json``, ``tokenizer_config.json`` and all that tools without them read.

    Args:
        folder: where to write.
        inner: the tokenizer.
        config: content of ``tokenizer_config.json``.
        kept: further files by name.
    """
    contents = {CONFIG_FILE: json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n", **kept}
    shared = shares_ids(inner)
    if not shared:
        contents[TOKENIZER_FILE] = inner.to_str(pretty=True).encode()
    if isinstance(inner.model, models.WordPiece) and not shared:
        vocabulary = inner.get_vocab(with_added_tokens=False)
        contents.setdefault("vocab.txt", _lines(vocabulary).encode())
        beside = {
            token.content: index
            for index, token in sorted(inner.get_added_tokens_decoder().items())
            if token.content not in vocabulary
        }
        if beside:
            contents.setdefault(ADDED_TOKENS_FILE, json.dumps(beside, indent=2, ensure_ascii=False).encode() + b"\n")
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content)


def shares_ids(inner: Tokenizer) -> bool:
    """Whether two tokens have one id, which no ``tokenizer.json`` can say.

    It happens where the vocabulary has a token twice: the first token that transformers adds gets the id that equals
    the number of tokens, and that is taken.
    """
    ids = inner.get_vocab()
    return len(set(ids.values())) < len(ids)


def _lines(vocabulary: Mapping[str, int]) -> str:
    """A ``vocab.txt`` in which the number of each token's line is its id; lines without a token hold a filler."""
    by_id = {index: token for token, index in vocabulary.items()}
    lines = []
    for index in range(max(by_id, default=-1) + 1):
        token = by_id.get(index)
        if token is None or token != token.rstrip() or "\n" in token:
            token = f"[no_token_{index}]"
        lines.append(f"{token}\n")
    return "".join(lines)


def line_count(file: Path) -> int:
    """Number of lines of a ``vocab.txt``; an end of line at the end begins none."""
    content = file.read_bytes()
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
