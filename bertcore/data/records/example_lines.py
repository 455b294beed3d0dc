"""Examples as JSON lines, with the types of their values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import bertcore
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Task
from bertcore.data.records.description import CONVERT_ANEW
from bertcore.data.tables import parse_json_lines, read_lines
from bertcore.errors import DataError, Origin, PluginError


def examples_lines(examples: Sequence[Example], truncated: Sequence[int] = ()) -> Iterator[str]:
    """Yields one JSON object per example, which :func:`read_examples` makes the same example of.

    Raises:
        PluginError: the task's examples hold something that cannot be written.
    """
    cut = set(truncated)
    for index, example in enumerate(examples):
        entry = _to_json(example)
        if index in cut:
            entry["truncated"] = True
        yield json.dumps(entry, ensure_ascii=False)


def read_examples(file: Path, task: Task) -> tuple[list[Example], list[int]]:
    """Reads the examples beside the records of a split, and the indices of those that were truncated.

    Raises:
        DataError: a line is damaged.
    """
    examples: list[Example] = []
    truncated: list[int] = []
    for index, (entry, origin) in enumerate(parse_json_lines(read_lines(file), str(file))):
        if entry.pop("truncated", False):
            truncated.append(index)
        try:
            example = _from_json({_CLASS: f"{Example.__module__}:{Example.__qualname__}", **entry}, task)
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"no example of the task {task.name} ({error})", CONVERT_ANEW, origin=origin, code="records-incomplete"
            ) from None
        examples.append(example)
    return examples, truncated


# What JSON does not tell apart is an object with one of these keys.
_CLASS, _TUPLE, _SET, _MAP = "$class", "$tuple", "$set", "$map"


def _to_json(value: Any) -> Any:
    """A value of an example in JSON, from which :func:`_from_json` makes an equal value of the same types."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, np.generic):
        return _to_json(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Origin):  # there is one in each line
            fields = {name: one for name, one in fields.items() if one is not None}
        kind = type(value)
        return fields if kind is Example else {_CLASS: f"{kind.__module__}:{kind.__qualname__}", **fields}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if type(value) is tuple:
        return {_TUPLE: [_to_json(item) for item in value]}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {_CLASS: f"{type(value).__module__}:{type(value).__qualname__}", **_to_json(value._asdict())}
    if isinstance(value, set | frozenset):
        return {_SET: sorted((_to_json(item) for item in value), key=repr), "frozen": isinstance(value, frozenset)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _to_json(item) for key, item in value.items()}
        return {_MAP: [[_to_json(key), _to_json(item)] for key, item in value.items()]}
    raise PluginError(
        f"an example holds a {type(value).__qualname__}, which cannot be written beside its records",
        "report this to the authors of the task: use texts, numbers, tuples and dataclasses",
        code="contract-broken",
    )


def _from_json(value: Any, task: Task) -> Any:
    if isinstance(value, list):
        return [_from_json(item, task) for item in value]
    if not isinstance(value, dict):
        return value
    if _TUPLE in value:
        return tuple(_from_json(item, task) for item in value[_TUPLE])
    if _SET in value:
        items = (_from_json(item, task) for item in value[_SET])
        return frozenset(items) if value.get("frozen") else set(items)
    if _MAP in value:
        return {_from_json(key, task): _from_json(item, task) for key, item in value[_MAP]}
    content = {key: _from_json(item, task) for key, item in value.items() if key != _CLASS}
    return _class_of(value[_CLASS], task)(**content) if _CLASS in value else content


def _class_of(name: str, task: Task) -> type:
    """The class of a stored value: only dataclasses and named tuples of bertcore and of the task's own package."""
    module_name, _, path = name.partition(":")
    packages = {bertcore.__name__, *(kind.__module__.partition(".")[0] for kind in type(task).__mro__)}
    if module_name.partition(".")[0] not in packages - {"builtins", "abc"}:
        raise ValueError(f"{name!r} is no class of the task's own package")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise ValueError(str(error)) from None
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not (dataclasses.is_dataclass(found) or hasattr(found, "_fields")):
        raise ValueError(f"there is no class {name!r} of values")
    return found
