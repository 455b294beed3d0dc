"""Which examples the rows of a step are made of: for the user, where a step goes wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from bertcore.contracts.backend import Session
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.training_step import DeviceMemoryError
from bertcore.data.encoder import Encoder

_SHOWN = 40


def numbered_windows(encoder: Encoder, split: Split) -> Iterator[Batch]:
    """The rows of a stream in windows, whose ``example_index`` counts the examples of the whole stream."""
    before = 0
    for window in encoder.windows(split):
        yield replace(window.batch, example_index=window.batch.example_index + before)
        before += len(window.examples)


def describe_rows(batches: Sequence[Batch], split: Split, session: Session) -> str:
    """Says where the rows of a step stand, and which of them alone have a loss that is not finite.

    Args:
        batches: those of the step; their ``example_index`` counts the examples of the split.
        split: the training examples, also a stream, which is read again.
        session: which computes the losses.
    """
    numbers = sorted({int(number) for batch in batches for number in batch.example_index})
    places = dict(zip(numbers, _examples_at(numbers, split), strict=True))
    text = f"its examples: {_places(list(places.values()))}"
    wrong = sorted({number for batch in batches for number in _without_finite_loss(batch, session)})
    if 0 < len(wrong) < len(numbers):
        text += f"; alone without a finite loss: {_places([places[number] for number in wrong])}"
    return text


def _examples_at(numbers: Sequence[int], split: Split) -> Iterator[Example]:
    wanted, first = iter(numbers), 0
    number = next(wanted, None)
    for window in split.windows(1000):
        while number is not None and number < first + len(window):
            yield window[number - first]
            number = next(wanted, None)
        if number is None:
            return
        first += len(window)


def _without_finite_loss(batch: Batch, session: Session) -> list[int]:
    if not len(batch):
        return []
    try:
        losses = session.predict(batch, ["loss"])["loss"]
    except DeviceMemoryError:
        return []
    return [int(batch.example_index[row]) for row, loss in enumerate(losses.tolist()) if not math.isfinite(loss)]


def _places(examples: Sequence[Example]) -> str:
    """As ``train.tsv: line 3, 7, 12``: the lines of each file, or what else names the examples."""
    shown = [_place(example) for example in examples[:_SHOWN]]
    of_files = (f"{prefix}{', '.join(name for _, name in members)}" for prefix, members in groupby(shown, _prefix))
    more = len(examples) - len(shown)
    return "; ".join(of_files) + (f" and {more} more" if more else "")


def _prefix(place: tuple[str, str]) -> str:
    return place[0]


def _place(example: Example) -> tuple[str, str]:
    """What neighbours have in common, and what names this one."""
    place = None if example.origin is None else example.origin.shown()
    if place is None:
        return "", example.identifier
    if place.line is not None:
        return f"{place.file}: line ", str(place.line)
    if place.row is not None:
        return f"{place.file}: row ", str(place.row)
    return f"{place.file}: ", place.part or example.identifier
