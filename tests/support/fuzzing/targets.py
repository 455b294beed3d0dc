"""What is fuzzed: how a case is made, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import models, pickles, records, weights
from .chance import Chance


@dataclass(frozen=True)
class Target:
    """A format and its reader.

    Attributes:
        make: the files of a case, by name.
        read: reads them in a folder; gives a value or raises BertcoreError.
    """

    make: Callable[[Chance], Mapping[str, bytes]]
    read: Callable[[Path], Any]


TARGETS: Mapping[str, Target] = {
    "torch_zip": Target(pickles.zip_files, pickles.read_torch_files),
    "torch_legacy": Target(pickles.legacy_files, pickles.read_torch_files),
    "safetensors": Target(weights.safetensors_files, weights.read_safetensors_files),
    "ckpt": Target(weights.ckpt_files, weights.read_ckpt_file),
    "tensor_bundle": Target(weights.bundle_files, weights.read_bundle_files),
    "tfrecord": Target(records.tfrecord_files, records.read_tfrecord),
    "record_folder": Target(records.folder_files, records.read_folder),
    "tokenizer": Target(models.tokenizer_files, models.read_tokenizer),
    "model_folder": Target(models.model_files, models.read_model),
}


def files_of(target: str, seed: int, number: int) -> Mapping[str, bytes]:
    """The files of a case."""
    return TARGETS[target].make(Chance(f"{target}/{seed}/{number}"))
