"""Encoded splits and their cache on disk: flat columns under a hash of everything that determines them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bertcore
from bertcore.config import DIVISION_OPTIONS, FILE_OPTIONS, DataConfig
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.dataset import Example
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import BertcoreError
from bertcore.files.writing import LEFT_OVER_AFTER, remove_leftovers
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

OPTIONS_BESIDE_ROWS = frozenset({*FILE_OPTIONS, *DIVISION_OPTIONS, "cache", "stream_window"})
"""Data options that say where data lies or how it is held, and not what its rows are."""


def encode_split(
    task: Task,
    examples: Sequence[Example],
    files: Sequence[Path],
    tokenizer: Tokenizer,
    head: Head,
    data: DataConfig,
    max_length: int,
    note: Callable[[str], None] = lambda text: None,
) -> Encoding:
    """Encodes a split, or takes it from the cache when nothing that determines it has changed.

    Args:
        task: encodes the examples.
        examples: all examples of the split.
        files: the files that they were read from; without files nothing is cached.
        tokenizer: of the model.
        head: determines the columns.
        data: the data options; ``data.cache`` switches the cache off.
        max_length: tokens of the longest row.
        note: told when the cache cannot be used.
    """
    if not (data.cache and files):
        return task.encode(examples, tokenizer, head, max_length, data)
    file = cache_folder() / f"{_key(task, examples, files, tokenizer, head, data, max_length)}.safetensors"
    if file.is_file():
        try:
            return _from_tensors(read_safetensors(file))
        except (BertcoreError, KeyError, ValueError):
            note(f"{file} is damaged and is made anew")
    encoding = task.encode(examples, tokenizer, head, max_length, data)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(file.parent, older_than=LEFT_OVER_AFTER)
        write_safetensors(file, _to_tensors(encoding))
    except (BertcoreError, OSError) as error:
        note(f"the encoded data is not cached: {str(error).splitlines()[0]}")
    return encoding


def cache_folder() -> Path:
    """Where encoded splits are kept: ``BERTCORE_CACHE``, or ``bertcore`` in the user's cache folder."""
    if os.environ.get("BERTCORE_CACHE"):
        return Path(os.environ["BERTCORE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertcore"


def _key(
    task: Task,
    examples: Sequence[Example],
    files: Sequence[Path],
    tokenizer: Tokenizer,
    head: Head,
    data: DataConfig,
    max_length: int,
) -> str:
    parts: dict[str, Any] = {
        "bertcore": bertcore.__version__,
        "task": [task.name, type(task).__module__, task.encoding_version],
        "files": [[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files],
        "examples": len(examples),
        "labeled": any(example.label is not None for example in examples),
        "tokenizer": tokenizer.fingerprint,
        "head": repr(head),
        "data": data.model_dump(exclude=set(OPTIONS_BESIDE_ROWS)),
        "max_length": max_length,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:40]


def _to_tensors(encoding: Encoding) -> dict[str, np.ndarray[Any, Any]]:
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
    for name, column in batch.columns.items():
        ignore = "" if column.ignore is None else repr(column.ignore)
        tensors[f"column:{name}:{column.per}:{ignore}"] = column.values
    return tensors


def _from_tensors(tensors: dict[str, np.ndarray[Any, Any]]) -> Encoding:
    columns: dict[str, Column] = {}
    for key, values in tensors.items():
        if key.startswith("column:"):
            _, name, per, ignore = key.split(":")
            columns[name] = Column(values, per, float(ignore) if ignore else None)  # type: ignore[arg-type]
    batch = Batch(
        tensors["offsets"],
        tensors["input_ids"],
        tensors["token_type_ids"],
        tensors["example_index"],
        columns,
        tensors.get("label_offsets"),
        tensors.get("label_positions"),
    )
    if batch.offsets[-1] != len(batch.input_ids):
        raise ValueError("offsets and tokens do not belong together")
    return Encoding(batch, tensors["truncated"], tuple(json.loads(tensors["notes"].tobytes())))
