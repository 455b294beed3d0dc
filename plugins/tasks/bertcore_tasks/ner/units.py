"""Units: the characters or words of a text that carry a tag each, with their offsets into the text."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bertcore.contracts.dataset import Example
from bertcore.contracts.tagging import Span

UnitKind = Literal["character", "word"]


@dataclass(frozen=True)
class Units:
    """Where the units of a text lie: unit i is ``text[starts[i]:ends[i]]``."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Sentence(Example):
    """An example with its units. ``texts`` holds ``text``; ``label`` is a tuple of spans in characters, or None."""

    units: Units = Units((), ())

    @property
    def text(self) -> str:
        """The whole text."""
        return self.texts["text"]

    @property
    def words(self) -> list[str]:
        """The units as the text has them."""
        return [self.text[start:end] for start, end in zip(self.units.starts, self.units.ends, strict=True)]

    def surface(self, span: Span) -> str:
        """What the text says at a span of characters."""
        return self.text[span.start : span.end]

    def in_characters(self, span: Span) -> Span:
        """A span of units as a span of characters."""
        return Span(self.units.starts[span.start], self.units.ends[span.end - 1], span.type)


def sentences_of(examples: Sequence[Example]) -> list[Sentence]:
    """The examples of a task on named entities, which carry their units."""
    sentences = [example for example in examples if isinstance(example, Sentence)]
    assert len(sentences) == len(examples), "examples of these tasks carry their units"
    return sentences


def split_units(text: str, kind: UnitKind) -> Units:
    """Splits a text into units.

    Args:
        text: any text.
        kind: ``character``: every character, a space, too. ``word``: a run of letters, digits and their accents, but a
            Chinese character and a sign by itself; white space lies between units.
    """
    if kind == "character":
        return _characters(len(text))
    starts: list[int] = []
    ends: list[int] = []
    grows = False
    for index, character in enumerate(text):
        category = unicodedata.category(character)
        if character.isspace():
            grows = False
        elif grows and (category[0] in "LNM" and not _is_wide(character)):
            ends[-1] = index + 1
        else:
            starts.append(index)
            ends.append(index + 1)
            grows = category[0] in "LN" and not _is_wide(character)
    return Units(tuple(starts), tuple(ends))


def unit_of_sentences(sentences: Iterable[Sentence]) -> UnitKind:
    """How sentences that come in units were split: into words where most runs of letters and digits are one unit."""
    whole = parted = 0
    for sentence in sentences:
        words = sentence.words
        whole += sum(len(word) > 1 and _is_run(word) for word in words)
        parted += sum(len(a) == len(b) == 1 and _is_run(a) and _is_run(b) for a, b in itertools.pairwise(words))
    return "word" if whole > parted else "character"


def unit_of_texts(texts: Iterable[str]) -> UnitKind:
    """What should carry a tag in texts that come without units: a word, or a character where most words are one.

    Chinese, Japanese and Korean are split into characters, since nothing parts their words.
    """
    characters = runs = 0
    for text in texts:
        units = split_units(text, "word")
        characters += sum(_is_wide(text[start]) for start in units.starts)
        runs += sum(_is_run(text[start:end]) for start, end in zip(units.starts, units.ends, strict=True))
    return "word" if runs > characters else "character"


def join_units(words: Sequence[str]) -> tuple[str, Units]:
    """Makes a text of characters or words that a file holds one by one.

    Words are parted by a space, but nothing parts Chinese from what stands beside it, or the characters of a text that
    comes in single ones.
    """
    if all(len(word) == 1 for word in words):
        return "".join(words), split_units("".join(words), "character")
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    length = 0
    for index, word in enumerate(words):
        if index and _parted(words[index - 1], word):
            parts.append(" ")
            length += 1
        parts.append(word)
        starts.append(length)
        length += len(word)
        ends.append(length)
    return "".join(parts), Units(tuple(starts), tuple(ends))


@dataclass(frozen=True)
class Alignment:
    """Entities of characters, as units can tell them.

    Attributes:
        spans: in units, in order.
        off_units: entities that begin or end inside a unit.
        overlapping: entities that were left out because they share units with another one.
    """

    spans: tuple[Span, ...]
    off_units: int
    overlapping: int = 0


def align(entities: Iterable[Span], units: Units) -> Alignment:
    """Finds the units of entities, each unit of one at most; of two that overlap, the first counts, or the longer."""
    nested = align_nested(entities, units)
    spans: list[Span] = []
    for span in nested.spans:
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return Alignment(tuple(spans), nested.off_units, len(nested.spans) - len(spans))


def align_nested(entities: Iterable[Span], units: Units) -> Alignment:
    """Finds the units of entities, which may share them."""
    first = {start: index for index, start in enumerate(units.starts)}
    behind = {end: index for index, end in enumerate(units.ends, 1)}
    spans: list[Span] = []
    off_units = 0
    for entity in sorted(set(entities), key=lambda span: (span.start, -span.end, span.type)):
        start, end = first.get(entity.start), behind.get(entity.end)
        if start is None or end is None:
            off_units += 1
        else:
            spans.append(Span(start, end, entity.type))
    return Alignment(tuple(spans), off_units)


@lru_cache(maxsize=1024)
def _characters(count: int) -> Units:
    return Units(tuple(range(count)), tuple(range(1, count + 1)))


def _is_run(word: str) -> bool:
    """Whether a unit is of letters and digits that are written without spaces between them."""
    return word.isalnum() and not _is_wide(word[0])


def _is_wide(character: str) -> bool:
    """Whether a character is Chinese, Japanese, Korean, full-width or an emoji: written without spaces around it."""
    return unicodedata.east_asian_width(character) in "WF"


def _parted(first: str, then: str) -> bool:
    return not any(_is_wide(character) or character.isspace() for character in (first[-1], then[0]))
