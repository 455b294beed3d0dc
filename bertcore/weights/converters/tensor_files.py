"""The files in which several layouts keep their tensors, told apart by suffix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.converter import KeyReport
from bertcore.errors import ModelError, Origin, OutputError
from bertcore.files.bounds import DEEPEST, MOST_TENSORS
from bertcore.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.formats.restricted_pickle import Inert
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.formats.torch_file import is_torch_file, read_torch_file, refused, write_torch_file
from bertcore.weights.converters.rules import Tensors

SAFETENSORS = (".safetensors", ".safetensors.index.json")
TORCH = (".bin", ".pt", ".pth")
TORCH_INDEX = ".bin.index.json"

# Under which training scripts, Lightning and DeepSpeed put the weights beside an optimizer, an epoch and the like.
_WRAPPERS = ("model_state_dict", "state_dict", "model_state", "model", "module", "net", "network", "weights")


def read_tensors(file: Path) -> tuple[Tensors, list[KeyReport]]:
    """The tensors of a `.safetensors`, `.ckpt` or torch file (any other suffix), and what lay beside them.

    A `.ckpt` is MindSpore's, or by its first bytes one of Lightning, which is a torch file.

    Raises:
        ModelError: the file is missing, damaged, refused, or holds no tensors by name.
    """
    if file.name.endswith(SAFETENSORS):
        return dict(read_safetensors(file)), []
    if file.suffix == ".ckpt" and not is_torch_file(file):
        return dict(read_ckpt(file)), []
    report: list[KeyReport] = []
    return _state_dict(file, read_torch_file(file, inert=True), report), report


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[np.generic]], layout: str, suffixes: tuple[str, ...]
) -> None:
    """Writes one file, by its suffix, complete or not at all.

    Args:
        path: the file.
        tensors: the tensors by the layout's names.
        layout: name of the layout, for the message.
        suffixes: those that the layout has.

    Raises:
        OutputError: the file cannot be written, or has another suffix.
    """
    if path.suffix not in suffixes:
        raise OutputError(
            f"{layout} is written to {', '.join(suffixes)}",
            "end the destination in one of these",
            origin=Origin(str(path)),
            code="writer-missing",
        )
    if path.suffix == ".safetensors":
        write_weights(path, tensors)
    elif path.suffix == ".ckpt":
        write_ckpt(path, tensors)
    else:
        write_torch_file(path, tensors)


def write_weights(path: Path, tensors: Mapping[str, Any]) -> None:
    """Writes a ``.safetensors`` file that every release of transformers opens (4 refuses one that names no format)."""
    write_safetensors(path, tensors, {"format": "pt"})


def _state_dict(file: Path, content: Any, report: list[KeyReport]) -> Tensors:
    """The tensors by name in what was saved, taken out of a training script's wrapping; notes what is left behind."""
    content = _module_tensors(content)
    while isinstance(content, Mapping):
        wrapper = next((name for name in _WRAPPERS if isinstance(content.get(name), Mapping | Inert)), None)
        if wrapper is None:
            wrapper = _only_tensors(content)
        if wrapper is None:
            break
        report += [
            KeyReport(str(name), None, f"skipped: not among the weights, which are in {wrapper!r}")
            for name in content
            if name != wrapper
        ]
        content = _module_tensors(content[wrapper])
    if isinstance(content, Inert):
        raise refused(file, f"it refers to {content.name}")
    if not isinstance(content, Mapping) or not content:
        raise ModelError(
            "holds no tensors by name", "save the model's state_dict", origin=Origin(str(file)), code="layout-unknown"
        )
    for name, value in content.items():
        if isinstance(value, Inert):
            raise refused(file, f"it refers to {value.name}")
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ModelError(
                f"{name!r} is {type(value).__name__}, no tensor",
                "save the model's state_dict",
                origin=Origin(str(file)),
                code="layout-unknown",
            )
    return dict(content)


def _only_tensors(content: Mapping[Any, Any]) -> Any | None:
    """The key of the one entry that holds tensors by name, beside which there is no tensor; else None."""
    if any(isinstance(value, np.ndarray) for value in content.values()):
        return None
    holders = [
        key
        for key, value in content.items()
        if isinstance(value, Mapping) and value and all(isinstance(entry, np.ndarray) for entry in value.values())
    ]
    return holders[0] if len(holders) == 1 else None


def _module_tensors(content: Any) -> Any:
    """The parameters and buffers of a whole module that was saved, by the names of its state_dict; else the content.

    Its class is not made: `torch.nn.Module` keeps all of them, and its parts, in attributes of these names.
    """
    if not isinstance(content, Inert) or not {"_parameters", "_modules"} <= content.state.keys():
        return content
    tensors: dict[str, Any] = {}
    waiting = [("", content)]
    while waiting:
        prefix, module = waiting.pop()
        if prefix.count(".") > DEEPEST or len(tensors) > MOST_TENSORS:
            return content
        parts = {name: module.state.get(name) for name in ("_parameters", "_buffers", "_modules")}
        held = {name: part if isinstance(part, dict) else {} for name, part in parts.items()}
        unsaved = module.state.get("_non_persistent_buffers_set")
        hidden = {name for name in unsaved.members if isinstance(name, str)} if isinstance(unsaved, Inert) else set()
        for name, value in [*held["_parameters"].items(), *held["_buffers"].items()]:
            if isinstance(name, str) and value is not None and name not in hidden:
                tensors[prefix + name] = value
        waiting += [
            (f"{prefix}{name}.", part)
            for name, part in held["_modules"].items()
            if isinstance(name, str) and isinstance(part, Inert)
        ]
    return tensors
