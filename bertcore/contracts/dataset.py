"""What a task reads: examples, the splits that they form, held or as a stream, and the source that has the splits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from bertcore.errors import Origin, UsageError
from bertcore.files.reading import without_collections

TRAINING_SPLIT = "train"
"""Name of the split that is trained on; a task names the one that is evaluated."""

if TYPE_CHECKING:
    from bertcore.contracts.batch import Batch
    from bertcore.contracts.head import Head
    from bertcore.contracts.task import Encoding
    from bertcore.contracts.tokenizer import Tokenizer


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
class LeftOut:
    """What stands in a file as an example and is none of the split.

    Attributes:
        identifier: as that of an example; empty where what stands there has none.
        origin: where it stands, or None where that is not known.
        reason: why, as ``the annotators did not agree``.
    """

    identifier: str
    origin: Origin | None
    reason: str

    def shown(self) -> LeftOut:
        """The same, with its place as the user knows it; see :meth:`bertcore.errors.Origin.shown`."""
        return self if self.origin is None else replace(self, origin=self.origin.shown())


class ExampleEncoder(Protocol):
    """What turns examples into rows, and what it does so with."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the model."""

    @property
    def head(self) -> Head:
        """That reads the rows."""

    @property
    def max_length(self) -> int:
        """Tokens of the longest row allowed."""

    def encode_examples(self, examples: Sequence[Example], files: Sequence[Path]) -> Encoding:
        """The rows of all examples of these files; without files, of any examples."""


class ReadyRows(ABC):
    """Rows that lie there already, as in record files, and need not be made of the examples."""

    @property
    @abstractmethod
    def batch(self) -> Batch:
        """All rows.

        Raises:
            DataError: they cannot be read.
        """

    @abstractmethod
    def encoding(self, tokenizer: Tokenizer, head: Head, max_length: int) -> Encoding:
        """The rows as the task's ``encode`` would give them.

        Raises:
            DataError: it would give others, for this tokenizer, head and length.
        """


@dataclass(frozen=True)
class Split(Sequence[Example]):
    """What reading a split gives: the sequence of its examples, and what is to be known about them.

    A task makes it of examples, ``Split(examples, notes)``. What is too large or too endless to be held is a stream,
    ``Split(stream=open_it)``: its examples come in windows alone, and it can be trained on and nothing else.

    Attributes:
        held: the examples that are held: all of them, or none of a stream. They are read through the split itself.
        notes: what reading repaired, chose or left out, in words and numbers, for the user to read.
        left_out: what stands in the files as an example and is none here.
        stream: opens the examples anew, in a fixed order; None where they are held.
        rows: that lie there already; None where the task encodes the examples.
        part: of which other split this one is a part, if it is.
        name: of the split; :meth:`Dataset.split` says it.
        files: all of whose examples these are; :meth:`Dataset.split` says them, and a part of them has none.
    """

    held: Sequence[Example] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    stream: Callable[[], Iterator[Example]] | None = field(default=None, compare=False)
    rows: ReadyRows | None = field(default=None, compare=False)
    part: Part | None = field(default=None, compare=False, repr=False)
    name: str = ""
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self._whole())

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        return self._whole()[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self._whole())

    @property
    def is_stream(self) -> bool:
        """Whether the examples come in windows alone."""
        return self.stream is not None

    @property
    def words(self) -> str:
        """Which part of another split this is, for a header; empty where it is none."""
        return "" if self.part is None else self.part.words

    def windows(self, size: int) -> Iterator[Split]:
        """Yields all examples in order: those of a stream in windows of at most ``size``, all others as one."""
        if self.stream is None:
            yield self
            return
        waiting = self.stream()
        while window := list(islice(waiting, size)):
            yield replace(self, held=window, stream=None, files=())

    def without_labels(self) -> Split:
        """The same examples, as if nobody knew their labels."""
        return replace(
            self,
            held=[replace(example, label=None) for example in self],
            part=None if self.part is None else replace(self.part, whole=self.part.whole.without_labels()),
        )

    def take(self, chosen: NDArray[np.int64], words: str) -> Split:
        """A part of the split.

        Args:
            chosen: int64, indices of its examples, rising.
            words: what part it is, for a header.
        """
        part = Part(self, chosen, words)
        return replace(self, held=[self[place] for place in chosen.tolist()], part=part, rows=None, files=())

    def encode(self, encoder: ExampleEncoder) -> Encoding:
        """The rows of all examples.

        Raises:
            UsageError: the split is a stream; its windows can be encoded.
            DataError: an example cannot be encoded, or rows that lie there do not fit.
        """
        if self.rows is not None:
            return self.rows.encoding(encoder.tokenizer, encoder.head, encoder.max_length)
        if self.part is not None:
            return self.part.rows_of(self.part.whole.encode(encoder))
        return encoder.encode_examples(self._whole(), self.files)

    def _whole(self) -> Sequence[Example]:
        if self.stream is not None:
            raise UsageError(
                f"the split {self.name} is a stream, which can only be trained on",
                "name a sized split",
                code="split-endless",
            )
        return self.held


@dataclass(frozen=True)
class Part:
    """Which examples of another split a part holds.

    The whole is encoded and not the part, so that what is kept of an encoding holds for every part of a file.

    Attributes:
        whole: the other split.
        chosen: int64, indices of its examples that belong to the part, rising.
        words: what part it is, for a header.
    """

    whole: Split
    chosen: NDArray[np.int64]
    words: str

    def rows_of(self, encoding: Encoding) -> Encoding:
        """Of the rows of the whole those of the part, whose ``example_index`` counts its own examples."""
        # example_index of the whole   0  0  1  2  2  3     and 1 and 2 are chosen:
        # its place in the part       -1 -1  0  1  1 -1     the rows at 0 and above stay
        batch = encoding.batch
        places = np.full(len(self.whole), -1, dtype=np.int64)
        places[self.chosen] = np.arange(len(self.chosen))
        of_rows = places[batch.example_index]
        own = replace(
            batch.select(np.flatnonzero(of_rows >= 0)),
            example_index=of_rows[of_rows >= 0].astype(batch.example_index.dtype),
        )
        truncated = places[encoding.truncated]
        return replace(encoding, batch=own, truncated=truncated[truncated >= 0])


@dataclass(frozen=True)
class Dataset:
    """The splits of one data source, each read when it is asked for. Reading changes nothing: it gives values.

    Attributes:
        files: name of each split to the files that it is read from.
        read: reads a split by name; twice gives equal splits.
        labels: the label names, in the order of their ids; empty for a regression.
        discovered: whether the labels were read from these files; a trained model's own then take their place.
        notes: what is to be said of the source as a whole; what reading a split says are the split's own.
        options: values of data options that the user left open and the files decided. A run keeps them, so that other
            data and ``bertcore predict`` are read in the same way.
    """

    files: Mapping[str, tuple[Path, ...]]
    read: Callable[[str], Split]
    labels: tuple[str, ...] = ()
    discovered: bool = False
    notes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """Reads a split.

        Raises:
            UsageError: there is no such split.
            DataError: a file is missing or wrong, with its line and field.
        """
        if name not in self.files:
            known = ", ".join(self.files) or "no split"
            raise UsageError(f"there is no split {name!r}", f"this data has {known}", code="name-unknown")
        with without_collections():
            split = self.read(name)
        return replace(split, name=name, files=self.files[name] if split.part is None else ())
