"""The contract of a weight converter: how weights are stored elsewhere.

Not to be confused with transformers' own class ``WeightConverter``, which renames tensors inside transformers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KeyReport:
    """What became of one key.

    Attributes:
        source: key in the file.
        target: canonical name, or None where the key was skipped.
        action: what was done: copied, renamed, transposed, joined, skipped, with the reason.
    """

    source: str
    target: str | None
    action: str


@dataclass(frozen=True)
class WeightSet:
    """Weights as a converter hands them over.

    Attributes:
        tensors: canonical names to arrays of any float dtype, or integers; not yet checked against a table. The
            family's prefix may be missing, as in a file of the bare encoder: :mod:`bertcore.models` adds it.
        config: content of ``config.json`` where one lies beside the weights, else None.
        folder: the folder in which tokenizer files may lie.
        report: one entry for each key of the source.
    """

    tensors: Mapping[str, NDArray[np.generic]]
    config: Mapping[str, Any] | None = None
    folder: Path | None = None
    report: tuple[KeyReport, ...] = field(default_factory=tuple)


class WeightConverter(ABC):
    """Base of all converters; an instance is registered by ``bertcore_register_converters``.

    Class attributes:
        name: as in ``bertcore convert --from NAME --to NAME``.
        description: one line.
        suffixes: which destinations are written in this layout when no ``--to`` is given: suffixes of files, and the
            empty string for a folder.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def recognizes(self, path: Path) -> bool:
        """Whether the file or folder looks like this layout; reads no more than it must, and never raises."""

    @abstractmethod
    def read(self, path: Path) -> WeightSet:
        """Reads the weights under canonical names.

        Raises:
            ModelError: the file is missing, damaged, refused, or holds a key that no rule knows.
        """

    @abstractmethod
    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes the weights, complete or not at all, and reports what became of each canonical key.

        Raises:
            OutputError: the destination cannot be written.
        """
