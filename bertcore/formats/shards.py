"""Weights of one model spread over several files, in the way of Hugging Face: `NAME.index.json` beside the shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import LARGEST_HEADER, MOST_SHARDS
from bertcore.files.foreign_json import parse_json
from bertcore.formats.weight_file import damaged, map_weight_file


def is_shard_index(path: str | os.PathLike[str]) -> bool:
    """Whether the file name is that of an index, such as `model.safetensors.index.json`."""
    return os.fspath(path).endswith(".index.json")


def read_shards(index_path: str | os.PathLike[str], read_file: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Read every shard that an index names, and put their tensors together.

    Args:
        index_path: a JSON file with `weight_map`, from the name of each tensor to the file, beside the index, with it.
        read_file: reads one shard.

    Raises:
        ModelError: the index is no such JSON file, or a shard is missing or lacks a tensor that the index promises.
    """
    shard_of = _weight_map(index_path)
    tensors: dict[str, Any] = {}
    names_in: dict[str, list[str]] = {}
    for name, shard in shard_of.items():
        names_in.setdefault(shard, []).append(name)
    if len(names_in) > MOST_SHARDS:
        raise damaged(index_path, f"names {len(names_in)} files, and no model has more than {MOST_SHARDS}")
    shards = sorted(names_in)
    missing = [shard for shard in shards if not os.path.exists(Path(index_path).parent / shard)]
    if missing:
        raise ModelError(
            f"it names {len(shards)} files, of which {len(missing)} are missing: {', '.join(missing[:5])}",
            "download the missing files into the same folder",
            origin=Origin(str(index_path)),
            code="weights-incomplete",
        )
    for shard in shards:
        shard_path = Path(index_path).parent / shard
        found = read_file(shard_path)
        if not isinstance(found, Mapping):
            raise damaged(shard_path, "holds no tensors by name")
        for name in names_in[shard]:
            if name not in found:
                raise ModelError(
                    f"lacks the tensor {name}, which {Path(index_path).name} says is there",
                    "Take the index and all its shards from the same place.",
                    origin=Origin(str(shard_path)),
                    code="weights-incomplete",
                )
        # A shard may hold more than the index tells; a name in two shards belongs to the one that the index names.
        tensors.update({name: found[name] for name in found if shard_of.get(name, shard) == shard})
    return tensors


def _weight_map(index_path: str | os.PathLike[str]) -> dict[str, str]:
    try:
        content = map_weight_file(index_path)
        if len(content) > LARGEST_HEADER:
            raise damaged(index_path, f"has {len(content)} bytes, and no index has more than {LARGEST_HEADER}")
        index = parse_json(bytes(content))
    except ValueError as error:
        raise damaged(index_path, f"not valid JSON: {error}") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise damaged(index_path, "has no weight_map, from the name of each tensor to its file")
    for name, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file or not _is_file_name(file):
            raise damaged(index_path, f"names no file beside itself for the tensor {name}: {file!r}")
    return weight_map


def _is_file_name(name: str) -> bool:
    """Whether the operating system can have a file of this name: no NUL, no half of a character."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False
