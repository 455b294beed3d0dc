"""Windows over contexts that are longer than a row, as in google-research/bert's ``run_squad.py``.

Windows begin every ``doc_stride`` tokens of the context, and the last one is the first that reaches its end. With room
for 6 tokens and a ``doc_stride`` of 3::

    context   t0 t1 t2 t3 t4 t5 t6 t7 t8 t9
    row 0     T0 T1 T2 T3 T4 t5
    row 1              t3 t4 T5 T6 T7 t8
    row 2                       t6 t7 T8 T9

A capital marks ``max_context``: of the rows that hold the token, the one that shows most of what stands around it. An
answer may begin with a token there and nowhere else. The answer t4 to t6 is whole in row 1 alone; the other two rows
are trained to point at ``[CLS]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOST = -1
"""Position of an answer that is not in the context: such rows take no part in the loss."""

NO_ANSWER, UNSEEN_ANSWER = -1, -2
"""The first and the last token of an answer that there is not, and of one that no token stands for."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Windows over the contexts of examples, example by example; each becomes a row.

    Attributes:
        example: int64 ``[windows]``, whose context it shows.
        start: int64 ``[windows]``, its first token in the context.
        length: int64 ``[windows]``, its number of tokens.
    """

    example: Integers
    start: Integers
    length: Integers

    def __len__(self) -> int:
        return len(self.example)


def lay_windows(lengths: Integers, room: Integers, doc_stride: int) -> Windows:
    """Lays windows over contexts.

    Args:
        lengths: int64 ``[examples]``, tokens of each context.
        room: int64 ``[examples]``, tokens of a context that a row has room for.
        doc_stride: tokens between the beginnings of two windows; where there is less room, the room.
    """
    step = np.minimum(doc_stride, room)
    counts = 1 + np.maximum(0, -(-(lengths - room) // step))  # rounded up
    example = np.repeat(np.arange(len(lengths), dtype=np.int64), counts)
    start = within_each(counts) * step[example]
    return Windows(example, start, np.minimum(room[example], lengths[example] - start))


def max_context(windows: Windows) -> NDArray[np.bool_]:
    """For each token of each window, whether no other window shows more on its narrower side.

    Of windows that show the same, the longer one, then the first one is chosen; so each token is chosen once.
    """
    flags = np.ones(int(windows.length.sum()), dtype=np.bool_)
    several = np.bincount(windows.example, minlength=1)[windows.example] > 1
    if not several.any():
        return flags
    candidates = np.flatnonzero(np.repeat(several, windows.length))
    start, length, example = windows.start[several], windows.length[several], windows.example[several]
    within = within_each(length)
    width = np.repeat(length, length)
    shown = 100 * np.minimum(within, width - 1 - within) + width  # the length decides by a hundredth, as in run_squad
    token = np.repeat(start, length) + within
    order = np.lexsort((-shown, token, np.repeat(example, length)))  # stable: the first window of equals
    keys = np.stack([np.repeat(example, length), token])[:, order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    flags[candidates[order[~first]]] = False
    return flags


def answer_positions(
    answers: Integers, windows: Windows, first_token: Integers
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last position of the answers in their rows: 0, which is ``[CLS]``, where a window lacks a part of one.

    Args:
        answers: int64 ``[examples, 2]``, first and last token in the context, or ``NO_ANSWER`` or ``UNSEEN_ANSWER``.
        windows: of the examples.
        first_token: int64 ``[windows]``, position of the window's first token in its row.

    Returns:
        Both int32 ``[windows]``; ``LOST`` for an answer that no token stands for.
    """
    first, last = answers[windows.example].T
    inside = (first >= windows.start) & (last < windows.start + windows.length) & (first >= 0)
    elsewhere = np.where(first == UNSEEN_ANSWER, LOST, 0)
    starts, ends = (np.where(inside, first_token + token - windows.start, elsewhere) for token in (first, last))
    return starts.astype(np.int32), ends.astype(np.int32)


def within_each(counts: Integers) -> Integers:
    """The numbers from 0 on for each count, one after the other: 0 1 2, 0 1 for 3 and 2."""
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
