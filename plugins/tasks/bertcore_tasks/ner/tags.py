"""The units and tags of a sentence as its file holds them: whether the tags are right, and which entities they tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bertcore.contracts.tagging import (
    OUTSIDE,
    SCHEMES,
    Span,
    check_tag,
    chunks,
    find_problems,
    find_scheme,
    split_tag,
    tags_to_spans,
)
from bertcore.errors import DataError, Origin

LONGEST_UNIT = 1000
"""Characters of the longest character or word; a longer one is a sign of another kind of file."""

_MISSPELT = re.compile(r"[BIESMLUO][\W_]")
"""The beginning of a tag whose position and type are not parted by a hyphen."""
_OF_WORDS = re.compile(r".+/(?:o|n[rst])")


@dataclass(frozen=True)
class TaggedLines:
    """One sentence of a file.

    Attributes:
        words: its units.
        tags: one for each, or None where the file has one column only.
        lines: the number of each line.
        identifier: what the file calls the sentence; None where it has no names.
        spans: in units, where the file lists entities instead of tags; they may nest.
    """

    words: list[str]
    tags: list[str] | None
    lines: list[int]
    identifier: str | None = None
    spans: tuple[Span, ...] | None = None


Clean = Callable[[Sequence[TaggedLines]], list[list[str]]]
"""Turns the units of a file into those of the text."""


def without_word_positions(sentences: Sequence[TaggedLines]) -> list[list[str]]:
    """The units of each sentence, without the digit behind each character in golden-horse's files of Weibo.

    There, ``科0`` is the first character of a word and ``技1`` its second. Files without such digits stay as they are.
    """
    words = [sentence.words for sentence in sentences]
    if all(len(word) > 1 and word[-1].isdecimal() for sentence in words for word in sentence):
        return [[word[:-1] for word in sentence] for sentence in words]
    return words


def check_tags(file: Path, sentence: TaggedLines, scheme: str, types: Sequence[str] | None) -> None:
    """Checks each tag by itself.

    Args:
        file: where they stand.
        sentence: with tags.
        scheme: that the file is said to have.
        types: that there may be; None for any.

    Raises:
        DataError: a tag is none, is not one of the scheme or has an unknown type (file and line).
    """
    assert sentence.tags is not None
    known = None if types is None else tuple(types)
    for line, tag in zip(sentence.lines, sentence.tags, strict=True):
        if _is_known(tag, scheme, known):
            continue
        cause = check_tag(tag, scheme)
        if cause is not None:
            remedy = _remedy(sentence.tags, scheme, tag, line)
            raise DataError(cause, remedy, origin=Origin(str(file), line), code="tag-wrong")
        raise DataError(
            f"the tag {tag!r} has the unknown type {split_tag(tag)[1]!r}",
            f"known types: {', '.join(known or ())}",
            origin=Origin(str(file), line),
            code="label-unknown",
        )


def read_spans(file: Path, sentence: TaggedLines, scheme: str, repair: bool) -> tuple[list[Span], list[int]]:
    """Reads the entities of a sentence, in units.

    Args:
        file: where they stand.
        sentence: with tags of the scheme.
        scheme: that the tags have to follow.
        repair: read what breaks the scheme as conlleval does.

    Returns:
        The entities, and the lines on which the tags break the scheme, each once.

    Raises:
        DataError: the tags break the scheme, and ``repair`` is false (file and line).
    """
    assert sentence.tags is not None
    problems = find_problems(sentence.tags, scheme)
    if not problems:
        return tags_to_spans(sentence.tags, scheme), []
    if not repair:
        remedy = "correct the file, or read such tags as conlleval does with --set data.repair=true"
        if scheme == "BIO" and not find_problems(sentence.tags, "IOB1"):
            remedy = (
                "for files in which B only parts entities of one type, as CoNLL-2003's: --set data.scheme=IOB1; else "
                "read such tags as conlleval does: --set data.repair=true"
            )
        origin = Origin(str(file), sentence.lines[problems[0].index])
        raise DataError(problems[0].cause, remedy, origin=origin, code="tag-wrong")
    return chunks(sentence.tags), sorted({sentence.lines[problem.index] for problem in problems})


def found_scheme(tags: Iterable[str]) -> str:
    """The scheme that the tags of a file tell: BIO, unless they have positions of another one.

    BIO, IOB1 and IO cannot be told apart by their positions, nor can BIOES and BMES without an I or M, which then mean
    the same.
    """
    distinct = sorted(set(tags))
    if {split_tag(tag)[0] for tag in distinct} <= {"B", "I", OUTSIDE}:
        return "BIO"
    try:
        return find_scheme(distinct)
    except ValueError:
        return "BIO"


@lru_cache(maxsize=1024)
def _is_known(tag: str, scheme: str, types: tuple[str, ...] | None) -> bool:
    kind = split_tag(tag)[1]
    return check_tag(tag, scheme) is None and (types is None or not kind or kind in types)


def _remedy(tags: Sequence[str], scheme: str, tag: str, line: int) -> str:
    correct = f"correct the tag, or declare another scheme: --set data.scheme= with {', '.join(SCHEMES)}"
    if _OF_WORDS.fullmatch(tag):
        return "this is MSRA's first form, a word and its kind: give one character and its BIO tag a line"
    if tag == "0":
        return "write the letter O for what is no entity, not the digit"
    if "-" not in tag and not _MISSPELT.match(tag):  # a type, or a header
        bare_type = f"a type alone, as Stanford's tagger writes it: make it I-{tag}, and --set data.scheme=IO"
        return (
            f"{bare_type}; where the first line names the columns: --set data.label={tag}" if line == 1 else bare_type
        )
    try:
        found = find_scheme(tags)
    except ValueError:
        return correct
    return f"declare the scheme of the file: --set data.scheme={found}" if found != scheme else correct
