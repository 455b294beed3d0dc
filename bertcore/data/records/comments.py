"""What a person wants to know of an encoded row: its tokens, where they stand in the texts, and the names of labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.head import Head
from bertcore.contracts.record_format import FeatureRecord
from bertcore.contracts.tokenizer import Tokenizer

# Rows whose texts are tokenized once more at a time.
CHUNK = 512


def commented(
    records: Iterable[FeatureRecord],
    batch: Batch,
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    head: Head,
    first_example: int = 0,
) -> Iterator[FeatureRecord]:
    """Yields records with comments:

    - ``example``: the identifier;
    - ``tokens``: as the vocabulary has them;
    - ``offsets``: for each token the text field, its first character there and the one behind its last (of its word,
      where the task tokenizes word by word); null for special tokens, and where the tokens are not found in the text;
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
    for start in range(0, len(batch), CHUNK):
        part = batch.select(np.arange(start, min(start + CHUNK, len(batch))))
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
    names = head.labels
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


@dataclass(frozen=True)
class _Reading:
    """One way to tokenize a text: the tokens and the characters that they stand for."""

    ids: NDArray[np.int32]
    starts: list[int]
    ends: list[int]


def _token_offsets(batch: Batch, examples: Sequence[Example], tokenizer: Tokenizer) -> list[list[Any]]:
    """For each row and token ``[field, start, end]``, or None.

    What stands between the special tokens of a row is looked for in the texts of its example: tokenized as a whole,
    character by character, or word by word.
    """
    texts = list(dict.fromkeys(text for example in examples for text in example.texts.values()))
    number = {text: index for index, text in enumerate(texts)}
    whole = tokenizer.encode_with_offsets(texts)
    special = {token for tokens in tokenizer.special_ids for token in tokens}
    rows: list[list[Any]] = []
    begins: dict[int, int] = {}
    for row, example in enumerate(examples):
        ids = batch.input_ids[batch.offsets[row] : batch.offsets[row + 1]]
        # A window of a long text begins behind the beginning of the one before it.
        if row == 0 or batch.example_index[row] != batch.example_index[row - 1]:
            begins = {}
        places: list[Any] = [None] * len(ids)
        runs = _runs(ids, special)
        used = 0
        for run in runs:
            for index, (field, content) in enumerate(list(example.texts.items())[used:], used):
                part = slice(whole.offsets[number[content]], whole.offsets[number[content] + 1])
                first = _Reading(whole.input_ids[part], whole.starts[part].tolist(), whole.ends[part].tolist())
                # Only the last text is laid under windows; those before it are repeated in each.
                start = begins.get(index, -1) + 1 if index == len(example.texts) - 1 else 0
                found = _find(chain([first], _other_readings(content, tokenizer)), ids[run], start)
                if found is not None:
                    reading, at = found
                    there = slice(at, at + run.stop - run.start)
                    spans = zip(reading.starts[there], reading.ends[there], strict=True)
                    places[run] = [[field, start, end] for start, end in spans]
                    begins[index] = at
                    used = index + 1
                    break
        rows.append(places)
    return rows


def _other_readings(text: str, tokenizer: Tokenizer) -> Iterator[_Reading]:
    """The text tokenized character by character, and word by word."""
    for pattern in (r"(?s).", r"\S+"):
        places = [match.span() for match in re.finditer(pattern, text)]
        units = tokenizer.encode_units([text[start:end] for start, end in places])
        yield _Reading(
            np.array([token for unit in units for token in unit], dtype=np.int32),
            [place[0] for place, unit in zip(places, units, strict=True) for _ in unit],
            [place[1] for place, unit in zip(places, units, strict=True) for _ in unit],
        )


def _runs(ids: NDArray[np.int32], special: set[int]) -> list[slice]:
    """The stretches of a row that hold no special token."""
    plain = np.concatenate([[False], ~np.isin(ids, list(special)), [False]])
    borders = np.flatnonzero(plain[1:] != plain[:-1])
    return [slice(int(start), int(end)) for start, end in zip(borders[::2], borders[1::2], strict=True)]


def _find(readings: Iterable[_Reading], part: NDArray[np.int32], start: int) -> tuple[_Reading, int] | None:
    """The first reading of a text in which the tokens stand, and where, not before ``start``."""
    for reading in readings:
        if start + len(part) <= len(reading.ids):
            windows = np.lib.stride_tricks.sliding_window_view(reading.ids[start:], len(part))
            places = np.flatnonzero((windows == part).all(axis=1))
            if len(places):
                return reading, int(places[0]) + start
    return None
