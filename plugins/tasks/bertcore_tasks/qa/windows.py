"""Questions and contexts as rows of tokens: ``[CLS] question [SEP] window of the context [SEP]``.

As in google-research/bert's ``run_squad.py``: windows begin every ``doc_stride`` tokens of the context, the last one is
the first that reaches its end, and a window that does not hold the whole answer points at ``[CLS]``. Tokens are
mapped to characters by the tokenizer's own offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import TextTokens, Tokenizer
from bertcore.errors import UsageError
from numpy.typing import NDArray

from bertcore_tasks.qa.answers import Gold

LOST = -1
"""Position of an answer that is not in the context: such rows take no part in the loss."""


def encode_windows(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    max_length: int,
    doc_stride: int,
    max_question_length: int,
    max_answer_length: int,
) -> Encoding:
    """Encodes questions; each gives as many rows as its context has windows.

    Columns, beside ``start_positions`` and ``end_positions`` (int32 ``[rows]``, absent where no question is labeled):

    - ``character_start``, ``character_end``: int32 ``[tokens]``, first character of the token in the context and one
      past its last; -1 for the tokens of the question and special tokens.
    - ``max_context``: bool ``[tokens]``, true for a token of the context in the one window that shows most of what
      stands around it: there, an answer may begin with it.

    Args:
        examples: with the texts ``question`` and ``context``, and a :class:`~bertcore_tasks.qa.answers.Gold` or None.
        tokenizer: of the model.
        max_length: tokens of the longest row.
        doc_stride: tokens between the beginnings of two windows.
        max_question_length: tokens of the longest question; it takes at most half of a row.
        max_answer_length: tokens of the longest answer that decoding gives; the notes count answers that are longer.

    Raises:
        UsageError: ``max_length`` leaves no room for a question and a context.
    """
    template = tokenizer.pair_template()
    room = max_length - template.size
    if room < 2:
        raise UsageError(
            f"rows of {max_length} tokens have no room for a question and a context",
            "raise data.max_length",
            code="argument-wrong",
        )
    contexts = {text: index for index, text in enumerate(dict.fromkeys(e.texts["context"] for e in examples))}
    context_of = np.array([contexts[example.texts["context"]] for example in examples], dtype=np.int64)
    questions = tokenizer.encode_with_offsets([example.texts["question"] for example in examples])
    passages = tokenizer.encode_with_offsets(list(contexts))

    whole_questions = np.diff(questions.offsets)
    question_lengths = np.minimum(whole_questions, min(max_question_length, room // 2))
    context_lengths = np.diff(passages.offsets)[context_of]
    example_of, window_start, window_length = _windows(context_lengths, room - question_lengths, doc_stride)

    # All tokens there are, each once; a row is a sequence of ranges of them.
    special = np.array([*template.before, *template.between, *template.after], dtype=np.int32).reshape(-1, 2)
    tokens = np.concatenate([special[:, 0], questions.input_ids, passages.input_ids])
    types = np.repeat(np.array(template.segments, dtype=np.int32), [len(questions.input_ids), len(passages.input_ids)])
    outside = np.full(len(special) + len(questions.input_ids), -1, dtype=np.int32)
    first_question, first_context = len(special), len(special) + len(questions.input_ids)
    before, between, after = len(template.before), len(template.between), len(template.after)
    rows = len(example_of)
    starts = np.stack(
        [
            np.zeros(rows, dtype=np.int64),
            first_question + questions.offsets[example_of],
            np.full(rows, before),
            first_context + passages.offsets[context_of[example_of]] + window_start,
            np.full(rows, before + between),
        ],
        axis=1,
    )
    lengths = np.stack(
        [
            np.full(rows, before),
            question_lengths[example_of],
            np.full(rows, between),
            window_length,
            np.full(rows, after),
        ],
        axis=1,
    )
    chosen = _ranges(starts.reshape(-1), lengths.reshape(-1))
    offsets = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(lengths.sum(axis=1), out=offsets[1:])
    in_context = np.repeat(np.tile([False, False, False, True, False], rows), lengths.reshape(-1))
    max_context = np.zeros(len(chosen), dtype=np.bool_)
    max_context[in_context] = _max_context(example_of, window_start, window_length)
    columns = {
        "character_start": Column(np.concatenate([outside, passages.starts])[chosen], "token"),
        "character_end": Column(np.concatenate([outside, passages.ends])[chosen], "token"),
        "max_context": Column(max_context, "token"),
    }
    notes: list[str] = []
    if all(example.label is not None for example in examples):
        answers, unseen = _answer_tokens([example.label for example in examples], passages, context_of)
        first_token = before + question_lengths[example_of] + between
        positions = _positions(answers[example_of], window_start, window_length, first_token)
        for name, values in zip(("start_positions", "end_positions"), positions, strict=True):
            columns[name] = Column(values, "row", ignore=LOST)
        if unseen:
            notes.append(f"{unseen} answers have no token (white space or removed characters) and are not trained on")
        too_long = int((answers[:, 1] - answers[:, 0] >= max_answer_length).sum())
        if too_long:
            notes.append(
                f"{too_long} answer{'s are' if too_long != 1 else ' is'} longer than {max_answer_length} tokens and "
                "never given whole: raise data.max_answer_length"
            )
        whole = np.zeros(len(examples), dtype=np.bool_)
        whole[example_of[positions[0] > 0]] = True
        divided = int(((answers[:, 0] >= 0) & ~whole).sum())
        if divided:
            notes.append(
                f"{divided} answers lie whole in no window, trained as if there were none: lower data.doc_stride"
            )
    return Encoding(
        Batch(
            offsets=offsets,
            input_ids=tokens[chosen],
            token_type_ids=np.concatenate([special[:, 1], types])[chosen],
            example_index=example_of,
            columns=columns,
        ),
        truncated=np.flatnonzero(question_lengths < whole_questions),
        notes=tuple(notes),
    )


def _windows(
    lengths: NDArray[np.int64], room: NDArray[np.int64], doc_stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Windows over contexts of the given lengths: the example of each, its first token and its number of tokens."""
    step = np.minimum(doc_stride, room)
    counts = 1 + np.maximum(0, -(-(lengths - room) // step))
    example_of = np.repeat(np.arange(len(lengths), dtype=np.int64), counts)
    number = np.arange(len(example_of)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = number * step[example_of]
    return example_of, start, np.minimum(room[example_of], lengths[example_of] - start)


def _max_context(
    example_of: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """For each token of each window, whether no other window shows more on its narrower side.

    Of windows that show the same, the longer one, then the first one is chosen; so each token is chosen once.
    """
    flags = np.ones(int(length.sum()), dtype=np.bool_)
    several = np.bincount(example_of, minlength=1)[example_of] > 1
    if not several.any():
        return flags
    candidates = np.flatnonzero(np.repeat(several, length))
    start, length, example_of = start[several], length[several], example_of[several]
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    width = np.repeat(length, length)
    shown = 100 * np.minimum(within, width - 1 - within) + width  # the length decides by a hundredth, as in run_squad
    token = np.repeat(start, length) + within
    order = np.lexsort((-shown, token, np.repeat(example_of, length)))  # stable: the first window of equals
    keys = np.stack([np.repeat(example_of, length), token])[:, order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    flags[candidates[order[~first]]] = False
    return flags


def _answer_tokens(
    golds: Sequence[Gold], passages: TextTokens, context_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """First and last token of each answer in its context, int64 ``[examples, 2]``, and how many have no token.

    -1, -1 for a question without an answer, -2, -2 for an answer that cannot be learned.
    """
    result = np.full((len(golds), 2), -1, dtype=np.int64)
    unseen = 0
    for index, gold in enumerate(golds):
        if gold.span is None:
            result[index] = -2 if gold.is_lost else -1
            continue
        tokens = slice(*passages.offsets[context_of[index] : context_of[index] + 2])
        first = int(np.searchsorted(passages.ends[tokens], gold.span[0], side="right"))
        last = int(np.searchsorted(passages.starts[tokens], gold.span[1], side="left")) - 1
        unseen += first > last
        result[index] = (first, last) if first <= last else -2
    return result, unseen


def _positions(
    answers: NDArray[np.int64],
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    first_token: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Positions of the answers in their rows: 0, which is ``[CLS]``, where a window does not hold the whole answer."""
    first, last = answers[:, 0], answers[:, 1]
    inside = (first >= start) & (last < start + length) & (first >= 0)
    elsewhere = np.where(first == -2, LOST, 0)
    starts, ends = (np.where(inside, first_token + token - start, elsewhere) for token in (first, last))
    return starts.astype(np.int32), ends.astype(np.int32)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, as many as each length says, one after the other."""
    shift: NDArray[np.int64] = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return np.arange(len(shift)) + shift
