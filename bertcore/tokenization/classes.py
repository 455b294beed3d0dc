"""Builds tokenizers as transformers' classes build them.

A class of transformers that has a shape of its own takes no more than the vocabulary from ``tokenizer.json``; how texts
are cleaned, split and framed it decides by ``tokenizer_config.json`` and its own defaults. Only the generic class takes
the file as it stands.

Source: https://github.com/huggingface/transformers, release 5.23, `tokenization_utils_tokenizers.py`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer

from bertcore.contracts.tokenizer import BuiltTokenizer
from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import MOST_TOKENS
from bertcore.tokenization.files import GENERIC_CLASS, SPECIAL_TOKENS, TOKENIZER_FILE, TokenizerFiles
from bertcore.tokenization.kinds import PYTHON_CLASSES, TOKENIZER_KINDS, Named, TokenizerKind, no_vocabulary


def build_tokenizer(files: TokenizerFiles, embeddings: int | None = None) -> BuiltTokenizer:
    """Builds the tokenizer that transformers would build.

    Args:
        files: what the folder says.
        embeddings: number of the model's token embeddings. A special token that no vocabulary holds gets none of its
            own beyond them; None where nothing is known of the model.

    Raises:
        ModelError: there is no vocabulary, or the class cannot be built from these files.
    """
    if files.class_name in PYTHON_CLASSES:
        raise ModelError(
            f"{files.class_name} is Python code of transformers, which bertcore does not run",
            "use a model whose tokenizer is a tokenizer.json, vocab.txt, or vocab.json with merges.txt",
            origin=Origin(str(files.folder)),
            code="tokenizer-unsupported",
        )
    _check_character_map((files.serialized or {}).get("normalizer"))
    kind = TOKENIZER_KINDS.get(files.class_name)
    notes: list[str] = []
    if files.guessed and files.serialized is None:
        notes.append("vocab.txt is read as BERT's; another class is named by tokenizer_class in tokenizer_config.json")
    segments = _tells_segments(files, files.guessed if kind is None else kind.token_types)
    if kind is not None and files.serialized_model not in (None, kind.model):
        notes.append(
            f"{TOKENIZER_FILE} holds {files.serialized_model} and {files.class_name} is for {kind.model}: the file "
            f'counts; for transformers write "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json'
        )
        kind = None
    elif kind is None and files.class_name != GENERIC_CLASS:
        notes.append(
            f"tokenizer_class {files.class_name} is none that bertcore builds: {TOKENIZER_FILE} is taken as it stands"
        )
    if kind is None:
        inner = _bounded(_as_it_stands(files), files)
        named = dict(files.named)
        if inner.padding is not None:
            named.setdefault("pad_token", inner.padding["pad_token"])
        notes += _add_tokens(inner, files, list(named.values()), files.extra, embeddings)
        if inner.post_processor is None:
            notes.append(f"{TOKENIZER_FILE} has no post-processor: no [CLS] and no [SEP] are put around texts")
        return BuiltTokenizer(inner, files.class_name, segments, tuple(notes))
    named = _named(files, kind)
    inner = _bounded(kind.build(files, named), files)
    _check_special(files, named, inner, kind)
    notes += _add_tokens(inner, files, list(named.values()), files.extra or kind.extra, embeddings)
    first, last = (str(named[name]) for name in kind.framing)
    ids = inner.get_vocab()
    inner.post_processor = kind.frame(files, (first, ids[first]), (last, ids[last]))
    return BuiltTokenizer(inner, files.class_name, segments, tuple(notes))


def _as_it_stands(files: TokenizerFiles) -> Tokenizer:
    file = files.folder / TOKENIZER_FILE
    if not file.is_file():
        raise no_vocabulary(files, f"a vocabulary for {files.class_name}")
    return Tokenizer.from_file(str(file))


def _bounded(inner: Tokenizer, files: TokenizerFiles) -> Tokenizer:
    """The tokenizer, whose ids the library counts through when it copies or writes it."""
    largest = max(inner.get_vocab().values(), default=0)
    if largest > MOST_TOKENS:
        raise ModelError(
            f"a token has the id {largest}, and no vocabulary has more than {MOST_TOKENS}",
            "get the tokenizer's files again",
            origin=Origin(str(files.folder)),
            code="tokenizer-damaged",
        )
    return inner


def _check_character_map(normalizer: Any) -> None:
    """Refuses a table of SentencePiece that is said to be longer than it is: the library reserves what it says."""
    if not isinstance(normalizer, Mapping):
        return
    encoded = normalizer.get("precompiled_charsmap")
    if isinstance(encoded, str):
        table = base64.b64decode(encoded)
        if int.from_bytes(table[:4], "little") > len(table):
            raise ValueError("its precompiled_charsmap is cut short")
    parts = normalizer.get("normalizers")
    for part in parts if isinstance(parts, list) else ():
        _check_character_map(part)


def _named(files: TokenizerFiles, kind: TokenizerKind) -> dict[str, str | AddedToken]:
    """The special tokens that the files name, and the class's own for the other names, in transformers' order."""
    named = {name: token for name, token in kind.special.items() if name not in files.settings} | dict(files.named)
    for name, own in kind.special.items():
        token = named.get(name)
        if isinstance(own, AddedToken) and isinstance(token, str):  # the class makes its own kind of token of a name
            named[name] = AddedToken(token, lstrip=own.lstrip, rstrip=own.rstrip, special=True)
    own_names = [name for name in named if name not in SPECIAL_TOKENS]
    return {name: named[name] for name in (*SPECIAL_TOKENS, *own_names) if name in named}


def _tells_segments(files: TokenizerFiles, default: bool) -> bool:
    names = files.settings.get("model_input_names")
    return default if names is None else "token_type_ids" in names


def _add_tokens(
    inner: Tokenizer,
    files: TokenizerFiles,
    named: Sequence[str | AddedToken],
    extra: Sequence[str | AddedToken],
    embeddings: int | None,
) -> list[str]:
    """Adds all tokens beside the vocabulary, in transformers' order and at once, which their ids come from."""
    # The library counts on from the vocabulary, so the order is the ids:
    #
    #     vocabulary 0 .. 30521 | tokens of the files, by the ids they stand under | named special tokens | further ones
    #
    # Another order, or two calls, would give a token the embedding of another one.
    tokens = [token for _, token in sorted(files.added.items())]
    for token in tokens:
        token.special = token.special or token.content in map(str, named)
    known = {token.content for token in (*inner.get_added_tokens_decoder().values(), *tokens)}
    special: dict[str, AddedToken] = {}
    for one in (*named, *extra):
        if str(one) and str(one) not in known:
            special.setdefault(str(one), AddedToken(one, special=True) if isinstance(one, str) else one)
    without = _without_embedding(inner, tokens, special, embeddings)
    inner.add_tokens([*tokens, *(token for content, token in special.items() if content not in without)])
    return [
        f"{token} is in no vocabulary, and the model has no embedding for it: it is split as text" for token in without
    ]


