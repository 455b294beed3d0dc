"""What the tokenizer files of a model folder say together, by the rules of transformers.

Source: https://github.com/huggingface/transformers, release 5.23, `tokenization_auto.py` (which class) and
`PreTrainedTokenizerBase._from_pretrained` in `tokenization_utils_base.py` (which file counts).
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LARGEST_TOKENIZER_FILE
from bertcore.files.foreign_json import read_json

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"
VOCABULARY_FILES = (TOKENIZER_FILE, "vocab.txt", "vocab.json")
"""What holds the vocabulary; the first that is there counts."""

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The names that transformers knows, in the order in which it adds their tokens."""

GENERIC_CLASS = "TokenizersBackend"
"""What transformers calls the class that takes tokenizer.json as it stands."""

_CLASSES = {
    "bert": "BertTokenizer",
    "electra": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
}
"""The class of each model type that bertcore computes itself, where no file names another."""

_ADDED_TOKEN_FIELDS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True)
class TokenizerFiles:
    """What the files say.

    Attributes:
        folder: where they lie.
        config: content of ``tokenizer_config.json``.
        class_name: the class of transformers, without ``Fast`` at its end.
        settings: arguments of that class.
        named: special tokens by name, those that the files name.
        extra: further special tokens.
        added: tokens beside the vocabulary, under the ids that the files give.
        serialized: content of ``tokenizer.json``, None where there is none.
        guessed: whether nothing tells the class, neither a file nor the type of the model.
        special_tokens: content of ``special_tokens_map.json``.
        added_tokens: content of ``added_tokens.json``.
    """

    folder: Path
    config: Mapping[str, Any]
    class_name: str
    settings: Mapping[str, Any]
    named: Mapping[str, str | AddedToken]
    extra: tuple[str | AddedToken, ...]
    added: Mapping[int, AddedToken]
    serialized: Mapping[str, Any] | None = field(repr=False)
    guessed: bool
    special_tokens: Mapping[str, Any]
    added_tokens: Mapping[str, Any]

    @property
    def serialized_model(self) -> str | None:
        """What model ``tokenizer.json`` holds, as ``WordPiece``; None where it does not say or is not there."""
        name = ((self.serialized or {}).get("model") or {}).get("type")
        return str(name) if name else None

    @property
    def lists_added_tokens(self) -> bool:
        """Whether ``tokenizer_config.json`` lists the added tokens itself, so that no other file is asked."""
        return "added_tokens_decoder" in self.config

    @property
    def truncation_side(self) -> str:
        """Where a text that is too long is cut: ``right`` or ``left``."""
        return _truncation_side(self.settings, self.serialized)


def read_files(folder: Path, model_type: str | None = None) -> TokenizerFiles:
    """Reads the files of a folder.

    Args:
        folder: the model folder.
        model_type: of the model; by default as its ``config.json`` says.

    Raises:
        ModelError: a file is damaged.
    """
    config = _read_object(folder / CONFIG_FILE)
    serialized = _read_object(folder / TOKENIZER_FILE) if (folder / TOKENIZER_FILE).is_file() else None
    model_config = _read_object(folder / "config.json")
    special_tokens, added_tokens = _read_object(folder / SPECIAL_TOKENS_FILE), _read_object(folder / ADDED_TOKENS_FILE)
    try:
        model_type = model_type or model_config.get("model_type")
        named_class = config.get("tokenizer_class") or model_config.get("tokenizer_class")
        name = _class_name(model_type, named_class, serialized)
        guessed = named_class is None and model_type not in _CLASSES
        settings = _merged(config, special_tokens)
        _check_side(_truncation_side(settings, serialized))
        extra = _extra_tokens(settings)
        added = _added_tokens(config, settings, extra, added_tokens, serialized)
        named = _named_tokens(settings, added)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"its special or added tokens cannot be read: {error}",
            "compare the file with that of the model's author",
            origin=Origin(str(folder / CONFIG_FILE)),
            code="tokenizer-damaged",
        ) from None
    return TokenizerFiles(
        folder, config, name, settings, named, extra, added, serialized, guessed, special_tokens, added_tokens
    )


def _read_object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        value = read_json(file, LARGEST_TOKENIZER_FILE)
    except (OSError, ValueError) as error:
        remedy = "get the file again" if file.name == TOKENIZER_FILE else "correct the file, or delete it"
        raise ModelError(str(error), remedy, origin=Origin(str(file)), code="tokenizer-damaged") from None
    if not isinstance(value, dict):
        raise ModelError(
            f"holds a {type(value).__name__}, not an object",
            "get the file again",
            origin=Origin(str(file)),
            code="tokenizer-damaged",
        )
    return value


