"""Hugging Face folders and the weight files in them, without torch and without transformers.

Format: https://huggingface.co/docs/safetensors and `transformers.PreTrainedModel.save_pretrained`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bertcore.contracts.converter import KeyReport, ModelParts, WeightConverter, WeightSet
from bertcore.errors import ModelError, Origin
from bertcore.files.writing import atomic_folder
from bertcore.formats.names import tensor_names
from bertcore.formats.torch_file import is_torch_file
from bertcore.weights.converters.layouts import is_of_other_layout
from bertcore.weights.converters.model_folder import config_beside, copy_tokenizer, write_config
from bertcore.weights.converters.rules import OLD_LAYER_NORM, left_out, to_canonical
from bertcore.weights.converters.tensor_files import (
    SAFETENSORS,
    TORCH,
    TORCH_INDEX,
    read_tensors,
    write_tensors,
    write_weights,
)
from bertcore.weights.converters.transformers_parts import transformers_parts

WEIGHTS_FILE = "model.safetensors"
WEIGHT_FILES = (WEIGHTS_FILE, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""The weights of a folder; the first that is there counts."""


class HuggingFaceConverter(WeightConverter):
    """A folder of transformers, or one of its weight files: `.safetensors`, `.bin`, `.pt`, `.pth`, an index of shards.

    Also a `.ckpt` of Lightning. A pickle is never run: what it would make beside the tensors is not made. Files hold
    the weights in their own type, bfloat16 comes as float32.
    """

    name: ClassVar[str] = "huggingface"
    description: ClassVar[str] = "Hugging Face folder, .safetensors, .bin, .pt"
    suffixes: ClassVar[tuple[str, ...]] = ("", ".safetensors", ".bin", ".pt", ".pth")

    def recognizes(self, path: Path) -> bool:  # noqa: D102
        if path.is_dir():
            return any((path / name).is_file() for name in WEIGHT_FILES)
        is_lightning = path.suffix == ".ckpt" and is_torch_file(path)
        if not is_lightning and not path.name.endswith((*SAFETENSORS, *TORCH, TORCH_INDEX)):
            return False
        # Names alone tell whose a file is; what no other layout claims is one of transformers.
        return not is_of_other_layout(tensor_names(path))

    def read(self, path: Path) -> WeightSet:  # noqa: D102
        file = _weight_file(path)
        tensors, report = read_tensors(file)
        canonical, renamed = to_canonical(tensors, OLD_LAYER_NORM, origin=str(file))
        return WeightSet(canonical, config_beside(file), file.parent, (*report, *renamed), left_out(tensors, renamed))

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes one file, by its suffix, or else a folder with the weights, their config and their tokenizer.

        Raises:
            OutputError: the destination cannot be written.
            ModelError: a folder is to be written, and the weights have no config.
        """
        if path.suffix in (".safetensors", *TORCH):
            write_tensors(path, weights.tensors, self.name, self.suffixes)
        else:
            if weights.config is None:
                raise ModelError(
                    "a model folder needs a config.json",
                    "put one beside the weights, or give --config FILE",
                    origin=Origin(str(path)),
                    code="model-config-missing",
                )
            with atomic_folder(path) as folder:
                write_config(folder, weights.config)
                write_weights(folder / WEIGHTS_FILE, weights.tensors)
                if weights.folder is not None:
                    copy_tokenizer(weights.folder, folder)
        return tuple(KeyReport(name, name, "copied") for name in weights.tensors)

    def parts(self, path: Path) -> ModelParts:  # noqa: D102
        return transformers_parts(read_tensors(_weight_file(path))[0], str(path))


def _weight_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = (path / name for name in WEIGHT_FILES)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ModelError(
            f"no weights: none of {', '.join(WEIGHT_FILES)}",
            "copy the weights into the folder",
            origin=Origin(str(path)),
            code="weights-missing",
        )
    return file
