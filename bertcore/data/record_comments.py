"""What a person wants to know of an encoded row: its tokens, where they stand in the texts, and the names of labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.batch import Batch
from bertcore.data.records import Record
from bertcore.data.tokenizer import Tokenizer
from bertcore.heads import Head
from bertcore.task import Example

# Rows whose texts are tokenized once more at a time.
_CHUNK = 512


def commented(
    records: Iterable[Record],
    batch: Batch,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    head: Head,
    first_example: int = 0,
) -> Iterator[Record]:
    """Yields records with comments:

    - ``example``: the identifier;
    - ``tokens``: as the vocabulary has them;
    - ``offsets``: for each token the text field, its first character there and the one behind its last; null for
      special tokens, and where the task tokenizes a text in a way of its own;
    - ``labels``: the name of the row's label, or one for each token, null where none stands.

    Args:
        records: of the rows of ``batch``, without padding.
        batch: the rows.
        examples: that the rows come from.
        tokenizer: of the model.
        head: that reads the labels.
        first_example: number that ``example_index`` counts from.
    """
    waiting = iter(records)
    for start in range(0, len(batch), _CHUNK):
        part = batch.select(np.arange(start, min(start + _CHUNK, len(batch))))
        chosen = [examples[index] for index in (part.example_index - first_example).tolist()]
        offsets = _token_offsets(part, chosen, tokenizer)
        for row, example in enumerate(chosen):
            ids = part.input_ids[part.offsets[row] : part.offsets[row + 1]].tolist()
            comments: dict[str, Any] = {
                "example": example.identifier,
                "tokens": tokenizer.tokens(ids),
                "offsets": offsets[row],
            }
            names = _label_names(part, row, head)
            if names is not None:
                comments["labels"] = names
            yield replace(next(waiting), comments=comments)


def _label_names(batch: Batch, row: int, head: Head) -> Any:
    names = getattr(head, "labels", ())
    column = batch.columns.get(head.label_column)
    if column is None or not names or not np.issubdtype(column.values.dtype, np.integer):
        return None
    if column.per == "row" and column.values.ndim == 1:
        return _name(names, int(column.values[row]))
    if column.per == "label" and batch.label_offsets is not None and batch.label_positions is not None:
        place = slice(batch.label_offsets[row], batch.label_offsets[row + 1])
        tokens: list[str | None] = [None] * int(batch.lengths[row])
        for position, value in zip(batch.label_positions[place].tolist(), column.values[place].tolist(), strict=True):
            tokens[position] = _name(names, value)
        return tokens
    return None


def _name(names: Sequence[str], index: int) -> str | None:
    return names[index] if 0 <= index < len(names) else None


def _token_offsets(batch: Batch, examples: Sequence[Example], tokenizer: Tokenizer) -> list[list[Any]]:
    """For each row and token ``[field, start, end]``, or None.

    The texts are tokenized once more as a whole, and what stands between special tokens of a row is looked for there.
    """
    texts = [text for example in examples for text in example.texts.values()]
    found = tokenizer.encode_with_offsets(texts)
    special = {token for tokens in tokenizer.special_ids for token in tokens}
    rows: list[list[Any]] = []
    begins: dict[int, int] = {}
    text = 0
    for row, example in enumerate(examples):
        ids = batch.input_ids[batch.offsets[row] : batch.offsets[row + 1]]
        # A window of a long text begins behind the beginning of the one before it.
        if row == 0 or batch.example_index[row] != batch.example_index[row - 1]:
            begins = {}
        places: list[Any] = [None] * len(ids)
        runs = _runs(ids, special)
        fields = list(example.texts)
        used = 0
        for run in runs:
            for index in range(used, len(fields)):
                part = slice(found.offsets[text + index], found.offsets[text + index + 1])
                whole = found.input_ids[part]
                at = _find(whole, ids[run], begins.get(index, -1) + 1 if len(runs) == index + 1 else 0)
                if at is None:
                    continue
                starts, ends = found.starts[part], found.ends[part]
                for token in range(run.stop - run.start):
                    places[run.start + token] = [fields[index], int(starts[at + token]), int(ends[at + token])]
                begins[index] = at
                used = index + 1
                break
        rows.append(places)
        text += len(fields)
    return rows


def _runs(ids: NDArray[np.int32], special: set[int]) -> list[slice]:
    """The stretches of a row that hold no special token."""
    plain = np.concatenate([[False], ~np.isin(ids, list(special)), [False]])
    borders = np.flatnonzero(plain[1:] != plain[:-1])
    return [slice(int(start), int(end)) for start, end in zip(borders[::2], borders[1::2], strict=True)]


def _find(whole: NDArray[np.int32], part: NDArray[np.int32], start: int) -> int | None:
    """Where ``part`` stands in ``whole``, not before ``start``."""
    if start + len(part) > len(whole):
        return None
    windows = np.lib.stride_tricks.sliding_window_view(whole[start:], len(part))
    at = np.flatnonzero((windows == part).all(axis=1))
    return int(at[0]) + start if len(at) else None
