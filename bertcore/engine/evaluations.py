"""Where the evaluations of a run lie: ``evaluations/`` has a folder for each split, backend, data and settings.

A folder is called SPLIT-BACKEND, with the task before it where that is another than the run's, and behind it whatever
differs from the run: the name of other data, and other settings as ``max_length=64``. The same evaluation again takes
the place of the former one. Any other, and one of other weights or of data that changed, gets a folder of its own,
with a number where the name is taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.config import FILE_OPTIONS, OPTIONS_BESIDE_ROWS
from bertcore.contracts.dataset import Example
from bertcore.files.manifest import MANIFEST_FILE
from bertcore.weights.converters.huggingface import WEIGHTS_FILE

LONGEST_PART = 40

_SECTIONS = ("data.", "head.", "evaluate.", "run.device")
# Settings that change how fast an evaluation is, and not what comes out.
_WITHOUT_EFFECT = {"evaluate.batch_size", *(f"data.{name}" for name in OPTIONS_BESIDE_ROWS)}
_FILES = {f"data.{name}" for name in FILE_OPTIONS}


def changed_options(own: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an evaluation that are not those of the run and have an effect on it.

    Args:
        own: dotted keys and values of the run.
        now: the same of the evaluation.
    """
    keys = [key for key in now if key.startswith(_SECTIONS) and key not in _WITHOUT_EFFECT - _FILES]
    return {key: now[key] for key in keys if now[key] != own.get(key)}


def folder_name(parts: Sequence[str], changed: Mapping[str, Any], *, names_data: bool) -> str:
    """A readable name for an evaluation.

    Args:
        parts: task, where it is another than the run's, split and backend.
        changed: see :func:`changed_options`.
        names_data: whether other data are named.
    """
    files = [Path(str(value)).name for key, value in changed.items() if key in _FILES and value and names_data]
    settings = [f"{key.rpartition('.')[2]}={value}" for key, value in changed.items() if key not in _FILES]
    shown = [re.sub(r"[^\w.=+-]+", "_", part)[:LONGEST_PART] for part in (*dict.fromkeys(files), *settings)]
    return "-".join([*parts, *shown])[: 3 * LONGEST_PART]


def identity(
    task: str, backend: str, split: str, examples: Sequence[Example], changed: Mapping[str, Any], model: Path
) -> dict[str, Any]:
    """What makes two evaluations the same one, as ``report.json`` keeps it.

    Args:
        task: its name.
        backend: its name.
        split: its name.
        examples: that are evaluated.
        changed: see :func:`changed_options`.
        model: folder of the model.
    """
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr((example.identifier, sorted(example.texts.items()), example.label)).encode())
    return {
        "task": task,
        "backend": backend,
        "split": split,
        "examples": digest.hexdigest(),
        "model": _digest_of_model(model),
        "settings": {key: str(value) for key, value in changed.items() if key not in _FILES},
    }


def choose_folder(parent: Path, name: str, wanted: Mapping[str, Any]) -> Path:
    """The folder of an evaluation: the first of NAME, NAME-2 and so on that is free or holds the same evaluation."""
    folder, number = parent / name, 1
    while folder.exists() and _identity_in(folder) != wanted:
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def _digest_of_model(folder: Path) -> list[str]:
    # The manifest holds the checksums of all files, which were compared when the model was read.
    manifest = folder / MANIFEST_FILE
    files = [manifest] if manifest.is_file() else [folder / name for name in (WEIGHTS_FILE, "config.json")]
    return [_digest(file) for file in files]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _identity_in(folder: Path) -> Any:
    try:
        return json.loads((folder / "report.json").read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # of an earlier bertcore, or damaged: not to be replaced
