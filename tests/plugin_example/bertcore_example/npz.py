"""A weight converter: numpy's own ``.npz`` files."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from bertcore import KeyReport, ModelError, Origin, WeightConverter, WeightSet, atomic_write, config_beside


class NpzConverter(WeightConverter):
    """One file that holds each tensor under its canonical name."""

    name = "npz"
    description = "example: numpy .npz under canonical names"
    suffixes = (".npz",)

    def recognizes(self, path: Path) -> bool:
        """By the suffix."""
        return path.is_file() and path.suffix == ".npz"

    def read(self, path: Path) -> WeightSet:
        """Reads all tensors; a file that asks for pickle is refused, since reading that would run its code."""
        try:
            with np.load(path, allow_pickle=False) as file:
                tensors = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            problem = f"no arrays of numpy: {error}".splitlines()[0]
            raise ModelError(problem, "get the file again", origin=Origin(str(path)), code="weights-damaged") from None
        report = tuple(KeyReport(name, name, "copied") for name in tensors)
        return WeightSet(tensors, config_beside(path), path.parent, report)

    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes the file, complete or not at all."""
        content = io.BytesIO()
        np.savez(content, **weights.tensors)
        with atomic_write(path) as file:
            file.write(content.getbuffer())
        return tuple(KeyReport(name, name, "copied") for name in weights.tensors)
