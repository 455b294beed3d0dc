"""From examples to rows of tokens: a split whole, or window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bertcore
from bertcore.config import OPTIONS_BESIDE_ROWS, DataConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import TRAINING_SPLIT, Example, Split
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding, Task
from bertcore.data.encoding_cache import cache_file, read_encoding, write_encoding
from bertcore.errors import DataError, Origin
from bertcore.progress import about
from bertcore.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class EncodedSplit:
    """Examples that are held, with their rows: a split, or a window of one."""

    examples: Split
    encoding: Encoding

    @property
    def name(self) -> str:
        """Of the split."""
        return self.examples.name

    @property
    def batch(self) -> Batch:
        """All rows."""
        return self.encoding.batch

    def describe(self) -> str:
        """Size and truncation in words, for the header."""
        cut = f", {len(self.encoding.truncated)} truncated" if len(self.encoding.truncated) else ""
        words = self.examples.words
        part = f" ({words})" if words and self.name != TRAINING_SPLIT else ""
        return f"{self.name} {len(self.examples)}{part}{cut}"


@dataclass(frozen=True)
class Encoder:
    """Encodes examples, all alike.

    Attributes:
        task: makes rows of examples.
        options: the data options; ``data.cache`` says whether encodings are kept on disk.
        tokenizer: of the model.
        head: determines the columns.
        max_length: tokens of the longest row.
        note: told what the user should read.
    """

    task: Task
    options: DataConfig
    tokenizer: Tokenizer
    head: Head
    max_length: int
    note: Callable[[str], None] = lambda text: None

    def whole(self, split: Split, *, labeled: bool = True) -> EncodedSplit:
        """Encodes a split that is held as a whole.

        Args:
            split: its examples.
            labeled: whether each must carry a label.

        Raises:
            UsageError: the split is a stream, which cannot be held.
            DataError: an example has no label and must have one, or records do not fit tokenizer, head or length.
        """
        unlabeled = next((example for example in split if example.label is None), None)
        if labeled and unlabeled is not None:
            raise DataError(
                f"no label, and the split {split.name} cannot be scored without",
                "bertcore predict writes predictions for texts without labels",
                origin=unlabeled.origin or Origin(split.name),
                code="labels-missing",
            )
        with about(split.name):
            encoding = split.encode(self)
        for text in encoding.notes:
            self.note(f"{split.name}: {text}")
        return EncodedSplit(split, encoding)

    def windows(self, split: Split) -> Iterator[EncodedSplit]:
        """Encodes a split part by part: a stream in windows of ``data.stream_window`` examples, any other whole."""
        for window in split.windows(self.options.stream_window):
            yield EncodedSplit(window, window.encode(self))

    def encode_examples(self, examples: Sequence[Example], files: Sequence[Path]) -> Encoding:
        """The rows of examples, from the cache where nothing that determines them has changed.

        Args:
            examples: with or without labels.
            files: whose examples these all are; without files nothing is cached.
        """
        if not (self.options.cache and files):
            return self._encode(examples)
        file = cache_file(files, self._determinants(examples))
        if file.is_file():
            kept = read_encoding(file)
            if kept is not None:
                return kept
            self.note(f"{file} is damaged and is made anew")
        encoding = self._encode(examples)
        problem = write_encoding(file, encoding)
        if problem is not None:
            self.note(f"the encoded data is not cached: {problem}")
        return encoding

    def _encode(self, examples: Sequence[Example]) -> Encoding:
        return self.task.encode(examples, self.tokenizer, self.head, self.max_length, self.options)

    def _determinants(self, examples: Sequence[Example]) -> dict[str, Any]:
        """All that the rows depend on beside the content of the files."""
        # Rather too much than too little: what is missing here makes a run train on rows of other options, silently.
        # A part of a split, as data.dev_fraction makes it, names no files and is never kept.
        return {
            "bertcore": bertcore.__version__,
            "task": [self.task.name, type(self.task).__module__, self.task.encoding_version],
            "examples": len(examples),
            "labeled": any(example.label is not None for example in examples),
            "tokenizer": self.tokenizer.fingerprint,
            "head": repr(self.head),
            "data": self.options.model_dump(exclude=set(OPTIONS_BESIDE_ROWS)),
            "max_length": self.max_length,
        }
