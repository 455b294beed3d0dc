"""Hugging Face folders and the weight files in them, without torch and without transformers.

Format: https://huggingface.co/docs/safetensors and `transformers.PreTrainedModel.save_pretrained`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bertcore.converter import KeyReport, WeightConverter, WeightSet
from bertcore.converters.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.converters.formats.torch_file import read_torch_file, write_torch_file
from bertcore.converters.model_folder import config_beside, copy_tokenizer, write_config
from bertcore.converters.rules import OLD_LAYER_NORM, RenameRule, Tensors, to_canonical
from bertcore.errors import ModelError
from bertcore.files import atomic_folder

WEIGHTS_FILE = "model.safetensors"
WEIGHT_FILES = (WEIGHTS_FILE, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""The weights of a folder; the first that is there counts."""

_SAFETENSORS = (".safetensors", ".safetensors.index.json")
_TORCH = (".bin", ".pt", ".pth", ".bin.index.json")

# Under which training scripts put the weights beside an optimizer, an epoch and the like.
_WRAPPERS = ("model_state_dict", "state_dict", "model", "module")

RULES = (RenameRule("module.{rest}", "{rest}", written=False), *OLD_LAYER_NORM)
"""`module.` comes from torch's DataParallel."""


class HuggingFaceConverter(WeightConverter):
    """A folder of transformers, or one of its weight files: `.safetensors`, `.bin`, `.pt`, `.pth`, an index of shards.

    A pickle is never run: a `.bin` that asks for more than tensors is refused. Files hold the weights in their own
    type, bfloat16 comes as float32.
    """

    name: ClassVar[str] = "huggingface"
    description: ClassVar[str] = "Hugging Face folder, .safetensors, .bin, .pt"
    suffixes: ClassVar[tuple[str, ...]] = ("", ".safetensors", ".bin", ".pt", ".pth")

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        if path.is_dir():
            return any((path / name).is_file() for name in WEIGHT_FILES)
        return path.name.endswith(_SAFETENSORS + _TORCH)

    def read(self, path: Path) -> WeightSet:  # noqa: D102
        file = _weight_file(path)
        report: list[KeyReport] = []
        if file.name.endswith(_SAFETENSORS):
            tensors: Tensors = dict(read_safetensors(file))
        else:
            tensors = _state_dict(file, read_torch_file(file), report)
        canonical, renamed = to_canonical(tensors, RULES, origin=str(file))
        return WeightSet(canonical, config_beside(file), file.parent, (*report, *renamed))

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file, by its suffix, or else a folder with the weights, their config and their tokenizer.

        Raises:
            OutputError: the destination cannot be written.
            ModelError: a folder is to be written, and the weights have no config.
        """
        if path.suffix == ".safetensors":
            write_weights(path, weights.tensors)
        elif path.suffix in _TORCH:
            write_torch_file(path, weights.tensors)
        else:
            if weights.config is None:
                raise ModelError(
                    f"{path}: a model folder needs a config.json", "put one beside the weights, or give --config FILE"
                )
            with atomic_folder(path) as folder:
                write_config(folder, weights.config)
                write_weights(folder / WEIGHTS_FILE, weights.tensors)
                if weights.folder is not None:
                    copy_tokenizer(weights.folder, folder)
        return tuple(KeyReport(name, name, "copied") for name in weights.tensors)


def write_weights(path: Path, tensors: Mapping[str, Any]) -> None:
    """Writes a ``.safetensors`` file that every release of transformers opens (4 refuses one that names no format)."""
    write_safetensors(path, tensors, {"format": "pt"})


def _weight_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = (path / name for name in WEIGHT_FILES)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ModelError(f"{path}: no weights: none of {', '.join(WEIGHT_FILES)}", "copy the weights into the folder")
    return file


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
