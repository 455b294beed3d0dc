"""Where the tokenizer files of a folder disagree, and what then counts: what transformers would do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer, models

from bertcore.contracts.tokenizer import BuiltTokenizer
from bertcore.tokenization.files import (
    ADDED_TOKENS_FILE,
    CONFIG_FILE,
    SPECIAL_TOKENS,
    SPECIAL_TOKENS_FILE,
    TOKENIZER_FILE,
    TokenizerFiles,
)
from bertcore.tokenization.kinds import read_word_pieces
from bertcore.tokenization.saving import line_count

_SETTINGS = {
    "lowercase": ("do_lower_case", True),
    "strip_accents": ("strip_accents", None),
    "handle_chinese_chars": ("tokenize_chinese_chars", True),
}
"""What BERT's normalizer calls its settings, what tokenizer_config.json calls them, and their defaults."""


def disagreements(files: TokenizerFiles, built: BuiltTokenizer, lowercase: bool | None) -> tuple[str, ...]:
    """One line for each disagreement, and for what a reader of the files would not expect.

    Args:
        files: what the folder says.
        built: the tokenizer that came of it.
        lowercase: what the user asked for in place of the files.
    """
    vocabulary = built.inner.get_vocab(with_added_tokens=False)
    word_pieces = isinstance(built.inner.model, models.WordPiece)
    return (
        *built.notes,
        *_normalizer(files, built, lowercase),
        *_special_tokens(files),
        *(_vocabulary_file(files, vocabulary) if word_pieces else ()),
        *_added_tokens(files, built.inner),
        *(_capitals(built.inner, vocabulary) if word_pieces else ()),
        *_segments(built),
        *_truncation(files),
    )


def _normalizer(files: TokenizerFiles, built: BuiltTokenizer, lowercase: bool | None) -> Iterator[str]:
    if files.serialized is None or built.inner.normalizer is None:
        return
    stated: Any = files.serialized.get("normalizer") or {}
    used = json.loads(built.inner.normalizer.__getstate__())
    if stated == used or used.get("type") != "BertNormalizer":
        return
    if stated.get("type") != "BertNormalizer":
        kind = stated.get("type", "none")
        yield (
            f"the normalizer of {TOKENIZER_FILE} ({kind}) is not used: {built.class_name} has its own, as in "
            f'transformers; to use it, write "tokenizer_class": "PreTrainedTokenizerFast" in {CONFIG_FILE}'
        )
        return
    for name, (setting, default) in _SETTINGS.items():
        if stated.get(name) == used.get(name) or (name == "lowercase" and lowercase is not None):
            continue
        says = f"says {setting} {_json(files.config[setting])}" if setting in files.config else f"has no {setting}"
        meaning = "" if setting in files.config else f" ({_json(default)} by default)"
        yield (
            f"{TOKENIZER_FILE} says {name} {_json(stated.get(name))}, {CONFIG_FILE} {says}{meaning}: "
            f"{setting} counts, as in transformers"
        )


def _special_tokens(files: TokenizerFiles) -> Iterator[str]:
    for name in SPECIAL_TOKENS:
        texts = [_content(source.get(name)) for source in (files.config, files.special_tokens)]
        if None in texts or texts[0] == texts[1]:
            continue
        winner = CONFIG_FILE if files.lists_added_tokens else SPECIAL_TOKENS_FILE
        yield (
            f"{CONFIG_FILE} says {name} {texts[0]}, {SPECIAL_TOKENS_FILE} {texts[1]}: {winner} counts, as in "
            f"transformers"
        )


