"""A row for each choice: ``[CLS] context [SEP] question choice [SEP]``, or ``[CLS] question [SEP] choice [SEP]``.

As ``run_swag`` of transformers pairs them. What is too long is cut from the context, which all choices share, so that
the model sees what they differ in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding
from bertcore.contracts.tokenizer import PairTemplate, TextTokens, Tokenizer
from bertcore.errors import UsageError
from numpy.typing import NDArray

from bertcore_tasks.choices.questions import CONTEXT, QUESTION, choices_of
from bertcore_tasks.qa.windows import Integers, within_each


def encode_choices(examples: Sequence[Example], tokenizer: Tokenizer, max_length: int) -> Encoding:
    """Encodes questions, each a group of as many rows as it has choices.

    Columns: ``choices``, int32 ``[rows]``, the number of each row in its group; and where all examples are labeled
    ``labels``, int32 ``[groups]``.

    Args:
        examples: whose label is the name of the right choice's number, or None.
        tokenizer: of the model.
        max_length: tokens of the longest row.

    Raises:
        UsageError: ``max_length`` leaves no room for two texts.
    """
    template = tokenizer.pair_template()
    room = max_length - template.size
    if room < 2:
        raise UsageError(
            f"rows of {max_length} tokens have no room for a question and a choice",
            "raise data.max_length",
            code="argument-wrong",
        )
    pairs = _pairs(examples)
    texts = _tokenize(pairs, tokenizer, room)
    groups = np.array([pair.example for pair in pairs], dtype=np.int64)
    columns = {"choices": Column(np.array([pair.number for pair in pairs], dtype=np.int32), "row")}
    if all(example.label is not None for example in examples):
        columns["labels"] = Column(np.array([int(example.label) for example in examples], dtype=np.int32), "group")
    return Encoding(_rows(template, texts, groups, columns), np.unique(groups[texts.is_cut]), _notes(texts, groups))


@dataclass(frozen=True)
class _Pair:
    """The texts of a row.

    Attributes:
        example: index of the question.
        number: of the choice.
        first: the context, or the question where there is none.
        before: what stands before the choice in the second text.
        choice: the choice.
    """

    example: int
    number: int
    first: str
    before: str
    choice: str


@dataclass(frozen=True)
class _Texts:
    """The tokens of all rows; texts that several rows share are held once.

    Attributes:
        firsts, seconds: the different texts.
        first_of, second_of: int64 ``[rows]``, index of the text of each row.
        first_lengths, second_starts, second_lengths: int64 ``[rows]``, what a row holds of both.
    """

    firsts: TextTokens
    seconds: TextTokens
    first_of: Integers
    second_of: Integers
    first_lengths: Integers
    second_starts: Integers
    second_lengths: Integers

    @property
    def second_is_cut(self) -> NDArray[np.bool_]:
        """Of each row, whether its second text lost something."""
        return np.asarray(self.second_lengths < np.diff(self.seconds.offsets)[self.second_of])

    @property
    def is_cut(self) -> NDArray[np.bool_]:
        """Of each row, whether one of its texts lost something."""
        return self.second_is_cut | (self.first_lengths < np.diff(self.firsts.offsets)[self.first_of])


def _pairs(examples: Sequence[Example]) -> list[_Pair]:
    pairs: list[_Pair] = []
    for index, example in enumerate(examples):
        question, context = example.texts.get(QUESTION, ""), example.texts.get(CONTEXT, "")
        first, before = (context, question) if context else (question, "")
        for number, choice in enumerate(choices_of(example.texts)):
            pairs.append(_Pair(index, number, first, f"{before} " if before else "", choice))
    return pairs


def _tokenize(pairs: Sequence[_Pair], tokenizer: Tokenizer, room: int) -> _Texts:
    first_numbers = _numbered(pair.first for pair in pairs)
    seconds = {(pair.before, pair.choice): None for pair in pairs}
    second_numbers = {text: index for index, text in enumerate(seconds)}
    first_tokens = tokenizer.encode_with_offsets(list(first_numbers))
    second_tokens = tokenizer.encode_with_offsets(["".join(text) for text in seconds])
    first_of = np.array([first_numbers[pair.first] for pair in pairs], dtype=np.int64)
    second_of = np.array([second_numbers[pair.before, pair.choice] for pair in pairs], dtype=np.int64)
    starts, lengths = _kept_of_seconds(second_tokens, [len(before) for before, _ in seconds], room)
    first_lengths = np.minimum(np.diff(first_tokens.offsets)[first_of], room - lengths[second_of])
    return _Texts(
        first_tokens, second_tokens, first_of, second_of, first_lengths, starts[second_of], lengths[second_of]
    )


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: index for index, text in enumerate(dict.fromkeys(texts))}


def _kept_of_seconds(tokens: TextTokens, before: Sequence[int], room: int) -> tuple[Integers, Integers]:
    """First token and number of tokens that a row holds of each second text, ``[texts]`` both.

    Where it is too long for a row by itself, the choice stays and what stands before it loses its beginning; a choice
    that is too long by itself loses its end.
    """
    counts = np.diff(tokens.offsets)
    starts = np.zeros_like(counts)
    for index in np.flatnonzero(counts > room).tolist():
        of_text = slice(tokens.offsets[index], tokens.offsets[index + 1])
        choice = int(np.count_nonzero(tokens.starts[of_text] >= before[index]))
        starts[index] = counts[index] - max(room, choice)
    return starts, np.minimum(counts, room)


def _rows(template: PairTemplate, texts: _Texts, groups: Integers, columns: dict[str, Column]) -> Batch:
    special = np.array([*template.before, *template.between, *template.after], dtype=np.int32).reshape(-1, 2)
    before, between, after = len(template.before), len(template.between), len(template.after)
    first, second = len(special), len(special) + len(texts.firsts.input_ids)
    ranges = (  # first token in the store, and number of tokens
        (0, before),
        (first + texts.firsts.offsets[texts.first_of], texts.first_lengths),
        (before, between),
        (second + texts.seconds.offsets[texts.second_of] + texts.second_starts, texts.second_lengths),
        (before + between, after),
    )
    starts, lengths = (
        np.stack([np.broadcast_to(one[side], len(groups)) for one in ranges], axis=1).reshape(-1) for side in (0, 1)
    )
    chosen = np.repeat(starts, lengths) + within_each(lengths)
    segments = np.repeat(
        np.array(template.segments, dtype=np.int32), [len(texts.firsts.input_ids), len(texts.seconds.input_ids)]
    )
    return Batch(
        offsets=np.concatenate([[0], np.cumsum(lengths.reshape(-1, len(ranges)).sum(axis=1))]),
        input_ids=np.concatenate([special[:, 0], texts.firsts.input_ids, texts.seconds.input_ids])[chosen],
        token_type_ids=np.concatenate([special[:, 1], segments])[chosen],
        example_index=groups,
        columns=columns,
        groups=groups,
    )


def _notes(texts: _Texts, groups: Integers) -> tuple[str, ...]:
    count = len(np.unique(groups[texts.second_is_cut]))
    if not count:
        return ()
    has = "questions have choices that were" if count != 1 else "question has choices that were"
    return (f"{count} {has} cut, since they are too long for a row: raise data.max_length",)
