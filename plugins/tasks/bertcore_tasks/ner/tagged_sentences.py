"""Sentences with their gold entities, made of the units and tags of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.invisible import bare, shown
from bertcore_tasks.ner.tags import Clean, TaggedLines, check_tags, read_spans
from bertcore_tasks.ner.units import Sentence, join_units


def tagged_sentences(
    file: Path,
    read: Sequence[TaggedLines],
    scheme: str,
    *,
    types: Sequence[str] | None,
    repair: bool,
    notes: list[str],
    clean: Clean | None = None,
) -> list[Sentence]:
    """Makes sentences with their gold entities of the units and tags of a file.

    Args:
        file: that they were read from.
        read: the units and tags.
        scheme: of the tags.
        types: that may occur; None for any.
        repair: read tags that break the scheme as conlleval does.
        notes: told what was repaired.
        clean: turns the units of the file into those of the text.

    Raises:
        DataError: a tag is wrong (file and line).
    """
    read = _with_bare_tags(file, read, notes)
    words = [sentence.words for sentence in read] if clean is None else clean(read)
    repaired: list[list[int]] = []
    sentences: list[Sentence] = []
    for number, (lines, units_of_text) in enumerate(zip(read, words, strict=True)):
        with one_example:
            text, units = join_units(units_of_text)
            identifier = str(number) if lines.identifier is None else lines.identifier
            sentence = Sentence(identifier, {"text": text}, origin=Origin(str(file), lines.lines[0]), units=units)
            if lines.tags is not None:
                check_tags(file, lines, scheme, types)
                spans, problems = read_spans(file, lines, scheme, repair)
                if problems:
                    repaired.append(problems)
                sentence = replace(sentence, label=tuple(sorted(map(sentence.in_characters, spans))))
            sentences.append(sentence)
    if not sentences:
        problem = "no sentence can be read"
        raise DataError(problem, "correct its lines", origin=Origin(str(file)), code="examples-missing")
    if repaired:
        tags = sum(map(len, repaired))
        note = (
            f"{file.name}: {tags} tag{'s' * (tags != 1)} in {len(repaired)} sentence{'s' * (len(repaired) != 1)} that "
            f"{scheme} forbids, read as conlleval does; the first in line {repaired[0][0]}"
        )
        if note not in notes:
            notes.append(note)
    return sentences


def _with_bare_tags(file: Path, read: Sequence[TaggedLines], notes: list[str]) -> Sequence[TaggedLines]:
    """Takes blanks and invisible characters from the ends of tags, which would make types of their own."""
    distinct = {tag for sentence in read for tag in sentence.tags or ()}
    changed = {tag: bare(tag) for tag in distinct if bare(tag) != tag}
    if not changed:
        return read
    lines = [line for one in read for line, tag in zip(one.lines, one.tags or (), strict=False) if tag in changed]
    unseen = shown("".join(changed)) or "blanks"
    note = (
        f"{file.name}: {len(lines)} tag{'s' * (len(lines) != 1)} with {unseen} at an end, read without (first in line "
        f"{lines[0]})"
    )
    notes.extend([note] if note not in notes else [])
    return [
        sentence if sentence.tags is None else replace(sentence, tags=[changed.get(tag, tag) for tag in sentence.tags])
        for sentence in read
    ]
