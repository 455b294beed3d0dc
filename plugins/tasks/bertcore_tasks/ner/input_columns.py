"""Files of columns as input of ``bertcore predict``: a unit a line, with or without its tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bertcore.data.tables import Record, read_lines
from bertcore.errors import Origin

from bertcore_tasks.ner.columns import BLANK, DOCUMENT, Columns, read_columns
from bertcore_tasks.ner.tags import Clean, TaggedLines

SUFFIXES = (".bio", ".bioes", ".bilou", ".bmes", ".conll", ".iob", ".iob2")
"""What is always a file of columns."""

OTHER_FORMS = (".csv", ".json", ".jsonl", ".ndjson")
"""What never is one."""

_TAG = re.compile(r"O|[A-Z]-\S+")
_LINES = 1000
"""How many lines are looked at to tell a file of columns from one of texts."""


def read_input_columns(file: Path, columns: Columns, clean: Clean | None) -> list[Record] | None:
    """Reads sentences as ``{"tokens": [...]}``, and where the file has tags, ``"tags": [...]`` with them.

    Args:
        file: the file.
        columns: which column holds what.
        clean: turns the units of the file into those of the text.

    Returns:
        The records; None where the file has another form.

    Raises:
        DataError: a line is wrong (file and line).
    """
    suffix = file.suffix.lower()
    if suffix in OTHER_FORMS or not (suffix in SUFFIXES or _holds_columns(file)):
        return None
    read = read_columns(file, columns, tagged=False).sentences
    units = [sentence.words for sentence in read] if clean is None else clean(read)
    return input_records([replace(one, words=words) for one, words in zip(read, units, strict=True)], file)


def input_records(sentences: Sequence[TaggedLines], file: Path) -> list[Record]:
    """The sentences of a file as ``bertcore predict`` takes them."""
    return [
        (
            {"tokens": sentence.words, **({} if sentence.tags is None else {"tags": sentence.tags})},
            Origin(str(file), line),
        )
        for sentence in sentences
        for line in sentence.lines[:1]
    ]


def _holds_columns(file: Path) -> bool:
    """Whether each line has a tag behind its unit, or each is one character."""
    lines = [line.rstrip(BLANK) for _, line in islice(read_lines(file), _LINES)]
    filled = [line.split("\t" if "\t" in line else " ") for line in lines if line and not line.startswith(DOCUMENT)]
    if not filled:
        return False
    return all(len(fields) > 1 and _TAG.fullmatch(fields[-1]) for fields in filled) or (
        len(filled) > 1 and all(len(fields) == 1 and len(fields[0]) == 1 for fields in filled)
    )
