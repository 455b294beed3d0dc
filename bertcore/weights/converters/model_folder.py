"""The small files of a model folder: ``config.json`` and the tokenizer's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LARGEST_CONFIG
from bertcore.files.foreign_json import read_json
from bertcore.files.writing import atomic_write
from bertcore.formats.mistaken import mistaken
from bertcore.near_misses import did_you_mean, nearest_path
from bertcore.tokenization.files import TOKENIZER_FILES

CONFIG_FILE = "config.json"


GOOGLE_CONFIG_FILE = "bert_config.json"
"""What google-research/bert calls it; it has the same entries, but no ``model_type``."""


def is_there(path: Path) -> bool:
    """Whether a path names a file, a folder, or a TensorFlow checkpoint, whose name is what its files begin with."""
    # Unlike those of Path, these take a name that is too long, or not to be looked up, for one that is not there.
    return os.path.exists(path) or os.path.isfile(path.with_name(f"{path.name}.index"))


def find_config(folder: Path) -> Path | None:
    """The configuration file of a model folder, or None where it has none."""
    candidates = (folder / name for name in (CONFIG_FILE, GOOGLE_CONFIG_FILE))
    return next((file for file in candidates if file.is_file()), None)


def read_config(file: Path) -> dict[str, Any]:
    """Reads a configuration file; Google's is that of the family ``bert``, though it does not say so.

    Raises:
        ModelError: it is missing, unreadable, or no JSON object.
    """
    try:
        config = read_json(file, LARGEST_CONFIG)
    except FileNotFoundError:
        raise ModelError(
            "no such file",
            did_you_mean(nearest_path(file), "give the config.json of the model"),
            origin=Origin(str(file)),
            code="model-config-missing",
        ) from None
    except OSError as error:
        raise ModelError(
            f"cannot be read: {error.strerror}",
            "check the file's permissions",
            origin=Origin(str(file)),
            code="weights-unreadable",
        ) from error
    except ValueError as error:
        known = mistaken(file)
        if known is not None:
            raise ModelError(
                f"this is {known.what}", known.remedy, origin=Origin(str(file)), code="not-weights"
            ) from None
        raise ModelError(
            f"not valid JSON: {error}", "get the file again", origin=Origin(str(file)), code="model-config-damaged"
        ) from None
    if not isinstance(config, dict):
        raise ModelError(
            "not a JSON object", "get the file again", origin=Origin(str(file)), code="model-config-damaged"
        )
    return {"model_type": "bert", **config} if file.name == GOOGLE_CONFIG_FILE else config


def config_beside(path: Path) -> dict[str, Any] | None:
    """The configuration in a model folder, or beside a weight file; None where there is none.

    Raises:
        ModelError: it is damaged.
    """
    file = find_config(path if path.is_dir() else path.parent)
    return None if file is None else read_config(file)


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Writes ``config.json``."""
    with atomic_write(folder / CONFIG_FILE) as file:
        file.write(json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n")


def copy_tokenizer(source: Path, destination: Path) -> tuple[str, ...]:
    """Copies the tokenizer's files, those that are there, and returns their names."""
    names = tuple(name for name in TOKENIZER_FILES if (source / name).is_file())
    for name in names:
        shutil.copyfile(source / name, destination / name)
    return names
