"""What the reader of an export gives: plain records, what is to be said of them, and what is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcore.contracts.dataset import LeftOut
from bertcore.data.tables import Record


@dataclass(frozen=True)
class PlainRecords:
    """Records as any program writes them.

    Attributes:
        records: fields by name, and where they stand; ``label`` holds what was annotated.
        notes: what was chosen or left out, in words and numbers.
        left_out: the texts that are left out.
    """

    records: Sequence[Record]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