def _truncation_side(settings: Mapping[str, Any], serialized: Mapping[str, Any] | None) -> str:
    truncation = (serialized or {}).get("truncation") or {}
    return str(settings.get("truncation_side") or truncation.get("direction") or "right").lower()


def _check_side(side: str) -> None:
    if side not in ("left", "right"):
        raise ValueError(f"truncation_side is {reprlib.repr(side)}, neither left nor right")


def _class_name(model_type: Any, named: Any, serialized: Mapping[str, Any] | None) -> str:
    if isinstance(named, str):
        return {"PreTrainedTokenizerFast": GENERIC_CLASS}.get(named, named.removesuffix("Fast"))
    if model_type in _CLASSES:
        return _CLASSES[model_type]
    return _CLASSES["bert"] if serialized is None else GENERIC_CLASS


def _merged(config: Mapping[str, Any], special_tokens: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the class: a map of special tokens wins, unless the config lists the added tokens itself."""
    settings = {name: _as_token(value) for name, value in config.items() if name != "tokenizer_class"}
    if "additional_special_tokens" in settings and not settings.get("extra_special_tokens"):
        settings["extra_special_tokens"] = settings.pop("additional_special_tokens")
    if "added_tokens_decoder" in config:
        return settings
    for name, value in special_tokens.items():
        if name == "extra_special_tokens" and isinstance(value, list):
            known = list(settings.get(name) or [])
            value = [*known, *(token for token in map(_as_special_token, value) if token not in known)]
        settings[name] = _as_special_token(value)
    return settings


def _extra_tokens(settings: Mapping[str, Any]) -> tuple[str | AddedToken, ...]:
    tokens = settings.get("extra_special_tokens", settings.get("additional_special_tokens"))
    return tuple(map(_as_special_token, tokens)) if isinstance(tokens, list) else ()


def _added_tokens(
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    extra: tuple[str | AddedToken, ...],
    added_tokens: Mapping[str, Any],
    serialized: Mapping[str, Any] | None,
) -> dict[int, AddedToken]:
    if "added_tokens_decoder" in config:
        return {int(index): _added_token(token) for index, token in config["added_tokens_decoder"].items()}
    # The list that the map of special tokens may have under this name is read too late to count here.
    told = extra if settings.get("extra_special_tokens") else ()
    special = {str(settings[name]) for name in SPECIAL_TOKENS if settings.get(name)} | {str(token) for token in told}
    added = {
        int(index): AddedToken(token, normalized=token not in special, special=token in special)
        for token, index in added_tokens.items()
    }
    for token in (serialized or {}).get("added_tokens") or []:
        added[int(token["id"])] = _added_token(token)
    return added


def _named_tokens(settings: Mapping[str, Any], added: Mapping[int, AddedToken]) -> dict[str, str | AddedToken]:
    """The named tokens: the known names in their order, then those of this model alone (``image_token``)."""
    by_content = {str(token): token for token in added.values()}
    own = {name: value for name, value in settings.items() if name.endswith("_token") and name not in SPECIAL_TOKENS}
    if isinstance(settings.get("extra_special_tokens"), dict):
        own |= settings["extra_special_tokens"]
    named: dict[str, str | AddedToken] = {}
    for name in SPECIAL_TOKENS:
        value = settings.get(name)
        if isinstance(value, dict):  # as older releases wrote it
            value = _added_token(value)
        if isinstance(value, str | AddedToken):
            named[name] = by_content.get(str(value), value)
    named |= {name: value for name, value in own.items() if isinstance(value, str | AddedToken)}
    return named


def _added_token(fields: Mapping[str, Any]) -> AddedToken:
    return AddedToken(**{name: fields[name] for name in _ADDED_TOKEN_FIELDS if fields.get(name) is not None})


def _as_token(value: Any) -> Any:
    """Makes added tokens of their JSON, wherever they stand."""
    if isinstance(value, dict):
        if value.get("__type") == "AddedToken":
            return _added_token(value)
        return {name: _as_token(item) for name, item in value.items()}
    return [_as_token(item) for item in value] if isinstance(value, list) else value


def _as_special_token(value: Any) -> Any:
    return _added_token({**value, "special": True}) if isinstance(value, dict) and "content" in value else value


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
    "tokenizer.model",
    "bpe.codes",
    "dict.txt",
    "entity_vocab.json",
    "word_shape.json",
    "word_pronunciation.json",
)
"""What the tokenizers of transformers' encoders read: word pieces, byte pairs and SentencePiece, and their settings."""
