"""What a task reads: examples, held whole or as a stream, and the splits of one data source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertcore.errors import Origin, UsageError


@dataclass(frozen=True)
class Example:
    """One thing to judge.

    Attributes:
        identifier: as the official files name it.
        texts: name of each text field to its text, in the order in which the model reads them.
        label: what the task makes of it, or None where the file has none.
        origin: where it stands, shown as ``RTE/dev.tsv:17``; None where nobody knows.
    """

    identifier: str
    texts: Mapping[str, str]
    label: Any = None
    origin: Origin | None = None


@dataclass(frozen=True)
class ExampleStream:
    """A split that is too large, or too endless, to be held: examples in a fixed order, opened anew for each epoch.

    The engine reads it in windows, shuffles inside a window, and needs ``train.max_steps``.
    """

    open: Callable[[], Iterator[Example]]


Split = Sequence[Example] | ExampleStream


@dataclass(frozen=True)
class Dataset:
    """The splits of one data source, each read when it is first asked for.

    Attributes:
        files: name of each split to the files that it is read from.
        read: reads a split by name.
        labels: the label names, in the order of their ids; empty for a regression.
        discovered: whether the labels were read from these files; a trained model's own then take their place.
        notes: what reading left out or repaired, with its count; ``read`` adds to it, the engine shows it to the user.
        options: values of data options that the user left open and the files decided. A run keeps them, so that other
            data and ``bertcore predict`` are read in the same way.
    """

    files: Mapping[str, tuple[Path, ...]]
    read: Callable[[str], Split]
    labels: tuple[str, ...] = ()
    discovered: bool = False
    notes: list[str] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """Reads a split.

        Raises:
            UsageError: there is no such split.
            DataError: a file is missing or wrong, with its line and field.
        """
        if name not in self.files:
            remedy = f"this data has {', '.join(self.files) or 'no split'}"
            raise UsageError(f"there is no split {name!r}", remedy, code="name-unknown")
        return self.read(name)