def _without_embedding(
    inner: Tokenizer, tokens: list[AddedToken], special: dict[str, AddedToken], embeddings: int | None
) -> list[str]:
    """Those special tokens that no file lists and that would get an id beyond the embeddings."""
    if embeddings is None or all(inner.token_to_id(token) is not None for token in special):
        return []
    trial = copy.deepcopy(inner)
    trial.add_tokens([*tokens, *special.values()])
    ids = trial.get_vocab()
    return [token for token in special if ids[token] >= embeddings and inner.token_to_id(token) is None]


def _check_special(files: TokenizerFiles, named: Named, inner: Tokenizer, kind: TokenizerKind) -> None:
    """Refuses a vocabulary without the tokens that every row needs."""
    added = {str(token) for token in files.added.values()}
    missing = [name for name in ("unk_token", *kind.framing) if name not in named]
    if missing:
        raise ModelError(
            f"{', '.join(missing)} is null in tokenizer_config.json or special_tokens_map.json",
            f"write the token there, as {kind.special[missing[0]]}",
            origin=Origin(str(files.folder)),
            code="tokenizer-incomplete",
        )
    # What no piece fits becomes the unknown token, which must be one of the pieces.
    missing = [str(named["unk_token"])] if kind.model == "WordPiece" else []
    missing += [str(named[name]) for name in kind.framing if str(named[name]) not in added]
    missing = [token for token in missing if inner.token_to_id(token) is None]
    if missing:
        file = files.folder / (kind.file if files.serialized is None else TOKENIZER_FILE)
        raise ModelError(
            f"no token {', '.join(missing)}",
            "check that this is the model's vocabulary; other names for them stand in tokenizer_config.json",
            origin=Origin(str(file)),
            code="tokenizer-incomplete",
        )
