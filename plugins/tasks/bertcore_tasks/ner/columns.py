"""Files with a unit and its tag a line, and a blank line behind each sentence, as CoNLL began them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bertcore.contracts.tagging import (
    SCHEMES,
    check_tag,
)
from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_lines_of_examples
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.invisible import bare, shown
from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.tags import LONGEST_UNIT, TaggedLines
from bertcore_tasks.wording import counted

BLANK = " \t\r"
"""What a blank line may hold, and what may stand behind the last column."""

DOCUMENT = "-DOCSTART-"

_SPACES = re.compile(" +")
_LABEL_STUDIO = " -X- _ "
"""What stands between a word and its tag in Label Studio's CoNLL files."""
_KEYED = re.compile(r"#\s?[\w.:-]+ = |#FORMAT=|# (?:id|newdoc|newpar) \S")


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, by number from 0 (negative from the end), or by the names of the first line.

    Attributes:
        text: the column of the units.
        label: the column of the tags.
        encoding: of the file; None for UTF-8, or UTF-16 with a byte-order mark.
    """

    text: int | str = 0
    label: int | str = -1
    encoding: str | None = None

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""
        return isinstance(self.text, str) or isinstance(self.label, str)


def read_columns(file: Path, columns: Columns, tagged: bool = True) -> TaggedFile:
    """Reads the sentences of a file.

    Fields are parted by a tab where the line has one, else by spaces; a line that begins with a space has the space as
    its unit. A line ``-DOCSTART-`` and blank lines part sentences. A line that begins with ``#`` is a comment where it
    has no tag, or is CoNLL-U's ``# key = value``.

    Args:
        file: the file.
        columns: which column holds what.
        tagged: whether each line must have a tag; where not, a file with one column has no tags.

    Raises:
        DataError: the file is missing, not UTF-8 or empty, a line has too few columns or a unit is empty or gigantic.
    """
    lines = read_lines_of_examples(file, header=columns.has_header, encoding=columns.encoding)
    text, label = _column_numbers(file, lines, columns)
    sentences: list[TaggedLines] = []
    comments: list[int] = []
    for block in _blocks(_without_comments(file, lines, label, tagged, comments)):
        with one_example:
            sentences.append(_sentence(file, block, text, label, tagged))
    if not sentences:
        raise DataError(
            "no sentence",
            "write a unit and its tag a line, and a blank line between sentences",
            origin=Origin(str(file)),
            code="examples-missing",
        )
    count = len(comments)
    note = f"{file.name}: {counted(count, 'comment line')} not read, as line {comments[0]}" if count else ""
    return TaggedFile(sentences, notes=(note,) if note else ())


def _column_numbers(file: Path, lines: Iterator[tuple[int, str]], columns: Columns) -> tuple[int, int]:
    """The columns of text and label by number; takes the header from the lines, where there is one."""
    names = _split(next(lines, (1, ""))[1].rstrip(BLANK)) if columns.has_header else []

    def number(column: int | str) -> int:
        if isinstance(column, int):
            return column
        if column not in names:
            raise DataError(
                f"no column {column!r} among {', '.join(map(repr, names))}",
                "name the columns as the first line does, or give their numbers, from 1",
                origin=Origin(str(file), 1),
                code="column-missing",
            )
        return names.index(column)

    return number(columns.text), number(columns.label)


def _without_comments(
    file: Path, lines: Iterator[tuple[int, str]], label: int, tagged: bool, comments: list[int]
) -> Iterator[tuple[int, str]]:
    """Yields the lines that are no comments, and tells where those are."""
    for number, line in lines:
        if not line.startswith("#") or not _is_comment(line.rstrip(BLANK), label, tagged):
            yield number, line
        elif line.startswith("#FORMAT=WebAnno"):
            raise DataError(
                "the TSV of WebAnno and INCEpTION, whose columns depend on the project",
                "export the documents as CoNLL 2002 or CoNLL 2003",
                origin=Origin(str(file), number),
                code="export-unusable",
            )
        else:
            comments.append(number)


def _is_comment(line: str, label: int, tagged: bool) -> bool:
    """Whether a line that begins with ``#`` is no unit: such a sign or word would have a tag."""
    if _KEYED.match(line):
        return True
    fields = line.split()
    has_label = -len(fields) <= label < len(fields)
    return tagged and len(fields) > 2 and not (has_label and _is_any_tag(fields[label]))


@lru_cache(maxsize=1024)
def _is_any_tag(tag: str) -> bool:
    return any(check_tag(tag, scheme) is None for scheme in SCHEMES)


def _blocks(lines: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yields the numbered lines of each sentence."""
    block: list[tuple[int, str]] = []
    for number, line in lines:
        content = line.rstrip(BLANK)
        if content and not content.startswith(DOCUMENT):
            block.append((number, content))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _sentence(file: Path, block: list[tuple[int, str]], text: int, label: int, tagged: bool) -> TaggedLines:
    words: list[str] = []
    tags: list[str] = []
    for_text = _needed(text)
    needed = max(for_text, _needed(label), 2)
    for number, line in block:
        fields = _split(line)
        if len(fields) >= needed:
            tags.append(fields[label])
        elif tagged or len(fields) > 1:
            raise _too_few(Origin(str(file), number), line, len(fields), needed)
        word = fields[text] if len(fields) >= for_text else fields[0]
        if not word:
            raise DataError(
                "no character in front of the tag",
                "put it back, or delete the line",
                origin=Origin(str(file), number),
                code="unit-wrong",
            )
        if len(word) > LONGEST_UNIT:
            raise DataError(
                f"a unit of {len(word)} characters",
                "write one character or word a line, and its tag behind it",
                origin=Origin(str(file), number),
                code="unit-wrong",
            )
        words.append(word)
    if tags and len(tags) != len(words):
        raise DataError(
            f"{len(words) - len(tags)} of {len(words)} lines of this sentence have no tag",
            "give every line a tag, or none",
            origin=Origin(str(file), block[0][0]),
            code="tag-missing",
        )
    return TaggedLines(words, tags or None, [number for number, _ in block])


def _too_few(origin: Origin, line: str, found: int, needed: int) -> DataError:
    """The error about a line with too few columns, which also names what nobody can see in it."""
    problem = f"{counted(found, 'column')} instead of at least {needed}"
    unseen = shown(line)
    if not unseen:
        remedy = "write a character or word, a tab or space, and its tag"
        return DataError(problem, remedy, origin=origin, code="field-count-wrong")
    if not bare(line):
        problem, remedy = (
            f"{problem}: the line holds {unseen} alone",
            "empty it where it parts sentences, else delete it",
        )
    else:
        problem, remedy = f"{problem}; the line holds {unseen}", "write a tab or a plain space between two columns"
    return DataError(problem, remedy, origin=origin, code="separator-invisible")


def _split(line: str) -> list[str]:
    if "\t" in line:
        return line.split("\t")
    if line.startswith("  "):
        return [" ", *_SPACES.split(line[2:])]
    if _LABEL_STUDIO in line:  # whose types may hold spaces
        word, _, tag = line.partition(_LABEL_STUDIO)
        return [word, "-X-", "_", tag]
    return _SPACES.split(line) if "  " in line else line.split(" ")


def _needed(column: int) -> int:
    """How many fields a line must have to have this column."""
    return column + 1 if column >= 0 else -column
