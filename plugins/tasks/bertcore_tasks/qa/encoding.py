"""Questions and contexts as rows of tokens: ``[CLS] question [SEP] window of the context [SEP]``.

Every token is kept once, and a row is five ranges of this store::

    store   [CLS][SEP][SEP] | question 0 | question 1 | ... | context 0 | context 1 | ...
    row     [CLS]   question 1   [SEP]   tokens 128 to 500 of context 0   [SEP]

Tokens are mapped to characters by the tokenizer's own offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import PairTemplate, TextTokens, Tokenizer
from bertcore.errors import UsageError

from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.windows import (
    LOST,
    NO_ANSWER,
    UNSEEN_ANSWER,
    Integers,
    Windows,
    answer_positions,
    lay_windows,
    max_context,
    within_each,
)


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
    texts = _tokenize(examples, tokenizer, min(max_question_length, room // 2))
    windows = lay_windows(texts.context_lengths, room - texts.question_lengths, doc_stride)
    batch = _rows(template, texts, windows)
    notes: tuple[str, ...] = ()
    if all(example.label is not None for example in examples):
        answers, unseen = _answer_tokens([example.label for example in examples], texts)
        before_window = len(template.before) + texts.question_lengths[windows.example] + len(template.between)
        starts, ends = answer_positions(answers, windows, before_window)
        positions = {"start_positions": starts, "end_positions": ends}
        labels = {name: Column(values, "row", ignore=LOST) for name, values in positions.items()}
        batch = replace(batch, columns={**batch.columns, **labels})
        notes = _notes(answers, unseen, windows.example[starts > 0], max_answer_length)
    cut = texts.question_lengths < np.diff(texts.questions.offsets)
    return Encoding(batch, truncated=np.flatnonzero(cut), notes=notes)


@dataclass(frozen=True)
class _Texts:
    """The tokens of all questions and contexts; a context that several questions share is held once.

    Attributes:
        questions: of the examples.
        contexts: the different ones.
        context_of: int64 ``[examples]``, index of the context of each.
        question_lengths: int64 ``[examples]``, how many tokens of each question a row holds.
    """

    questions: TextTokens
    contexts: TextTokens
    context_of: Integers
    question_lengths: Integers

    @property
    def context_lengths(self) -> Integers:
        """Int64 ``[examples]``, tokens of the whole context of each."""
        return np.diff(self.contexts.offsets)[self.context_of]


def _tokenize(examples: Sequence[Example], tokenizer: Tokenizer, longest_question: int) -> _Texts:
    numbers = {text: index for index, text in enumerate(dict.fromkeys(e.texts["context"] for e in examples))}
    questions = tokenizer.encode_with_offsets([example.texts["question"] for example in examples])
    return _Texts(
        questions,
        tokenizer.encode_with_offsets(list(numbers)),
        np.array([numbers[example.texts["context"]] for example in examples], dtype=np.int64),
        np.minimum(np.diff(questions.offsets), longest_question),
    )


def _rows(template: PairTemplate, texts: _Texts, windows: Windows) -> Batch:
    """One row for each window, with the columns that say where its tokens stand in the context."""
    questions, contexts, example = texts.questions, texts.contexts, windows.example
    special = np.array([*template.before, *template.between, *template.after], dtype=np.int32).reshape(-1, 2)
    before, between, after = len(template.before), len(template.between), len(template.after)
    first_question, first_context = len(special), len(special) + len(questions.input_ids)

    ranges = (  # first token in the store, and number of tokens
        (0, before),
        (first_question + questions.offsets[example], texts.question_lengths[example]),
        (before, between),
        (first_context + contexts.offsets[texts.context_of[example]] + windows.start, windows.length),
        (before + between, after),
    )
    starts, lengths = (
        np.stack([np.broadcast_to(one[side], len(windows)) for one in ranges], axis=1).reshape(-1) for side in (0, 1)
    )
    chosen = np.repeat(starts, lengths) + within_each(lengths)

    outside = np.full(first_context, -1, dtype=np.int32)
    segments = np.repeat(
        np.array(template.segments, dtype=np.int32), [len(questions.input_ids), len(contexts.input_ids)]
    )
    best = np.zeros(len(chosen), dtype=np.bool_)
    best[chosen >= first_context] = max_context(windows)
    return Batch(
        offsets=np.concatenate([[0], np.cumsum(lengths.reshape(-1, len(ranges)).sum(axis=1))]),
        input_ids=np.concatenate([special[:, 0], questions.input_ids, contexts.input_ids])[chosen],
        token_type_ids=np.concatenate([special[:, 1], segments])[chosen],
        example_index=example,
        columns={
            "character_start": Column(np.concatenate([outside, contexts.starts])[chosen], "token"),
            "character_end": Column(np.concatenate([outside, contexts.ends])[chosen], "token"),
            "max_context": Column(best, "token"),
        },
    )


def _answer_tokens(golds: Sequence[Gold], texts: _Texts) -> tuple[Integers, int]:
    """First and last token of each answer in its context, int64 ``[examples, 2]``, and how many have no token."""
    result = np.full((len(golds), 2), NO_ANSWER, dtype=np.int64)
    unseen = 0
    for index, gold in enumerate(golds):
        if gold.span is None:
            result[index] = UNSEEN_ANSWER if gold.is_lost else NO_ANSWER
            continue
        tokens = slice(*texts.contexts.offsets[texts.context_of[index] : texts.context_of[index] + 2])
        first = int(np.searchsorted(texts.contexts.ends[tokens], gold.span[0], side="right"))
        last = int(np.searchsorted(texts.contexts.starts[tokens], gold.span[1], side="left")) - 1
        unseen += first > last
        result[index] = (first, last) if first <= last else UNSEEN_ANSWER
    return result, unseen


def _notes(answers: Integers, unseen: int, whole: Integers, max_answer_length: int) -> tuple[str, ...]:
    """What the rows do not teach.

    Args:
        answers: as :func:`_answer_tokens` gives them.
        unseen: how many have no token.
        whole: the examples whose answer lies whole in a window.
        max_answer_length: tokens of the longest answer that decoding gives.
    """
    notes: list[str] = []
    if unseen:
        notes.append(f"{unseen} answers have no token (white space or removed characters) and are not trained on")
    too_long = int((answers[:, 1] - answers[:, 0] >= max_answer_length).sum())
    if too_long:
        notes.append(
            f"{too_long} answer{'s are' if too_long != 1 else ' is'} longer than {max_answer_length} tokens and "
            "never given whole: raise data.max_answer_length"
        )
    divided = np.setdiff1d(np.flatnonzero(answers[:, 0] >= 0), whole)
    if len(divided):
        notes.append(
            f"{len(divided)} answers lie whole in no window, trained as if there were none: lower data.doc_stride"
        )
    return tuple(notes)
