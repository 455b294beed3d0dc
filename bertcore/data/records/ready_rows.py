"""The rows of a split as they lie in record files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import ReadyRows
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.data.records.description import CONVERT_ANEW, FolderDescription
from bertcore.data.records.reading import RecordedRows
from bertcore.errors import DataError, Origin


class RowsOfRecords(ReadyRows):
    """All rows of a split, read when they are first asked for.

    Args:
        read: reads the rows.
        file: of the records, for errors.
        description: of the folder.
        truncated: indices of the examples of which something was cut.
        notes: of the encoding.
    """

    def __init__(
        self,
        read: Callable[[], RecordedRows],
        file: Path,
        description: FolderDescription,
        truncated: Sequence[int] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self._read = read
        self._file = file
        self._description = description
        self._truncated = truncated
        self._notes = notes

    @cached_property
    def _rows(self) -> RecordedRows:
        return self._read()

    @property
    def batch(self) -> Batch:
        """All rows."""
        return self._rows.batch

    def encoding(self, tokenizer: Tokenizer, head: Head, max_length: int) -> Encoding:
        """Returns the rows as the task's ``encode`` would, and checks that it would give the same.

        Args:
            tokenizer: of the model.
            head: that reads the rows.
            max_length: tokens of the longest row allowed.

        Raises:
            DataError: they were made with another tokenizer or for another head, a row is too long, or a token, a
                segment, a label or the end of an answer is none; names the record.
        """
        made, file = self._description, self._file
        if made.tokenizer and made.tokenizer != tokenizer.fingerprint:
            raise DataError(
                "the records were made with another tokenizer than the model's",
                CONVERT_ANEW,
                origin=Origin(str(file)),
                code="records-stale",
            )
        if made.head and made.head != head.name:
            raise DataError(
                f"the records are for the head {made.head}, and this is {head.name}",
                CONVERT_ANEW,
                origin=Origin(str(file)),
                code="records-stale",
            )
        if head.labels != made.head_labels:
            raise DataError(
                f"the labels of the records are {', '.join(made.head_labels)}; wanted are {', '.join(head.labels)}",
                f"{CONVERT_ANEW}, with the same model and options of the head",
                origin=Origin(str(file)),
                code="records-stale",
            )
        batch, numbers = self._rows.batch, self._rows.numbers
        if len(batch) and int(batch.lengths.max()) > max_length:
            row = int(np.argmax(batch.lengths > max_length))
            raise DataError(
                f"{batch.lengths[row]} tokens, and at most {max_length} are allowed",
                f"convert the data anew with --set data.max_length={max_length}",
                origin=Origin(str(file), part=f"record {numbers[row]}"),
                code="record-out-of-range",
            )
        bounds = (
            (
                "token",
                batch.input_ids,
                tokenizer.vocab_size,
                "give the model whose tokenizer the records were made with",
            ),
            ("segment", batch.token_type_ids, tokenizer.segment_count, "write 0 for the first text, 1 for the second"),
        )
        for kind, ids, count, remedy in bounds:
            beyond = ids >= count
            if beyond.any():
                place = int(np.argmax(beyond))
                row = int(np.searchsorted(batch.offsets, place, side="right")) - 1
                raise DataError(
                    f"the {kind} {ids[place]} is beyond the model's {count} {kind}s",
                    remedy,
                    origin=Origin(str(file), part=f"record {numbers[row]}"),
                    code="record-out-of-range",
                )
        self._check_labels(head)
        return Encoding(batch, np.asarray(self._truncated, dtype=np.int64), self._notes)

    def _check_labels(self, head: Head) -> None:
        # Not every format has checksums, and a loss may take any number for a label.
        found = head.find_problem(self.batch)
        if found is not None:
            raise DataError(
                found.problem,
                CONVERT_ANEW,
                origin=Origin(str(self._file), part=f"record {self._rows.numbers[found.row]}"),
                code="record-out-of-range",
            )
