"""Encoded splits on disk: flat columns under a hash of everything that determines them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.task import Encoding
from bertcore.errors import BertcoreError
from bertcore.files.writing import LEFT_OVER_AFTER, remove_leftovers
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

_VERSION = 2
_CHECKSUM = "sha256"


def cache_folder() -> Path:
    """Where encoded splits are kept: ``BERTCORE_CACHE``, or ``bertcore`` in the user's cache folder."""
    if os.environ.get("BERTCORE_CACHE"):
        return Path(os.environ["BERTCORE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertcore"


def cache_file(files: Sequence[Path], determinants: Mapping[str, Any]) -> Path:
    """Where the encoding of a split is kept.

    Args:
        files: whose content the examples are.
        determinants: everything else that determines the rows, as JSON or with a ``str`` that tells it.
    """
    # By content, not by path and time: a copied file finds its rows again, and one that was changed twice within the
    # clock's resolution does not find the old ones. Hashing costs far less than encoding.
    contents = [[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    key = json.dumps({**determinants, "files": contents, "cache": _VERSION}, sort_keys=True, default=str)
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.safetensors"


def read_encoding(file: Path) -> Encoding | None:
    """Reads what :func:`write_encoding` wrote; None where it is damaged."""
    try:
        tensors = read_safetensors(file)
        # safetensors has no checksum, and a wrong token would be trained on without a word.
        if not np.array_equal(tensors.pop(_CHECKSUM), _checksum(tensors)):
            return None
        return _from_tensors(tensors)
    except (BertcoreError, KeyError, ValueError):
        return None


def write_encoding(file: Path, encoding: Encoding) -> str | None:
    """Keeps an encoding; returns why it could not be kept, in one line."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(file.parent, older_than=LEFT_OVER_AFTER)
        tensors = _to_tensors(encoding)
        write_safetensors(file, {**tensors, _CHECKSUM: _checksum(tensors)})
    except (BertcoreError, OSError) as error:
        return str(error).splitlines()[0]
    return None


def _checksum(tensors: Mapping[str, np.ndarray[Any, Any]]) -> NDArray[np.uint8]:
    """Of the names, types, shapes and content of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\n{tensor.dtype.str}\n{tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).view(np.uint8).data if tensor.size else b"")
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _to_tensors(encoding: Encoding) -> dict[str, np.ndarray[Any, Any]]:
    # One tensor for each array of the batch, flat as they are there, so that reading is one copy and stores no padding:
    #
    #     offsets               0       4             11      int64 [rows + 1]
    #     input_ids             101 .. 102 101 ....... 102    int32 [tokens]
    #     column:labels:row:    1       0                     [rows]; "row": what a value belongs to
    #     notes                 JSON as bytes
    #
    # What numbers cannot say of a column stands in its name, so that the file is tensors and nothing else.
    batch = encoding.batch
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "offsets": batch.offsets,
        "input_ids": batch.input_ids,
        "token_type_ids": batch.token_type_ids,
        "example_index": batch.example_index,
        "truncated": encoding.truncated,
        "notes": np.frombuffer(json.dumps(encoding.notes).encode(), dtype=np.uint8),
    }
    if batch.label_offsets is not None and batch.label_positions is not None:
        tensors["label_offsets"] = batch.label_offsets
        tensors["label_positions"] = batch.label_positions
    if batch.groups is not None:
        tensors["groups"] = batch.groups
    tensors |= {f"ragged:{axis}": offsets for axis, offsets in batch.ragged.items()}
    for name, column in batch.columns.items():
        ignore = "" if column.ignore is None else repr(column.ignore)
        tensors[f"column:{name}:{column.per}:{ignore}"] = column.values
    return tensors


def _from_tensors(tensors: dict[str, np.ndarray[Any, Any]]) -> Encoding:
    columns: dict[str, Column] = {}
    for key, values in tensors.items():
        if key.startswith("column:"):
            _, name, per, ignore = key.split(":")
            columns[name] = Column(values, per, float(ignore) if ignore else None)
    batch = Batch(
        tensors["offsets"],
        tensors["input_ids"],
        tensors["token_type_ids"],
        tensors["example_index"],
        columns,
        tensors.get("label_offsets"),
        tensors.get("label_positions"),
        tensors.get("groups"),
        {key.removeprefix("ragged:"): offsets for key, offsets in tensors.items() if key.startswith("ragged:")},
    )
    return Encoding(batch, tensors["truncated"], tuple(json.loads(tensors["notes"].tobytes())))
