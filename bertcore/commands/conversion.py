"""A conversion of weights: what is wanted of it, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertcore.contracts.converter import MADE
from bertcore.errors import printable
from bertcore.weights.verification import Verification


@dataclass(frozen=True)
class Conversion:
    """What shall be converted, and how.

    Attributes:
        source: folder or file, or what the files of a TensorFlow checkpoint begin with.
        destination: folder, or file with the suffix of a layout.
        from_name: the converter that reads; by default the one that recognizes the source.
        to_name: the converter that writes; by default the one that writes such a folder or suffix.
        config: the model's ``config.json``; by default the one in the source's folder.
        force: replace a destination that exists.
        verify: compute the model from the source and from what was written, before that takes its place, and compare.
        keep_unknown: write also what no model has, under the names of the source.
    """

    source: Path
    destination: Path
    from_name: str | None = None
    to_name: str | None = None
    config: Path | None = None
    force: bool = False
    verify: bool = False
    keep_unknown: bool = False


@dataclass(frozen=True)
class ConvertedKey:
    """What became of one key.

    Attributes:
        source: key in the source.
        canonical: its canonical name, None where it was skipped.
        target: key in the destination, None where it was skipped.
        action: what was done, with the reason where it was skipped.
    """

    source: str
    canonical: str | None
    target: str | None
    action: str


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Attributes:
        source: what was read.
        destination: what was written.
        from_name: name of the converter that read.
        to_name: name of the converter that wrote.
        keys: every key of the source and of the destination.
        files: names of the files that were written.
        verification: what it was proved by, if that was asked for.
        notes: what had to be guessed, and where the tokenizer's files disagree.
    """

    source: Path
    destination: Path
    from_name: str
    to_name: str
    keys: tuple[ConvertedKey, ...]
    files: tuple[str, ...]
    verification: Verification | None = None
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of keys read, written and skipped."""
        return {
            "read": len({key.source for key in self.keys} - {MADE}),
            "written": len({key.target for key in self.keys if key.target is not None}),
            "skipped": len({key.source for key in self.keys if key.target is None}),
        }

    @property
    def summary(self) -> str:
        """One line for people."""
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return f"{self.source} ({self.from_name}) -> {self.destination} ({self.to_name}): {counts}"

    def table(self) -> str:
        """One line for each key, in columns."""
        rows: list[tuple[str, ...]] = [("source", "canonical", "target", "action")]
        shown = [(key.source, key.canonical or "-", key.target or "-", key.action) for key in self.keys]
        rows += [tuple(printable(cell, 300) for cell in row) for row in shown]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )
