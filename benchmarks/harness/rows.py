"""Encoded rows as every worker reads them: flat arrays in one file. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Rows of tokens without padding.

    Attributes:
        offsets: int64 ``[rows + 1]``; row i holds the tokens ``offsets[i]:offsets[i + 1]``.
        input_ids: int32 ``[tokens]``.
        token_type_ids: int32 ``[tokens]``.
        labels: int64 ``[rows]``.
    """

    offsets: np.ndarray
    input_ids: np.ndarray
    token_type_ids: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 ``[rows]``."""
        return np.diff(self.offsets)

    def of(self, name: str, row: int) -> list[int]:
        """One row of ``input_ids`` or ``token_type_ids``."""
        values: list[int] = getattr(self, name)[self.offsets[row] : self.offsets[row + 1]].tolist()
        return values

    def padded(self, chosen: Sequence[int], length: int | None = None) -> dict[str, np.ndarray]:
        """The usual form: int64 ``[rows, length]``, by default as long as the longest of them."""
        length = length or int(self.lengths[list(chosen)].max())
        arrays = {
            name: np.zeros((len(chosen), length), dtype=np.int64)
            for name in ("input_ids", "token_type_ids", "attention_mask")
        }
        for place, row in enumerate(chosen):
            count = int(self.lengths[row])
            arrays["input_ids"][place, :count] = self.of("input_ids", row)
            arrays["token_type_ids"][place, :count] = self.of("token_type_ids", row)
            arrays["attention_mask"][place, :count] = 1
        return arrays

    def write(self, file: Path) -> None:
        """Writes all arrays."""
        np.savez(file, **vars(self))


def read(file: str | Path) -> Rows:
    """Reads what :meth:`Rows.write` wrote."""
    with np.load(file) as arrays:
        found: dict[str, Any] = {name: arrays[name] for name in arrays.files}
    return Rows(**found)