def _vocabulary_file(files: TokenizerFiles, vocabulary: Mapping[str, int]) -> Iterator[str]:
    file = files.folder / "vocab.txt"
    if not file.is_file():
        return
    try:
        tokens = read_word_pieces(file)
        lines = line_count(file)
    except Exception as error:  # the library raises plain Exception
        if files.serialized is not None:
            yield f"vocab.txt is not used, {TOKENIZER_FILE} is: {error}"
        return
    first = next(iter(tokens), "")
    if files.serialized is not None and tokens != vocabulary:
        here, there = ({index: token for token, index in both.items()} for both in (tokens, vocabulary))
        differing = sorted(index for index in here.keys() | there.keys() if here.get(index) != there.get(index))
        index = differing[0]
        yield (
            f"vocab.txt and {TOKENIZER_FILE} differ in {len(differing)} tokens, first in line {index + 1}: "
            f"{here.get(index, 'nothing')} there, {there.get(index, 'nothing')} in {TOKENIZER_FILE}, which counts, "
            f"as in transformers; to use vocab.txt delete {TOKENIZER_FILE}"
        )
    elif lines > len(tokens):
        yield _repeated(file.read_text(encoding="utf-8").split("\n")[:lines], tokens)
    if first.startswith("\ufeff"):
        yield "vocab.txt begins with a byte-order mark, which is a part of its first token, as in transformers"


def _repeated(lines: list[str], tokens: Mapping[str, int]) -> str:
    """What is said of tokens that stand in several lines."""
    repeated = [index for index, line in enumerate(lines) if tokens.get(line.rstrip()) != index]
    first = lines[repeated[0]].rstrip()
    name = first or "an empty line"
    return (
        f"vocab.txt has {len(repeated)} lines more than tokens, first line {repeated[0] + 1} ({name}), which comes "
        f"again in line {tokens.get(first, -1) + 1}: the last line counts, as in transformers"
    )


def _added_tokens(files: TokenizerFiles, inner: Tokenizer) -> Iterator[str]:
    """Tokens that a file adds and that come out with another id, or not at all."""
    config = files.config.get("added_tokens_decoder") or {}
    serialized = (files.serialized or {}).get("added_tokens") or []
    sources: dict[str, dict[str, Any]] = {
        f"added_tokens_decoder of {CONFIG_FILE}": {token["content"]: int(index) for index, token in config.items()},
        ADDED_TOKENS_FILE: dict(files.added_tokens),
        f"added_tokens of {TOKENIZER_FILE}": {token["content"]: token["id"] for token in serialized},
    }
    for name, given in sources.items():
        other = [token for token, index in given.items() if token and inner.token_to_id(token) != index]
        if not other:
            continue
        found = inner.token_to_id(other[0])
        comes = "is not read" if found is None else f"gets the id {found}{_shared(inner, other[0], found)}"
        why = f", since {CONFIG_FILE} lists the added tokens" if files.lists_added_tokens and found is None else ""
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        yield (f"{name} gives the id {given[other[0]]} to {other[0]}{more}, which {comes}, as in transformers{why}")


def _shared(inner: Tokenizer, token: str, index: int) -> str:
    """Names the token of the vocabulary that has the same id: a token that stands twice leaves one id too few."""
    sharing = (other for other, found in inner.get_vocab().items() if found == index and other != token)
    return "".join(f", that of {other}" for other in sharing)


def _capitals(inner: Tokenizer, vocabulary: Mapping[str, int]) -> Iterator[str]:
    if not getattr(inner.normalizer, "lowercase", False):
        return
    added = {token.content for token in inner.get_added_tokens_decoder().values()}
    capitals = [token for token in vocabulary if token != token.lower() and token not in added and not _is_mark(token)]
    if capitals:
        first = min(capitals, key=vocabulary.__getitem__)
        yield (
            f"texts are lower-cased, and {len(capitals)} of {len(vocabulary)} tokens of the vocabulary have capitals, "
            f"first {first}, so that no text has them: for a cased model set data.lowercase=false"
        )


def _is_mark(token: str) -> bool:
    """Whether a token is one in brackets, as special and unused ones are."""
    return token[:1] + token[-1:] in ("[]", "<>") and len(token) > 2


def _segments(built: BuiltTokenizer) -> Iterator[str]:
    if not built.token_types and any(built.inner.encode("a", "a").type_ids):
        yield (
            f"tokenizer_class {built.class_name} gives no token_type_ids: both texts of a pair are of segment 0, as in "
            f"transformers, unless model_input_names in {CONFIG_FILE} has token_type_ids"
        )


def _truncation(files: TokenizerFiles) -> Iterator[str]:
    if files.truncation_side == "left":
        yield "truncation_side is left: texts that are too long lose their beginning, as in transformers"


def _content(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
