"""Sentences with their gold entities, made of the units and tags of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bertcore.contracts.dataset import Split
from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.invisible import bare, shown
from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.tags import Clean, check_tags, read_spans
from bertcore_tasks.ner.units import Sentence, join_units
from bertcore_tasks.wording import counted


def tagged_sentences(
    file: Path,
    read: TaggedFile,
    scheme: str,
    *,
    types: Sequence[str] | None,
    repair: bool,
    clean: Clean | None = None,
) -> Split:
    """Makes sentences with their gold entities of the units and tags of a file.

    Args:
        file: that was read.
        read: its units and tags.
        scheme: of the tags.
        types: that may occur; None for any.
        repair: read tags that break the scheme as conlleval does.
        clean: turns the units of the file into those of the text.

    Raises:
        DataError: a tag is wrong (file and line).
    """
    read = _with_bare_tags(file, read)
    words = [sentence.words for sentence in read.sentences] if clean is None else clean(read.sentences)
    repaired: list[list[int]] = []
    sentences: list[Sentence] = []
    for number, (lines, units_of_text) in enumerate(zip(read.sentences, words, strict=True)):
        with one_example:
            text, units = join_units(units_of_text)
            identifier = str(number) if lines.identifier is None else lines.identifier
            sentence = Sentence(identifier, {"text": text}, origin=Origin(str(file), lines.lines[0]), units=units)
            if lines.spans is not None:
                sentence = replace(sentence, label=tuple(sorted(map(sentence.in_characters, lines.spans))))
            elif lines.tags is not None:
                check_tags(file, lines, scheme, types)
                spans, problems = read_spans(file, lines, scheme, repair)
                if problems:
                    repaired.append(problems)
                sentence = replace(sentence, label=tuple(sorted(map(sentence.in_characters, spans))))
            sentences.append(sentence)
    if not sentences:
        problem = "no sentence can be read"
        raise DataError(problem, "correct its lines", origin=Origin(str(file)), code="examples-missing")
    return Split(sentences, (*read.notes, *_words_on_repairs(file, repaired, scheme)), read.left_out)


def _words_on_repairs(file: Path, repaired: Sequence[Sequence[int]], scheme: str) -> list[str]:
    tags, sentences = sum(map(len, repaired)), len(repaired)
    if not tags:
        return []
    return [
        f"{file.name}: {counted(tags, 'tag')} in {counted(sentences, 'sentence')} that {scheme} "
        f"forbids, read as conlleval does; the first in line {repaired[0][0]}"
    ]


def _with_bare_tags(file: Path, read: TaggedFile) -> TaggedFile:
    """Takes blanks and invisible characters from the ends of tags, which would make types of their own."""
    distinct = {tag for sentence in read.sentences for tag in sentence.tags or ()}
    changed = {tag: bare(tag) for tag in distinct if bare(tag) != tag}
    if not changed:
        return read
    places = ((line, tag) for one in read.sentences for line, tag in zip(one.lines, one.tags or (), strict=False))
    lines = [line for line, tag in places if tag in changed]
    unseen = shown("".join(changed)) or "blanks"
    note = f"{file.name}: {counted(len(lines), 'tag')} with {unseen} at an end, read without (first in line {lines[0]})"
    sentences = [
        sentence if sentence.tags is None else replace(sentence, tags=[changed.get(tag, tag) for tag in sentence.tags])
        for sentence in read.sentences
    ]
    return replace(read, sentences=sentences, notes=(*read.notes, note))
