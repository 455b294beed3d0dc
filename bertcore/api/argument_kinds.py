"""What an argument of the Python interface may be, by its name."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.data.memory import is_rows
from bertcore.plugins.registry import Registry

LONGEST_TEXT = 4096
"""Characters of the longest name or path."""

LONGEST_SHOWN = 40
"""Characters of the longest value that an error shows."""


@dataclass(frozen=True)
class Kind:
    """What an argument may be.

    Attributes:
        wanted: in words, behind "must be".
        example: a value as one writes it.
        read: returns the value as the function takes it; raises ``TypeError`` or ``ValueError`` where it does not fit.
    """

    wanted: str
    example: str
    read: Callable[[Any], Any]


def describe(value: Any) -> str:
    """What a value is, in a few words of one line, as ``a numpy.ndarray`` or ``the int 3``."""
    if value is None or isinstance(value, bool):
        return repr(value)
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    name = kind.__qualname__ if package in ("builtins", "__main__") else f"{package}.{kind.__qualname__}"
    if isinstance(value, int | float | str | bytes):
        shown = repr(value)
        return f"the {name} {shown if len(shown) <= LONGEST_SHOWN else shown[: LONGEST_SHOWN - 3] + '...'}"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def plain(value: Any) -> Any:
    """A number or truth value of numpy, or of a library that behaves like it, as Python's own; others as they are."""
    is_scalar = hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None))
    return value.item() if is_scalar else value


class NotThisError(ValueError):
    """A value that does not fit, with the reason."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.strip():
        raise NotThisError("empty")
    if len(value) > LONGEST_TEXT:
        raise NotThisError(f"{len(value)} characters")
    if "\0" in value:
        raise NotThisError("it holds a NUL")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise NotThisError("half a surrogate pair is no character") from None
    return value


def _path_or_rows(value: Any) -> Any:
    if isinstance(value, str | os.PathLike):
        return _path(value)
    if not is_rows(value):
        raise TypeError
    return value


def _path(value: Any) -> str | Path:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, os.PathLike):
        raise TypeError
    path = os.fspath(value)
    return Path(_text(path))


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _refuse() -> Any:
    raise TypeError


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else _refuse()


def _items(value: Any) -> list[Any]:
    if isinstance(value, str | bytes | os.PathLike | Mapping) or not isinstance(value, Iterable):
        raise TypeError
    return list(value)


def _wholes(value: Any) -> list[int]:
    items = _items(value)
    for number, item in enumerate(items):
        if isinstance(item, bool) or not hasattr(plain(item), "__index__"):
            raise NotThisError(f"item {number} is {describe(item)}")
    return [_whole(plain(item)) for item in items]


def _paths(value: Any) -> list[str | Path]:
    items = _items(value)
    for number, item in enumerate(items):
        if not isinstance(item, str | os.PathLike):
            raise NotThisError(f"item {number} is {describe(item)}")
    return [_path(item) for item in items]


def _settings(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    for key in value:
        if not isinstance(key, str):
            raise NotThisError(f"a key is {describe(key)}")
    return {key: setting_value(item) for key, item in value.items()}


def setting_value(value: Any) -> Any:
    """A value of the configuration: paths as text, and what numpy holds as numbers and lists."""
    value = plain(value)
    if isinstance(value, Mapping):
        return {str(key): setting_value(item) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return str(_path(value))
    if isinstance(value, str):
        return _unbroken(value)
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    return [setting_value(item) for item in value] if isinstance(value, list | tuple) else value


def _unbroken(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotThisError("half a surrogate pair is no character") from None
    return text


def _inputs(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview | os.PathLike) or not isinstance(value, str | Iterable):
        raise TypeError
    return value


def _registry(value: Any) -> Registry:
    return value if isinstance(value, Registry) else _refuse()


_PATH = "a text or a path"
_DATA = Kind("a path, a list of dictionaries or a pandas DataFrame", '[{"text": "...", "label": "..."}]', _path_or_rows)
_NAME = "a text that is not empty"

KINDS: dict[str, Kind] = {
    "task": Kind(_NAME, '"rte"', _text),
    "backend": Kind(_NAME, '"torch"', _text),
    "device": Kind(_NAME, '"cpu"', _text),
    "precision": Kind(_NAME, '"fp32"', _text),
    "split": Kind(_NAME, '"dev"', _text),
    "from_name": Kind(_NAME, '"mindformers"', _text),
    "to_name": Kind(_NAME, '"huggingface"', _text),
    "model": Kind(_PATH, '"bert-base-uncased"', _path),
    "folder": Kind(_PATH, '"runs/rte"', _path),
    "teacher": Kind(_PATH, '"runs/large"', _path),
    "output": Kind(_PATH, '"runs/new"', _path),
    "source": Kind(_PATH, '"model.ckpt"', _path),
    "destination": Kind(_PATH, '"model.safetensors"', _path),
    "config": Kind(_PATH, '"config.json"', _path),
    "predictions": Kind(_PATH, '"predictions.jsonl"', _path),
    "data": _DATA,
    "train": _DATA,
    "dev": _DATA,
    "test": _DATA,
    "inputs": Kind("texts, pairs of texts or dictionaries", '["a text", "another"]', _inputs),
    "seed": Kind("a whole number", "42", _whole),
    "seeds": Kind("a list of whole numbers", "[1, 2, 3]", _wholes),
    "folds": Kind("a whole number", "5", _whole),
    "runs": Kind("a list of folders", '["runs/rte"]', _paths),
    "archive": Kind("True or False", "True", _flag),
    "force": Kind("True or False", "True", _flag),
    "verify": Kind("True or False", "True", _flag),
    "keep_unknown": Kind("True or False", "True", _flag),
    "settings": Kind("a dictionary of dotted keys", '{"train.epochs": 2}', _settings),
    "registry": Kind("a bertcore.plugins.registry.Registry", "Registry()", _registry),
}
"""By the name of a parameter, which means the same in every function."""
