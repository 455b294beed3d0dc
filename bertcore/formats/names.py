"""The names in a weight file without its numbers, by which converters tell whose layout it is."""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from itertools import islice
from pathlib import Path
from typing import IO

from bertcore.files.bounds import LARGEST_HEADER, MOST_INSTRUCTIONS
from bertcore.formats.mindspore_ckpt import ckpt_names
from bertcore.formats.torch_file import is_torch_file

_LEGACY_PICKLES = 5
"""A file of torch before 1.6 is five pickles, the fourth of which is the object, and then the numbers."""


def tensor_names(path: Path) -> frozenset[str]:
    """The names of the tensors in a file, by its suffix; those of a pickle among other texts that it holds.

    Nothing is checked and nothing is raised: of a file that is missing or damaged there are fewer names, or none.
    """
    try:
        if path.name.endswith(".index.json"):
            with open(path, "rb") as file:
                return frozenset(map(str, json.loads(_all_of(file))["weight_map"]))
        if path.suffix == ".safetensors":
            return _safetensors_names(path)
        if path.suffix == ".ckpt" and not is_torch_file(path):
            return ckpt_names(path)
        return _torch_names(path)
    except Exception:  # whatever is wrong with the file, reading it will say
        return frozenset()


def _safetensors_names(path: Path) -> frozenset[str]:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if length <= LARGEST_HEADER else {}
    return frozenset(header) - {"__metadata__"}


def _torch_names(path: Path) -> frozenset[str]:
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            return frozenset().union(*(_texts(file) for _ in range(_LEGACY_PICKLES)))
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as file:  # a member that is compressed may be a thousand times as long as the file
            return _texts(io.BytesIO(_all_of(file)))


def _all_of(file: IO[bytes]) -> bytes:
    """The content of a file that is no larger than a header."""
    content = file.read(LARGEST_HEADER + 1)
    if len(content) > LARGEST_HEADER:
        raise ValueError("larger than any header")
    return content


def _texts(file: IO[bytes]) -> frozenset[str]:
    """All texts in one pickle; it is taken apart and not run."""
    instructions = islice(pickletools.genops(file), MOST_INSTRUCTIONS)
    return frozenset(argument for _, argument, _ in instructions if isinstance(argument, str))
