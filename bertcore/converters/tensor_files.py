"""The files in which several layouts keep their tensors, told apart by suffix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.converter import KeyReport
from bertcore.converters.formats.mindspore_ckpt import read_ckpt, write_ckpt
from bertcore.converters.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.converters.formats.torch_file import read_torch_file, write_torch_file
from bertcore.converters.rules import Tensors
from bertcore.errors import ModelError, OutputError

SAFETENSORS = (".safetensors", ".safetensors.index.json")
TORCH = (".bin", ".pt", ".pth")
TORCH_INDEX = ".bin.index.json"

# Under which training scripts put the weights beside an optimizer, an epoch and the like.
_WRAPPERS = ("model_state_dict", "state_dict", "model", "module")


def read_tensors(file: Path) -> tuple[Tensors, list[KeyReport]]:
    """The tensors of a `.safetensors`, `.ckpt` or torch file (any other suffix), and what lay beside them.

    Raises:
        ModelError: the file is missing, damaged, refused, or holds no tensors by name.
    """
    if file.name.endswith(SAFETENSORS):
        return dict(read_safetensors(file)), []
    if file.suffix == ".ckpt":
        return dict(read_ckpt(file)), []
    report: list[KeyReport] = []
    return _state_dict(file, read_torch_file(file), report), report


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
            f"{path}: {layout} is written to {', '.join(suffixes)}", "end the destination in one of these"
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
    while isinstance(content, Mapping):
        wrapper = next((name for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if wrapper is None:
            break
        report += [
            KeyReport(str(name), None, f"skipped: not among the weights, which are in {wrapper!r}")
            for name in content
            if name != wrapper
        ]
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{file}: holds no tensors by name", "save the model's state_dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ModelError(f"{file}: {name!r} is {type(value).__name__}, no tensor", "save the model's state_dict")
    return dict(content)
